//! The browser's side: `/authorize`, `/sign-in`, `/logout`.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use scraper::{Html, Selector};
use serde_json::Value;
use url::Url;

use crate::support::{Bench, CALLBACK, jws_part, query_value};
use device_grant_dev_pool::{Endpoint, Person};

#[tokio::test]
async fn a_whole_login_by_browser_gives_tokens() {
    let bench = Bench::start().await;
    let metadata = bench.metadata().await;
    assert_eq!(metadata["issuer"], bench.served.issuer());
    let authorize = bench.authorize_url("tv", &[]);
    let announced = Url::parse(metadata["authorization_endpoint"].as_str().unwrap()).unwrap();
    assert_eq!(announced.path(), authorize.path());

    let (callback, _) = sign_in_by_hand(&bench, &authorize).await;
    assert!(callback.as_str().starts_with(CALLBACK));
    assert_eq!(query_value(&callback, "state").unwrap(), "st & te");
    assert_eq!(query_value(&callback, "iss"), None);
    let tokens = bench.exchange("tv", &query_value(&callback, "code").unwrap()).await;
    assert_eq!(tokens.headers()["cache-control"], "no-store");
    let tokens: Value = tokens.json().await.unwrap();
    assert!(tokens["refresh_token"].is_string());
    assert_eq!(jws_part(&tokens["id_token"], 1)["nonce"], "n-1");
}

#[tokio::test]
async fn a_browser_that_is_signed_in_sees_no_page_unless_one_is_asked_for() {
    let bench = Bench::start().await;
    let mut authorize = bench.authorize_url("app", &[]);
    let (_, cookie) = sign_in_by_hand(&bench, &authorize).await;
    let silent = bench.http.get(authorize.clone()).header(COOKIE, &cookie).send().await.unwrap();
    assert!(query_value(&location(&silent), "code").is_some());
    authorize.query_pairs_mut().append_pair("prompt", "login");
    let asked = bench.http.get(authorize).header(COOKIE, cookie).send().await.unwrap();
    assert_eq!(asked.status(), 200);
}

#[tokio::test]
async fn a_wrong_password_shows_the_page_again_with_the_name_escaped() {
    let bench = Bench::start().await;
    let mut nobody = Person::new(bench.served.pool(), "\"><script>", "x");
    let stranded = nobody.visit(&bench.authorize_url("tv", &[])).await.unwrap_err();
    assert_eq!(stranded.status, 400);
    assert!(stranded.page.contains("do not match"));
    assert!(!stranded.page.contains("<script>"));
    let mut impostor = Person::new(bench.served.pool(), "bob", "alice");
    assert_eq!(impostor.visit(&bench.authorize_url("tv", &[])).await.unwrap_err().status, 400);
}

#[tokio::test]
async fn cancel_tells_the_client_access_denied() {
    let bench = Bench::start().await;
    let callback = bench.alice().cancel(&bench.authorize_url("app", &[])).await.unwrap();
    assert_eq!(query_value(&callback, "error").unwrap(), "access_denied");
    assert_eq!(query_value(&callback, "state").unwrap(), "st & te");
    assert_eq!(query_value(&callback, "code"), None);
}

#[tokio::test]
async fn prompt_none_never_shows_a_page() {
    let bench = Bench::start().await;
    let mut alice = bench.alice();
    let silent = bench.authorize_url("tv", &[("prompt", "none")]);
    let callback = alice.visit(&silent).await.unwrap();
    assert_eq!(query_value(&callback, "error").unwrap(), "login_required");

    alice.visit(&bench.authorize_url("tv", &[])).await.unwrap();
    assert!(query_value(&alice.visit(&silent).await.unwrap(), "code").is_some());
    alice.forget_cookies();
    assert!(query_value(&alice.visit(&silent).await.unwrap(), "error").is_some());
}

#[tokio::test]
async fn max_age_and_the_session_end_by_the_clock() {
    let bench = Bench::start().await;
    let mut alice = bench.alice();
    alice.visit(&bench.authorize_url("tv", &[])).await.unwrap();
    bench.clock.advance(Duration::from_secs(100));
    let aged = [("prompt", "none"), ("max_age", "99")];
    let error = alice.visit(&bench.authorize_url("tv", &aged)).await.unwrap();
    assert_eq!(query_value(&error, "error").unwrap(), "login_required");
    let young = [("prompt", "none"), ("max_age", "100")];
    assert!(query_value(&alice.visit(&bench.authorize_url("tv", &young)).await.unwrap(), "code").is_some());

    bench.clock.advance(bench.served.pool().config().session_lifetime);
    let error = alice.visit(&bench.authorize_url("tv", &[("prompt", "none")])).await.unwrap();
    assert_eq!(query_value(&error, "error").unwrap(), "login_required");
}

