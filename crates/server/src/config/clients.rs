//! Device clients from `[[client]]`.

use std::collections::BTreeSet;
use std::time::Duration;

use device_grant_aws::AppClient;
use device_grant_domain::client::registry::Registration;
use device_grant_domain::client::{ClientAuth, DeviceClient, Grants, PoolBinding, TokenSet};
use device_grant_domain::dpop::Dpop;
use device_grant_domain::pool::PoolSecret;
use device_grant_protocol::{
    ClientId, ClientSecret, GRANT_TYPE_DEVICE_CODE, GRANT_TYPE_REFRESH_TOKEN, Scope,
};

use super::document::{self, Settings};
use super::policies::policies;
use super::problem::Problems;
use super::{client_auth, cognito, secrets, service};

const LINES: &str = r#"at least one device client, a [[client]]. Write lines such as

[[client]]
id = "living-room-tv"
name = "Living Room TV"
auth_method = "none"
scopes = ["openid", "profile"]

with secret_file = "…" instead of auth_method for a client that has a secret. (In the environment:
DEVICE_GRANT__CLIENT, a list of such tables.)"#;

pub(super) fn build(clients: &[Settings], service: &Settings, problems: &mut Problems) -> Vec<DeviceClient> {
    let are_elsewhere = service.flag("clients.in_store") || service.flag("clients.from_pool");
    if clients.is_empty() && !are_elsewhere {
        service.miss("client", LINES, problems);
    }
    let mut ids = BTreeSet::new();
    let mut pool_ids: BTreeSet<&str> = service.text("upstream.client_id").into_iter().collect();
    let mut built = Vec::new();
    for settings in clients {
        if settings.text("client.id").is_some_and(|id| !ids.insert(id)) {
            problems.add(settings.wrong("client.id", "an id that no other client has"));
        }
        let pool_id = match settings.text("client.upstream_client_id") {
            Some("same") => settings.text("client.id"),
            other => other,
        };
        // Refresh tokens of a shared pool client must be sealed to their device client; these would not be.
        if pool_id.is_some_and(|id| !pool_ids.insert(id)) {
            let expected =
                "a pool client that nobody else here has; without this key the service's own is shared";
            problems.add(settings.wrong("client.upstream_client_id", expected));
        }
        built.extend(client(settings, service, problems));
    }
    built
}

fn client(settings: &Settings, service: &Settings, problems: &mut Problems) -> Option<DeviceClient> {
    let secret = secrets::read(settings, "client.secret", "client.secret_file", problems);
    let auth = client_auth::build(settings, secret.as_ref(), problems);
    with_auth(settings, service, (auth, secret), problems)
}

/// The client that is registered with these settings; its secrets and keys stand beside them.
pub(super) fn registered(
    settings: &Settings,
    service: &Settings,
    registration: &Registration,
    problems: &mut Problems,
) -> Option<DeviceClient> {
    const SAME: &str = "client.upstream_client_id";
    if settings.written("client.upstream_client_secret").is_some() {
        let expected =
            "upstream_client_secret_file, a file on each server: secrets are not kept in the store";
        problems.add(settings.wrong("client.upstream_client_secret", expected));
    }
    if settings.text(SAME) == Some("same") {
        let expected = "the id of a pool client: of a registered client only the hash of its secret is known";
        problems.add(settings.wrong(SAME, expected));
    }
    let auth = client_auth::registered(settings, registration, problems);
    with_auth(settings, service, (auth, None), problems)
}

/// The client that an app client of the pool is: with that id and secret, and the tokens are made for it.
pub(super) fn of_pool(app: &AppClient, service: &Settings, problems: &mut Problems) -> Option<DeviceClient> {
    let settings = document::app_client(app, problems);
    let client = client(&settings, service, problems)?;
    if matches!(client.auth, ClientAuth::None) && client.token_set.refresh && !app.rotates_refresh_tokens {
        tracing::warn!(
            client = %client.id,
            "nobody notices when a copy of its refresh token is used: turn refresh token rotation on for the app client"
        );
    }
    Some(client)
}

