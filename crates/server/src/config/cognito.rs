//! Amazon Cognito as the user pool.

use device_grant_domain::client::DeviceClient;
use device_grant_upstream::Manner;
use url::Url;

use super::document::Settings;
use super::problem::Problems;
use super::service::is_loopback;

const POOL: &str = "cognito.user_pool_id";
const REGION: &str = "cognito.region";
const DOMAIN: &str = "cognito.domain";
const ISSUER: &str = "upstream.issuer";

/// Where a Cognito pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cognito {
    /// The id of the user pool.
    pub(crate) pool: String,
    /// Its AWS region.
    pub(crate) region: String,
    domain: Option<Url>,
}

impl Cognito {
    /// How its pages and endpoints are found and spoken to.
    pub(super) fn manner(&self) -> Manner {
        Manner::Cognito { domain: self.domain.clone() }
    }
}

/// The Cognito pool, where `upstream.preset` says that it is one.
pub(super) fn cognito(service: &Settings, problems: &mut Problems) -> Option<Cognito> {
    if service.text("upstream.preset") != Some("cognito") {
        for path in [POOL, DOMAIN].into_iter().filter(|path| service.written(path).is_some()) {
            problems.add(service.wrong(path, "upstream.preset = \"cognito\" beside it"));
        }
        if service.flag("clients.from_pool") {
            let expected =
                "false without upstream.preset = \"cognito\": other pools tell nobody of their clients";
            problems.add(service.wrong("clients.from_pool", expected));
        }
        return None;
    }
    let Some(pool) = service.text(POOL) else {
        service.miss(
            POOL,
            "the id of the user pool, such as eu-west-1_Ab12Cd34E (or CUP_ID in the environment)",
            problems,
        );
        return None;
    };
    // The id begins with its region.
    let region = service.text(REGION).or_else(|| pool.split_once('_').map(|(region, _)| region));
    let Some(region) = region else {
        service.miss(REGION, "the AWS region of the user pool (or CUP_REGION in the environment)", problems);
        return None;
    };
    if !pool.starts_with(&format!("{region}_")) {
        problems.add(
            service.wrong(POOL, format!("the id of a user pool of {region}, which begins with {region}_")),
        );
    }
    Some(Cognito {
        pool: pool.to_owned(),
        region: region.to_owned(),
        domain: domain(service, region, problems),
    })
}

/// The issuer of the pool. One that is written must be this pool's, wherever it is reached.
pub(super) fn issuer(service: &Settings, cognito: &Cognito, problems: &mut Problems) -> String {
    let Cognito { pool, region, .. } = cognito;
    let Some(written) = service.text(ISSUER) else {
        return format!("https://cognito-idp.{region}.amazonaws.com/{pool}");
    };
    if !written.ends_with(&format!("/{pool}")) {
        problems.add(
            service.wrong(ISSUER, format!("the issuer of the pool {pool}, or nothing: its id names it")),
        );
    }
    written.to_owned()
}

/// The origin of the pool's domain, from a prefix, a host or an origin.
fn domain(service: &Settings, region: &str, problems: &mut Problems) -> Option<Url> {
    let text = service.text(DOMAIN)?;
    let whole = if text.contains("://") {
        text.to_owned()
    } else if text.contains('.') {
        format!("https://{text}")
    } else {
        format!("https://{text}.auth.{region}.amazoncognito.com")
    };
    let url = Url::parse(&whole).ok().filter(|url| {
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        is_safe && url.path() == "/" && url.query().is_none() && url.username().is_empty()
    });
    if url.is_none() {
        let expected = "the prefix of the pool's domain, such as my-login, or the host of its custom domain";
        problems.add(service.wrong(DOMAIN, expected));
    }
    url
}

/// What `client` asks for must be what Cognito knows.
pub(super) fn check_client(settings: &Settings, client: &DeviceClient, problems: &mut Problems) {
    for (path, scope) in [("client.scopes", &client.scopes), ("client.extra_scopes", &client.extra_scopes)] {
        if scope.contains("offline_access") {
            let expected = "no offline_access: Cognito refuses it, and gives a refresh token without";
            problems.add(settings.wrong(path, expected));
        }
    }
    if !client.policies.step_up.acr_values.is_empty() {
        let expected = "nothing: Cognito's ID tokens have no acr";
        problems.add(settings.wrong("client.policies.acr_values", expected));
    }
}