#[tokio::test]
async fn what_cannot_be_trusted_never_leaves_the_pool() {
    let bench = Bench::start().await;
    let good = bench.authorize_url("tv", &[]);
    let replaced = |from: &str, to: &str| Url::parse(&good.as_str().replacen(from, to, 1)).unwrap();
    for refused in [
        replaced("client_id=tv", "client_id=nobody"),
        replaced("client.test%2Fcallback", "client.test%2Fcallback%2F"),
        bench.authorize_url("tv", &[("redirect_uri", "http://evil.test/")]),
        bench.authorize_url("tv", &[("state", "again")]),
    ] {
        assert_eq!(bench.alice().visit(&refused).await.unwrap_err().status, 400, "{refused}");
    }
    for (refused, error) in [
        (replaced("response_type=code", "response_type=token"), "unsupported_response_type"),
        (replaced("response_type=code", "x=y"), "invalid_request"),
        (replaced("method=S256", "method=plain"), "invalid_request"),
        (replaced("code_challenge=", "x="), "invalid_request"),
        (replaced("code_challenge=", "code_challenge=A"), "invalid_request"),
    ] {
        let callback = bench.alice().visit(&refused).await.unwrap();
        assert_eq!(query_value(&callback, "error").unwrap(), error, "{refused}");
    }
}

#[tokio::test]
async fn a_pool_below_a_path_with_a_further_hop_works_alike() {
    let bench = Bench::with(|config| {
        config.issuer.set_path("/eu/pool");
        config.issuer_on_callback = true;
        let port = config.issuer.port().unwrap();
        config.further_hop = Some(Url::parse(&format!("http://localhost:{port}/eu/pool")).unwrap());
    })
    .await;
    assert!(bench.served.issuer().ends_with("/eu/pool"));
    let callback = bench.alice().visit(&bench.authorize_url("app", &[])).await.unwrap();
    assert_eq!(query_value(&callback, "iss").unwrap(), bench.served.issuer());
    let paths: Vec<_> =
        bench.served.pool().requests().all().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/eu/pool/authorize", "/eu/pool/federation", "/eu/pool/sign-in"]);
    let response = bench.exchange("app", &query_value(&callback, "code").unwrap()).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn sign_out_ends_the_browser_session_and_not_the_refresh_token() {
    let bench = Bench::start().await;
    let mut alice = bench.alice();
    let callback = alice.visit(&bench.authorize_url("tv", &[])).await.unwrap();
    let response = bench.exchange("tv", &query_value(&callback, "code").unwrap()).await;
    let tokens: Value = response.json().await.unwrap();

    alice.sign_out().await;
    let silent = alice.visit(&bench.authorize_url("tv", &[("prompt", "none")])).await.unwrap();
    assert_eq!(query_value(&silent, "error").unwrap(), "login_required");
    assert_eq!(bench.refresh("tv", tokens["refresh_token"].as_str().unwrap()).await.status(), 200);
}

#[tokio::test]
async fn sign_out_goes_on_to_registered_addresses_only() {
    let bench = Bench::start().await;
    let tokens = bench.tokens("tv").await;
    let logout = |pairs: &[(&str, &str)]| Url::parse_with_params(&bench.url("/logout"), pairs).unwrap();
    let bye = ("post_logout_redirect_uri", "http://client.test/bye");
    let hint = ("id_token_hint", tokens["id_token"].as_str().unwrap());
    for who in [("client_id", "tv"), hint] {
        let target = bench.alice().visit(&logout(&[who, bye, ("state", "s")])).await.unwrap();
        assert_eq!(target.as_str(), "http://client.test/bye?state=s");
    }
    for refused in [
        logout(&[bye]),
        logout(&[("client_id", "app"), bye]),
        logout(&[("client_id", "tv"), ("post_logout_redirect_uri", "http://evil.test/")]),
    ] {
        assert_eq!(bench.alice().visit(&refused).await.unwrap_err().status, 400);
    }
    assert_eq!(bench.served.pool().requests().count(Endpoint::Logout), 5);
}

/// Goes through the sign-in page as Alice's browser does: the callback, and the session cookie.
async fn sign_in_by_hand(bench: &Bench, authorize: &Url) -> (Url, String) {
    let page = bench.http.get(authorize.clone()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
    let page = page.text().await.unwrap();
    assert!(page.contains("Development user pool — never for production"));
    let (action, mut form) = form_of(&page);
    form.extend(["username", "password"].map(|field| (field.to_owned(), "alice".to_owned())));
    let target = authorize.join(&action).unwrap();
    let signed_in = bench.http.post(target).form(&form).send().await.unwrap();
    assert_eq!(signed_in.status(), 303);
    let cookie = signed_in.headers()[SET_COOKIE].to_str().unwrap();
    (location(&signed_in), cookie.split(';').next().unwrap().to_owned())
}

fn location(response: &Response) -> Url {
    Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap()
}

/// Action and hidden fields of the only form, with the first button pressed, as the Enter key does.
fn form_of(page: &str) -> (String, Vec<(String, String)>) {
    let page = Html::parse_document(page);
    let one = |selector: &str| page.select(&Selector::parse(selector).unwrap()).next().unwrap().value();
    let pair = |selector: &str| {
        let field = one(selector);
        (field.attr("name").unwrap().to_owned(), field.attr("value").unwrap().to_owned())
    };
    (one("form").attr("action").unwrap().to_owned(), vec![pair("input[type=hidden]"), pair("button")])
}
