//! The `oauth2` crate, with a client that has a secret.

use std::time::Duration;

use anyhow::ensure;
use interop::Demo;
use oauth2::basic::BasicClient;
use oauth2::{
    ClientId, ClientSecret, DeviceAuthorizationUrl, HttpRequest, HttpResponse, RefreshToken, Scope,
    StandardDeviceAuthorizationResponse, TokenResponse as _, TokenUrl,
};

use crate::approve;

/// TP-07, RT-01: a strict client library reads every answer on the way, and refreshes.
#[tokio::test]
async fn the_oauth2_crate_completes_a_login() -> anyhow::Result<()> {
    let demo = Demo::start()?;
    let base = demo.fact("base_url")?;
    let client = BasicClient::new(ClientId::new(demo.fact("client_id")?.to_owned()))
        .set_client_secret(ClientSecret::new(demo.fact("client_secret")?.to_owned()))
        .set_token_uri(TokenUrl::new(format!("{base}/token"))?)
        .set_device_authorization_url(DeviceAuthorizationUrl::new(format!("{base}/device_authorization"))?);
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let http = |request| send(http.clone(), request);

    let start = client.exchange_device_code().add_scope(Scope::new("openid".to_owned()));
    let details: StandardDeviceAuthorizationResponse = start.request_async(&http).await?;
    let user_code = details.user_code().secret();
    let token = client.exchange_device_access_token(&details);
    let token = token.request_async(&http, tokio::time::sleep, None);
    let (token, approval) = tokio::join!(token, approve(&demo, details.verification_uri(), user_code));
    approval?;
    let token = token?;
    ensure!(!token.access_token().secret().is_empty());

    let refresh_token = token.refresh_token().map(|token| token.secret().clone());
    let refresh_token = RefreshToken::new(refresh_token.unwrap_or_default());
    let refreshed = client.exchange_refresh_token(&refresh_token).request_async(&http).await?;
    ensure!(!refreshed.access_token().secret().is_empty());
    Ok(())
}

async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let response = http.execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}
