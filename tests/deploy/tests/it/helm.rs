//! `deploy/helm/`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use deploy_tests::{binary, fetched, moved, read, root, run, scratch, stdout, variables};
use device_grant_testkit::parts;

const CHART: &str = "deploy/helm/device-grant";
/// Built by `go install`, helm takes Kubernetes to be older than it is.
const KUBERNETES: [&str; 2] = ["--kube-version", "1.30.0"];
const VALUES: [&str; 4] = ["small", "full", "bare", "cognito"];

fn helm(verb: &str) -> Command {
    let mut helm = fetched("bin", "helm");
    // Nobody's own settings, and nothing left behind.
    helm.env("HOME", "/nonexistent").current_dir(root()).arg(verb);
    helm
}

fn rendered(values: &str) -> String {
    let file = format!("{CHART}/ci/{values}.yaml");
    stdout(helm("template").args(KUBERNETES).args(["tv", CHART, "--namespace", "logins", "--values", &file]))
        .unwrap()
}

/// The document of a rendered chart that is of this kind.
fn of_kind<'a>(rendered: &'a str, kind: &str) -> Option<&'a str> {
    let is_it = |document: &&str| document.lines().any(|line| line == format!("kind: {kind}"));
    rendered.split("\n---\n").find(is_it)
}

/// What the containers of a rendered chart find in their environment; values that come from elsewhere are empty.
fn environment(rendered: &str) -> BTreeMap<String, String> {
    let mut lines = rendered.lines().map(str::trim_start).peekable();
    let mut found = BTreeMap::new();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("- name: ") else { continue };
        if !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_uppercase()) {
            continue;
        }
        let value = lines.peek().and_then(|line| line.strip_prefix("value: ")).unwrap_or_default();
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.to_owned());
        found.insert(name.to_owned(), value);
    }
    found
}

#[test]
fn helm_has_no_word_against_the_chart() {
    for values in VALUES {
        let file = format!("{CHART}/ci/{values}.yaml");
        let (good, said) = run(helm("lint").args(["--strict", CHART, "--values", &file])).unwrap();
        assert!(good, "{values}: {said}");
    }
}

#[test]
fn kubernetes_takes_every_document_and_no_misspelt_one() {
    let directory = scratch("helm").unwrap();
    let validate = |name: &str, text: &str| {
        let file = directory.join(name);
        fs::write(&file, text).unwrap();
        // ServiceMonitor comes with an operator, not with Kubernetes.
        let operators = parts::directory("bin").join("crds");
        run(fetched("bin", "kubectl-validate").arg("--local-crds").arg(operators).arg(&file)).unwrap()
    };
    for values in VALUES {
        let documents = rendered(values);
        assert_eq!(documents.contains("kind: ServiceMonitor"), values == "full");
        let (good, said) = validate(&format!("{values}.yaml"), &documents);
        assert!(good, "{values}: {said}");
        let mut keys = vec![("topologySpreadConstraints:", "topologySpreadConstrains:")];
        keys.extend((values == "full").then_some(("interval:", "intervall:")));
        for key in keys {
            let misspelt = moved(&documents, &[key]).unwrap();
            let (good, said) = validate(&format!("{values}-misspelt.yaml"), &misspelt);
            assert!(!good && said.contains(key.1.trim_end_matches(':')), "a misspelt key is taken: {said}");
        }
    }
}

#[test]
fn the_schema_refuses_values_that_cannot_work() {
    for (wrong, about) in [
        ("publicUrl=http://login.example.com", "publicUrl"),
        ("publicUrl=https://login.example.com/login", "publicUrl"),
        ("upstream.issuer=", "issuer"),
        ("upstream.issuer=http://keycloak.example.com", "issuer"),
        ("config=", "config"),
        ("image.repository=", "repository"),
        ("image.digest=sha256:12", "digest"),
        ("trustedProxies=null", "trustedProxies"),
        ("trustedProxies={everybody}", "trustedProxies"),
        ("keyring.existingSecret=", "existingSecret"),
        ("replicas=3", "replicas"),
        ("drain.delaySeconds=301", "delaySeconds"),
        ("settings.listen=0.0.0.0:80", "listen"),
    ] {
        let small = format!("{CHART}/ci/small.yaml");
        let mut template = helm("template");
        template.args(KUBERNETES).args(["tv", CHART, "--values", &small, "--set", wrong]);
        let (taken, said) = run(&mut template).unwrap();
        assert!(!taken && said.contains(about), "{wrong}: {said}");
    }
    assert!(
        !run(helm("template").args(KUBERNETES).args(["tv", CHART])).unwrap().0,
        "the defaults alone describe no service"
    );
}

#[test]
fn the_chart_sets_only_what_there_is() {
    let known = variables().unwrap();
    for values in VALUES {
        for name in environment(&rendered(values)).keys().filter(|name| name.starts_with("DEVICE_GRANT__")) {
            assert!(known.contains(name), "{values}: {name} is no setting");
        }
    }
    let cognito = environment(&rendered("cognito"));
    assert!(!cognito.contains_key("DEVICE_GRANT__UPSTREAM__ISSUER"), "an issuer that nobody wrote");
    let full = environment(&rendered("full"));
    assert_eq!(
        full["DEVICE_GRANT__LIMITS__STARTS_PER_MINUTE_OF_A_CLIENT_ALARM"], "1000000",
        "as a number, not as 1e+06"
    );
    assert_eq!(full["DEVICE_GRANT__CLIENTS__IN_STORE"], "true");
}

