{{- define "device-grant.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "device-grant.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "device-grant.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "device-grant.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "device-grant.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest }}
{{- else -}}
{{ printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "device-grant.serviceAccount" -}}
{{- default (include "device-grant.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The name of a setting in the environment. */}}
{{- define "device-grant.variable" -}}
{{ printf "DEVICE_GRANT__%s" (. | replace "." "__" | upper) }}
{{- end -}}

{{/* What the service and the migration both need: the table, and whatever else leads to it. */}}
{{- define "device-grant.commonEnv" -}}
- name: DEVICE_GRANT__STORE__KIND
  value: "dynamodb"
- name: DEVICE_GRANT__STORE__TABLE
  value: {{ .Values.store.table | quote }}
{{- with .Values.store.region }}
- name: DEVICE_GRANT__STORE__REGION
  value: {{ . | quote }}
{{- end }}
{{- /* toJson, because a large number would be written as 1e+06 otherwise. */}}
{{- range $setting, $value := .Values.settings }}
- name: {{ include "device-grant.variable" $setting }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* "Restricted" of the Pod Security Standards, and a root that nobody writes to. */}}
{{- define "device-grant.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "device-grant.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
