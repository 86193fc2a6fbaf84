//! Metadata of the authorization server (RFC 8414).

use serde::Deserialize;
use url::Url;

use crate::Endpoints;
use crate::error::ClientError;
use crate::http;

/// The members that a device needs. Everything else may be what it likes.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
}

pub(crate) async fn endpoints(client: &reqwest::Client, issuer: &Url) -> Result<Endpoints, ClientError> {
    http::require_secure(issuer)?;
    let url = well_known(issuer);
    let unusable = |cause: String| ClientError::Unusable { url: url.clone(), cause };
    let metadata: Metadata = http::get(client, &url).await?.into_success()?;
    if metadata.issuer != identifier(issuer) && metadata.issuer != issuer.as_str() {
        return Err(unusable(format!("it names the issuer {:?}", metadata.issuer)));
    }
    let device_authorization = metadata
        .device_authorization_endpoint
        .ok_or_else(|| unusable("it names no device_authorization_endpoint".to_owned()))?;
    let Metadata { token_endpoint: token, revocation_endpoint: revocation, .. } = metadata;
    let endpoints = Endpoints { device_authorization, token, revocation };
    endpoints.require_secure()?;
    Ok(endpoints)
}

/// The well-known part goes between host and path (RFC 8414 section 3.1).
fn well_known(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    let path = issuer.path().trim_end_matches('/');
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    url
}

/// The issuer as people write it: a bare origin has no slash at its end, which [`Url`] adds.
fn identifier(issuer: &Url) -> &str {
    if issuer.path() == "/" { issuer.as_str().trim_end_matches('/') } else { issuer.as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MD-01: the well-known part stands between host and path.
    #[test]
    fn the_well_known_part_stands_between_host_and_path() {
        let of = |issuer: &str| well_known(&issuer.parse().unwrap()).to_string();
        assert_eq!(of("https://a.example"), "https://a.example/.well-known/oauth-authorization-server");
        assert_eq!(of("https://a.example/t/"), "https://a.example/.well-known/oauth-authorization-server/t");
    }
}
