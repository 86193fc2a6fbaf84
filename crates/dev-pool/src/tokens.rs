//! The token response: ID token, access token, refresh token.

use std::time::Duration;

use device_grant_domain::Timestamp;
use serde_json::{Map, Value, json};

use crate::config::{DevClient, DevUser};
use crate::faults::Behaviour;
use crate::keys::{at_hash, sha256_base64url};
use crate::ledger::{Grant, GrantId, TokenKind};
use crate::pool::DevPool;

/// Which grant a token response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// The code flow: nonce, and always a refresh token, as Cognito has it.
    Code,
    /// A refresh: no nonce (OpenID Connect Core §12.2), and a new refresh token only with rotation.
    Refresh,
}

/// Issues the tokens of `grant` and writes them down. `None` if the person has left the pool.
pub(crate) fn respond(pool: &DevPool, id: GrantId, grant: &Grant, answering: Answering) -> Option<Value> {
    let user = pool.user(&grant.username)?;
    let client = pool.client(&grant.client_id)?;
    let behaviour = pool.faults().behaviour();
    let (now, config) = (pool.now(), pool.config());

    let access_token = access_token(pool, client, user, grant, now);
    pool.ledger().add_token(access_token.clone(), TokenKind::Access, id, now + config.token_lifetime);

    let mut response = Map::new();
    if grant.scope.iter().any(|scope| scope == "openid") {
        let nonce = grant.nonce.as_deref().filter(|_| answering == Answering::Code);
        let mut claims = id_claims(pool, client, user, grant, now);
        claims.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.into())));
        claims.insert("at_hash".into(), at_hash(config.signing, &access_token).into());
        response.insert("id_token".into(), sign_id_token(pool, claims, &behaviour).into());
    }
    if answering == Answering::Code || config.rotate_refresh_tokens {
        let refresh_token = pool.random_token();
        let expires_at = now + config.refresh_token_lifetime;
        pool.ledger().add_token(refresh_token.clone(), TokenKind::Refresh, id, expires_at);
        response.insert("refresh_token".into(), refresh_token.into());
    }
    response.insert("access_token".into(), access_token.into());
    response.insert("token_type".into(), "Bearer".into());
    response.insert("expires_in".into(), config.token_lifetime.as_secs().into());
    response.insert("scope".into(), grant.scope.join(" ").into());
    behaviour.token_response.apply(&mut response);
    Some(Value::Object(response))
}

fn sign_id_token(pool: &DevPool, mut claims: Map<String, Value>, behaviour: &Behaviour) -> String {
    behaviour.id_token_claims.apply(&mut claims);
    let keys = pool.keys();
    let mut header = keys.header();
    behaviour.id_token_header.apply(&mut header);
    keys.sign(header, &claims, behaviour.id_token_signature)
}

fn access_token(pool: &DevPool, client: &DevClient, user: &DevUser, grant: &Grant, now: Timestamp) -> String {
    let mut claims = common_claims(pool, client, user, now, pool.config().token_lifetime);
    claims.insert("client_id".into(), client.client_id.as_str().into());
    claims.insert("scope".into(), grant.scope.join(" ").into());
    claims.insert("token_use".into(), "access".into());
    claims.insert("username".into(), user.username.as_str().into());
    let keys = pool.keys();
    keys.sign(keys.header(), &claims, None)
}

fn id_claims(
    pool: &DevPool,
    client: &DevClient,
    user: &DevUser,
    grant: &Grant,
    now: Timestamp,
) -> Map<String, Value> {
    let mut claims = common_claims(pool, client, user, now, pool.config().token_lifetime);
    claims.insert("aud".into(), client.client_id.as_str().into());
    claims.insert("auth_time".into(), grant.auth_time.as_secs().into());
    claims.extend(grant.acr.as_deref().map(|acr| ("acr".to_owned(), acr.into())));
    claims.insert("token_use".into(), "id".into());
    claims.insert("name".into(), user.name.as_str().into());
    claims.insert("email".into(), user.email.as_str().into());
    claims.insert("preferred_username".into(), user.username.as_str().into());
    claims.extend(user.claims.clone());
    claims
}

fn common_claims(
    pool: &DevPool,
    client: &DevClient,
    user: &DevUser,
    now: Timestamp,
    lifetime: Duration,
) -> Map<String, Value> {
    let claims = json!({
        "iss": pool.issuer(),
        "sub": subject(client, user),
        "iat": now.as_secs(),
        "exp": (now + lifetime).as_secs(),
        // Two tokens of the same second must still be two tokens.
        "jti": pool.random_token(),
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}

/// `sub`: the person's own, or one that only this client sees.
fn subject(client: &DevClient, user: &DevUser) -> String {
    if client.pairwise {
        sha256_base64url(format!("pairwise\0{}\0{}", client.client_id, user.sub).as_bytes())
    } else {
        user.sub.clone()
    }
}
