//! The parts themselves, before anything of ours is tested on them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use device_grant_testkit::parts::DynamoDbLocal;
use e2e::{LOGIN, POOL, World};
use serde_json::Value;
use url::Url;

const VERIFIER: &str = "a-code-verifier-of-at-least-forty-three-characters";

#[tokio::test]
async fn a_browser_signs_in_at_the_pool_by_way_of_a_third_origin() -> anyhow::Result<()> {
    let world = World::shared().await?;
    let person = world.person("parts").await?;
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
    let callback = format!("{}/callback", world.origin(LOGIN));
    let mut authorize = Url::parse(&world.pool.endpoint("auth"))?;
    authorize
        .query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", "tv")
        .append_pair("redirect_uri", &callback)
        .append_pair("scope", "openid profile offline_access")
        .append_pair("state", "a state")
        .append_pair("nonce", "a nonce")
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");

    person.open(authorize.as_str()).await?;
    let form = person.arrive_at(&world.origin(POOL)).await?;
    ensure!(form.query_pairs().any(|pair| pair == ("detour".into(), "done".into())), "no detour: {form}");
    person.sign_in("alice").await?;
    let arrived = person.arrive_at(&callback).await?;
    person.leave().await?;

    let value =
        |name: &str| arrived.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    ensure!(
        value("state").as_deref() == Some("a state") && value("iss") == Some(world.pool.issuer()),
        "{arrived}"
    );
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &value("code").context("no code")?),
        ("redirect_uri", &callback),
        ("code_verifier", VERIFIER),
    ];
    let request = world.http_client()?.post(world.pool.endpoint("token")).basic_auth("tv", Some("tv-secret"));
    let tokens: Value = request.form(&form).send().await?.error_for_status()?.json().await?;
    ensure!(tokens["refresh_token"].is_string() && tokens["id_token"].is_string(), "{tokens}");
    Ok(())
}

#[test]
fn a_store_listens_on_loopback_until_it_is_dropped() {
    let store = DynamoDbLocal::start();
    let address = store.endpoint_url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1."), "{answer}");
    drop(store);
    assert!(TcpStream::connect(&address).is_err());
}