fn with_auth(
    settings: &Settings,
    service: &Settings,
    (auth, secret): (Option<ClientAuth>, Option<ClientSecret>),
    problems: &mut Problems,
) -> Option<DeviceClient> {
    let id = id(settings, problems);
    let pool_client = pool_binding(settings, service, secret, problems);
    let scopes = scope(settings, "client.scopes", problems);
    let extra_scopes = scope(settings, "client.extra_scopes", problems).unwrap_or_default();
    let (default_scope, scopes) = (default_scope(settings, scopes.as_ref(), problems), scopes);
    let token_set = match settings.text("client.token_set") {
        Some(text) => token_set(settings, "client.token_set", text, problems),
        None => token_set(service, "codes.token_set", service.text("codes.token_set")?, problems),
    };
    let grants = grants(settings, problems);
    let policies = policies(settings, service, problems);
    let dpop = dpop(settings, auth.as_ref(), problems);
    let id = id?;
    let refreshes = grants.refresh_token && token_set.is_some_and(|set| set.refresh);
    let is_bound = dpop == Dpop::Required || service.flag("upstream.rotates_refresh_tokens");
    if matches!(auth, Some(ClientAuth::None)) && refreshes && !is_bound {
        problems.warnings.push(format!(
            "client \"{id}\": nobody notices when a copy of its refresh token is used. Let the pool rotate refresh tokens and set \
             upstream.rotates_refresh_tokens, or set client.dpop = \"required\", or leave REFRESH out of client.token_set"
        ));
    }
    let redelivery = redelivery((settings, service), auth.as_ref(), dpop, problems);
    let client = DeviceClient {
        name: settings.text("client.name").unwrap_or(id.as_str()).to_owned(),
        id,
        auth: auth?,
        pool_client: pool_client?,
        scopes: scopes?,
        default_scope: default_scope?,
        extra_scopes,
        token_set: token_set?,
        lifetime: settings
            .whole("client.lifetime_s")
            .map(|_| service::seconds(settings, "client.lifetime_s")),
        grants,
        starts_per_minute: settings.whole("client.starts_per_minute"),
        policies,
        dpop,
        redelivery,
    };
    if service.text("upstream.preset") == Some("cognito") {
        cognito::check_client(settings, &client, problems);
    }
    Some(client)
}

fn dpop(settings: &Settings, auth: Option<&ClientAuth>, problems: &mut Problems) -> Dpop {
    const PATH: &str = "client.dpop";
    let dpop = match settings.text(PATH) {
        Some("optional") => Dpop::Optional,
        Some("required") => Dpop::Required,
        _ => Dpop::Off,
    };
    let has_own_pool_client = settings.text("client.upstream_client_id").is_some();
    if dpop.is_on() && has_own_pool_client && matches!(auth, Some(ClientAuth::None)) {
        let expected = "\"off\", or a client without upstream_client_id: through a pool client of its own a public \
                        client gets the pool's refresh tokens as they are, and nothing would bind them to its key";
        problems.add(settings.wrong(PATH, expected));
    }
    dpop
}

/// Who can fetch tokens again must be who fetched them: a public client's devices have nothing but the code.
fn redelivery(
    (settings, service): (&Settings, &Settings),
    auth: Option<&ClientAuth>,
    dpop: Dpop,
    problems: &mut Problems,
) -> Option<Duration> {
    const PATH: &str = "client.redelivery_s";
    let window = super::service::seconds(settings, PATH);
    if !window.is_zero() && matches!(auth, Some(ClientAuth::None)) && dpop != Dpop::Required {
        problems.add(settings.wrong(PATH, "0 for a public client without client.dpop = \"required\""));
    }
    let two_polls = super::service::seconds(service, "codes.interval_s") * 2;
    if !window.is_zero() && window < two_polls {
        let expected =
            format!("0, or {} at least: a device comes back at its next poll", two_polls.as_secs());
        problems.add(settings.wrong(PATH, expected));
    }
    Some(window).filter(|window| !window.is_zero())
}