/// The program itself reads what the chart gives to it, secrets included.
#[test]
fn the_service_understands_what_the_chart_gives_to_it() {
    let directory = scratch("helm-config").unwrap();
    let secrets = directory.join("secrets");
    for (secret, content) in
        [("device-grant/upstream/client-secret", "secret"), ("clients/tv", "another-secret-of-some-length")]
    {
        let file = secrets.join(secret);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let keyring = secrets.join("device-grant/keyring/keyring");
    fs::create_dir_all(keyring.parent().unwrap()).unwrap();
    stdout(Command::new(binary().unwrap()).args(["init", "--keyring"]).arg(&keyring)).unwrap();
    for values in VALUES {
        let documents = rendered(values).replace("/run/secrets", &secrets.display().to_string());
        let file = directory.join(format!("{values}.toml"));
        fs::write(&file, configuration(&documents)).unwrap();
        let mut environment = environment(&documents);
        if let Some(keys) = environment.get_mut("DEVICE_GRANT__KEYRING__KEYS") {
            *keys = fs::read_to_string(&keyring).unwrap();
        }
        let mut doctor = Command::new(binary().unwrap());
        // Where the table, the pool and AWS would be, there is nobody.
        doctor.env_clear().envs(environment).env("DEVICE_GRANT__STORE__ENDPOINT_URL", "http://127.0.0.1:1");
        for (name, value) in [
            ("DEVICE_GRANT__UPSTREAM__ISSUER", "https://127.0.0.1:1/eu-west-1_abcdefghi"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ] {
            doctor.env(name, value);
        }
        let (_, said) = run(doctor.arg("doctor").arg("--config").arg(&file)).unwrap();
        // With the preset they are the pool's.
        let clients = usize::from(values != "cognito");
        for good in [&format!("ok      configuration: {clients} device clients"), "ok      keys: "] {
            assert!(said.contains(good), "{values}: {said}");
        }
    }
}

/// The migration goes to the table that the service goes to, with the credentials of the same files.
#[test]
fn the_migration_finds_what_the_service_finds() {
    for values in VALUES.into_iter().filter(|values| *values != "bare") {
        let documents = rendered(values);
        let [migration, service] = ["Job", "Deployment"].map(|kind| of_kind(&documents, kind).unwrap());
        let leads_there = |name: &String| name.contains("__STORE__") || name.starts_with("AWS_");
        let [mut one, mut other] = [migration, service].map(environment);
        one.retain(|name, _| leads_there(name));
        other.retain(|name, _| leads_there(name));
        assert_eq!(one, other, "{values}");
        assert_eq!(one.contains_key("AWS_SHARED_CREDENTIALS_FILE"), values == "full");
        for part in ["mountPath: /run/secrets/clients", "secretName: clients"] {
            assert_eq!(migration.contains(part), values == "full", "{part}");
        }
    }
}

/// Only the digest is left out there.
#[test]
fn the_values_in_the_book_are_good() {
    let page = read("docs/deploy/helm.md").unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let directory = scratch("helm-book").unwrap();
    let mut good = 0;
    for block in blocks {
        let file = directory.join("my-values.yaml");
        fs::write(&file, moved(block, &[("sha256:…", &format!("sha256:{:064}", 0))]).unwrap()).unwrap();
        let documents =
            stdout(helm("template").args(KUBERNETES).args(["login", CHART, "--values"]).arg(&file)).unwrap();
        let known = variables().unwrap();
        assert!(environment(&documents).keys().all(|name| known.contains(name)), "{documents}");
        assert!(documents.contains("name: login-device-grant\n"), "as the page calls it: {documents}");
        good += 1;
    }
    assert_eq!(good, 2, "with a pool of any kind, and with Cognito");
    let known = variables().unwrap();
    for name in page.split("DEVICE_GRANT__").skip(1) {
        let end = name.find(|letter: char| letter != '_' && !letter.is_ascii_uppercase()).unwrap();
        let name = format!("DEVICE_GRANT__{}", &name[..end]);
        assert!(known.contains(&name), "{name} is no setting");
    }
}

/// The file in the config map.
fn configuration(documents: &str) -> String {
    let file = documents.lines().skip_while(|line| !line.starts_with("  device-grant.toml: |")).skip(1);
    let lines = file.take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| line.trim_start_matches("    ").to_owned() + "\n").collect()
}

#[test]
fn a_pod_is_not_killed_while_it_drains() {
    for values in VALUES {
        let documents = rendered(values);
        let grace =
            documents.lines().find_map(|line| line.trim().strip_prefix("terminationGracePeriodSeconds: "));
        let grace: u64 = grace.unwrap().parse().unwrap();
        let environment = environment(&documents);
        let seconds =
            |name: &str| environment[&format!("DEVICE_GRANT__NETWORK__{name}")].parse::<u64>().unwrap();
        assert!(grace > seconds("DRAIN_DELAY_S") + seconds("DRAIN_TIMEOUT_S") + 3, "{values}: {grace}");
    }
}

/// No secret goes through the chart: it names those that are there.
#[test]
fn the_chart_makes_no_secret() {
    for file in fs::read_dir(root().join(CHART).join("templates")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("kind: Secret\n"), "{text}");
    }
    let pods = rendered("full");
    for guard in ["runAsNonRoot: true", "readOnlyRootFilesystem: true", "type: RuntimeDefault", "drop: [ALL]"]
    {
        assert_eq!(pods.matches(guard).count(), 2, "the service and the migration: {guard}");
    }
    assert!(read(&format!("{CHART}/values.yaml")).unwrap().contains("existingSecret: \"\""));
}
