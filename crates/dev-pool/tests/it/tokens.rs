//! What is in the tokens, and who signed them.

use device_grant_dev_pool::{DevClient, SigningAlgorithm};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::{Bench, CALLBACK, jws_part};

#[tokio::test]
async fn every_algorithm_gives_signatures_that_the_published_key_verifies() {
    for (signing, algorithm) in [
        (SigningAlgorithm::Es256, Algorithm::ES256),
        (SigningAlgorithm::Es384, Algorithm::ES384),
        (SigningAlgorithm::Rs256, Algorithm::RS256),
    ] {
        let bench = Bench::with(|config| config.signing = signing).await;
        let tokens = bench.tokens("tv").await;
        let access_token = tokens["access_token"].as_str().unwrap();
        let claims = verified(&bench, &tokens["id_token"], algorithm).await.unwrap();
        assert_eq!(claims["iss"], bench.served.issuer());
        assert_eq!(claims["aud"], "tv");
        assert_eq!(claims["sub"], "dev-alice");
        assert_eq!(claims["nonce"], "n-1");
        assert_eq!(claims["name"], "Alice Example");
        assert_eq!(claims["email"], "alice@example.com");
        assert_eq!(claims["preferred_username"], "alice");
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_767_225_600), &json!(1_767_229_200)));
        assert_eq!(claims["at_hash"], expected_at_hash(signing, access_token));
        let access = verified(&bench, &tokens["access_token"], algorithm).await.unwrap();
        assert_eq!((&access["token_use"], &access["client_id"]), (&json!("access"), &json!("tv")));
        assert_eq!(tokens["token_type"], "Bearer");
        assert_eq!(tokens["expires_in"], 3600);
        assert_eq!(tokens["scope"], "openid profile");
    }
}

#[tokio::test]
async fn old_tokens_verify_after_a_rotation_until_the_old_key_is_withdrawn() {
    let bench = Bench::start().await;
    let old = bench.tokens("tv").await;
    bench.served.pool().rotate_keys();
    let new = bench.tokens("tv").await;
    assert_ne!(jws_part(&old["id_token"], 0)["kid"], jws_part(&new["id_token"], 0)["kid"]);
    assert!(verified(&bench, &old["id_token"], Algorithm::ES256).await.is_some());
    assert!(verified(&bench, &new["id_token"], Algorithm::ES256).await.is_some());
    bench.served.pool().withdraw_old_keys();
    assert!(verified(&bench, &old["id_token"], Algorithm::ES256).await.is_none());
    assert!(verified(&bench, &new["id_token"], Algorithm::ES256).await.is_some());
}

#[tokio::test]
async fn a_pairwise_client_has_a_subject_of_its_own() {
    let bench = Bench::with(|config| {
        for id in ["p1", "p2"] {
            config.clients.push(DevClient { pairwise: true, ..DevClient::public(id, CALLBACK) });
        }
        config.users[0].claims.insert("oid".into(), "o-1".into());
    })
    .await;
    let mut subjects = Vec::new();
    for client in ["tv", "p1", "p2", "p1"] {
        let claims = jws_part(&bench.tokens(client).await["id_token"], 1);
        assert_eq!(claims["oid"], "o-1");
        subjects.push(claims["sub"].clone());
    }
    assert_eq!(subjects[1], subjects[3]);
    assert_ne!(subjects[0], subjects[1]);
    assert_ne!(subjects[1], subjects[2]);
    let metadata = bench.metadata().await;
    assert_eq!(metadata["subject_types_supported"], json!(["public", "pairwise"]));
}

/// The claims, if a key of the JWKS with the token's `kid` verifies them.
pub(crate) async fn verified(bench: &Bench, token: &Value, algorithm: Algorithm) -> Option<Value> {
    let keys: JwkSet = bench.http.get(bench.url("/jwks")).send().await.unwrap().json().await.unwrap();
    let token = token.as_str().unwrap();
    let kid = decode_header(token).ok()?.kid?;
    let key = DecodingKey::from_jwk(keys.find(&kid)?).unwrap();
    let mut validation = Validation::new(algorithm);
    // The bench's clock is not the machine's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    Some(decode::<Value>(token, &key, &validation).ok()?.claims)
}

fn expected_at_hash(signing: SigningAlgorithm, access_token: &str) -> String {
    use aws_lc_rs::digest::{SHA256, SHA384, digest};
    use base64::Engine;
    let (hash, half) = if signing == SigningAlgorithm::Es384 { (&SHA384, 24) } else { (&SHA256, 16) };
    let digest = digest(hash, access_token.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest.as_ref()[..half])
}