fn id(settings: &Settings, problems: &mut Problems) -> Option<ClientId> {
    const PATH: &str = "client.id";
    let Some(text) = settings.text(PATH) else {
        settings.miss(PATH, "the client_id of the device", problems);
        return None;
    };
    text.parse().map_err(|error| problems.add(settings.wrong(PATH, format!("an id ({error})")))).ok()
}

fn pool_binding(
    settings: &Settings,
    service: &Settings,
    secret: Option<ClientSecret>,
    problems: &mut Problems,
) -> Option<PoolBinding> {
    const PATH: &str = "client.upstream_client_id";
    let own_secret = secrets::of_pool_client(settings, "client.upstream_client_secret", problems);
    let own = |id: &str, secret| Some(PoolBinding::Own(service::pool_client(service, id, secret)));
    match (settings.text(PATH), own_secret) {
        (None, None) => Some(PoolBinding::Shared),
        (None, Some(_)) => {
            settings.miss(PATH, "the pool client whose secret is given", problems);
            None
        }
        (Some("same"), Some(_)) => {
            problems.add(
                settings.wrong(PATH, "no secret of its own: \"same\" means the client's own id and secret"),
            );
            None
        }
        (Some("same"), None) if settings.text("client.secret_hash").is_some() => {
            let expected = "the secret itself, as secret or secret_file: at the callback the pool wants it, and a hash \
                            does not give it";
            problems.add(settings.wrong(PATH, expected));
            None
        }
        (Some("same"), None) => own(settings.text("client.id")?, secret.map(PoolSecret::from)),
        (Some(id), secret) => own(id, secret),
    }
}

fn scope(settings: &Settings, path: &str, problems: &mut Problems) -> Option<Scope> {
    let texts = settings.texts(path)?;
    let one_token = |text: &&str| !text.is_empty() && !text.contains(' ') && text.parse::<Scope>().is_ok();
    if !texts.iter().all(one_token) {
        let expected = "scopes such as \"openid\", one in each text (RFC 6749 section 3.3)";
        problems.add(settings.wrong(path, expected));
        return None;
    }
    let scope = texts.join(" ").parse();
    scope.map_err(|error| problems.add(settings.wrong(path, format!("fewer scopes ({error})")))).ok()
}

fn default_scope(settings: &Settings, scopes: Option<&Scope>, problems: &mut Problems) -> Option<Scope> {
    const PATH: &str = "client.default_scope";
    let scopes = scopes?;
    if settings.written(PATH).is_none() {
        let openid = scopes.filter(|token| token == "openid");
        return Some(if openid.is_empty() { scopes.clone() } else { openid });
    }
    let default = scope(settings, PATH, problems)?;
    if !default.within(scopes) {
        problems.add(settings.wrong(PATH, "only what client.scopes allows"));
    }
    Some(default)
}

fn token_set(settings: &Settings, path: &str, text: &str, problems: &mut Problems) -> Option<TokenSet> {
    let kinds: Vec<_> = text.split('+').map(str::trim).collect();
    let known = kinds.iter().all(|kind| ["ID", "ACCESS", "REFRESH"].contains(kind));
    if !known || !kinds.contains(&"ACCESS") {
        problems.add(settings.wrong(path, "ID, ACCESS, REFRESH joined by +, ACCESS always among them"));
        return None;
    }
    Some(TokenSet { id: kinds.contains(&"ID"), refresh: kinds.contains(&"REFRESH") })
}

fn grants(settings: &Settings, problems: &mut Problems) -> Grants {
    const PATH: &str = "client.grant_types";
    let grants = settings.texts(PATH).unwrap_or_default();
    if !grants.iter().all(|grant| [GRANT_TYPE_DEVICE_CODE, GRANT_TYPE_REFRESH_TOKEN].contains(grant)) {
        let expected = format!("{GRANT_TYPE_DEVICE_CODE} and {GRANT_TYPE_REFRESH_TOKEN} only");
        problems.add(settings.wrong(PATH, expected));
    }
    Grants {
        device_code: grants.contains(&GRANT_TYPE_DEVICE_CODE),
        refresh_token: grants.contains(&GRANT_TYPE_REFRESH_TOKEN),
    }
}
