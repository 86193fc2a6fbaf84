//! Tokens on their way to the device: hand-over, refresh (RFC 6749 section 6) and revocation (RFC 7009).

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use device_grant_protocol::{RefreshToken, Scope, TokenResponse};

use crate::audit::{About, Event};
use crate::client::{DeviceClient, PoolBinding};
use crate::dpop::{Proof, ProofError};
use crate::exchange::StoredTokens;
use crate::ids::KeyThumbprint;
use crate::keyring::{OpenError, Purpose};
use crate::network::Network;
use crate::pool::{RefreshError, RevokeError};
use crate::request::DeviceRequest;
use crate::service::DeviceGrant;

/// What an enveloped refresh token begins with.
const ENVELOPE_PREFIX: &str = "dgr1.";
const ENVELOPE_LABEL: &str = "refresh-token";

/// Why a refresh token was not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshRefusal {
    /// The client does not have this grant.
    #[error("the client may not use the refresh token grant")]
    UnauthorizedClient,
    /// Unknown, another client's, or refused by the pool itself.
    #[error("the refresh token is not good")]
    InvalidGrant,
    /// The proof of the device's key is missing or was used before.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// More than the client may have, or refused by the pool itself.
    #[error("the scope is not good")]
    InvalidScope,
    /// The pool has refused this client in this network too often: wait. The token may still be good.
    #[error("too many refresh tokens from this network were not good")]
    TooMany(Duration),
    /// Anything else. The token may still be good (RT-05).
    #[error("no answer from the pool")]
    Unavailable,
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeRefusal {
    /// Such tokens cannot be revoked here.
    #[error("tokens of this type cannot be revoked")]
    UnsupportedTokenType,
    /// Too many tokens were revoked from this network: wait.
    #[error("too many revocations from this network")]
    TooMany(Duration),
    /// A device code was to be given up, and the proof of its key is missing or was used before.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Nothing is known.
    #[error("no answer from the pool")]
    Unavailable,
}

impl DeviceGrant {
    /// The answer to the device. The time that the tokens waited is taken off their life (TP-08).
    pub(crate) fn response(
        &self,
        (client, proof): (&DeviceClient, Option<&Proof>),
        request: &DeviceRequest,
        tokens: StoredTokens,
    ) -> TokenResponse {
        let expires_in = tokens.expires_at.map(|at| at.since(self.now()).as_secs());
        let granted = tokens.response.scope.clone().unwrap_or_else(|| request.scope.clone());
        let scope = (granted != request.asked_scope).then_some(granted);
        let bound_to = proof.and_then(|proof| proof.binds(client));
        self.for_device((client, bound_to), TokenResponse { expires_in, scope, ..tokens.response })
    }

    /// Tokens whose access token ran out while it waited, renewed: by the poll that won them, so once. If the pool does not
    /// answer the device gets them as they are, with no life left, and refreshes by itself.
    pub(crate) async fn renewed(&self, client: &DeviceClient, tokens: StoredTokens) -> StoredTokens {
        let Some(refresh_token) = tokens.response.refresh_token.clone() else { return tokens };
        match self.pool.refresh(self.pool_client(client), &refresh_token, None).await {
            Ok(fresh) => {
                let response = TokenResponse {
                    refresh_token: fresh.refresh_token.or(Some(refresh_token)),
                    id_token: fresh.id_token.or(tokens.response.id_token),
                    scope: fresh.scope.or(tokens.response.scope),
                    ..fresh
                };
                StoredTokens::received(response, self.now())
            }
            Err(problem) => {
                tracing::warn!(client = %client.id, %problem, "tokens that ran out were not renewed");
                tokens
            }
        }
    }

    /// Refreshes for an authenticated client.
    pub async fn refresh(
        self: &Arc<Self>,
        client: &DeviceClient,
        asked: (&RefreshToken, Option<&Scope>),
        proof: Option<&Proof>,
        network: Network,
    ) -> Result<TokenResponse, RefreshRefusal> {
        let refreshed = self.try_refresh(client, asked, proof, network).await;
        let told = |outcome| self.audit(Event::Refresh, outcome, About::client(client, network));
        match &refreshed {
            Ok(_) => self.count(Event::Refresh, "refreshed", &client.id),
            Err(RefreshRefusal::InvalidGrant) => told("invalid_grant"),
            Err(RefreshRefusal::TooMany(_)) => told("too_many"),
            Err(_) => {}
        }
        refreshed
    }

    /// One call to the pool, never a second (RT-04). A refresh token that is bound to a key is good with a fresh proof of
    /// that key only, and so is the next one (DP-10).
    async fn try_refresh(
        self: &Arc<Self>,
        client: &DeviceClient,
        (token, scope): (&RefreshToken, Option<&Scope>),
        proof: Option<&Proof>,
        network: Network,
    ) -> Result<TokenResponse, RefreshRefusal> {
        if !client.grants.refresh_token {
            return Err(RefreshRefusal::UnauthorizedClient);
        }
        // The ceiling holds for as long as a login lives, not only for its start.
        if scope.is_some_and(|scope| !scope.within(&client.ceiling())) {
            return Err(RefreshRefusal::InvalidScope);
        }
        client.dpop.demand(proof)?;
        let Opened { token, bound_to, old_key } = match self.open_envelope(client, token.expose()) {
            Ok(Some(opened)) => opened,
            Ok(None) | Err(OpenError::Broken) => return Err(RefreshRefusal::InvalidGrant),
            Err(unknown @ OpenError::UnknownKey(_)) => {
                tracing::error!(client = %client.id, error = %unknown, "a refresh token cannot be opened");
                return Err(RefreshRefusal::Unavailable);
            }
        };
        if bound_to.is_some() && bound_to.as_ref() != proof.map(Proof::key) {
            return Err(RefreshRefusal::InvalidGrant);
        }
        self.spend_proof(proof).await.map_err(|unavailable| {
            tracing::warn!(client = %client.id, error = %unavailable, "a proof cannot be decided");
            RefreshRefusal::Unavailable
        })??;
        self.reserve_pool_call(client.id.as_str(), network).map_err(RefreshRefusal::TooMany)?;
        match self.refresh_at_pool(self.pool_client(client), &token, scope).await {
            Ok(mut response) => {
                self.give_pool_call_back(client.id.as_str(), network);
                if let Some(number) = old_key {
                    // Whoever retires a key wants to know that it is still in use.
                    self.key_watch.note_use(number, self.now());
                    // Sealed anew also where the pool goes on with the same token, so that the old key can go some day.
                    response.refresh_token = response.refresh_token.or(Some(token));
                }
                let bound_to = bound_to.as_ref().or(proof.and_then(|proof| proof.binds(client)));
                Ok(self.for_device((client, bound_to), response))
            }
            Err(RefreshError::Refused) => Err(RefreshRefusal::InvalidGrant),
            Err(RefreshError::InvalidScope) => Err(RefreshRefusal::InvalidScope),
            Err(RefreshError::Unavailable(cause)) => {
                tracing::warn!(client = %client.id, %cause, "a refresh was not answered");
                Err(RefreshRefusal::Unavailable)
            }
        }
    }

    /// Revokes for an authenticated client. A token that is not this client's is unknown, and unknown tokens are no
    /// error (RFC 7009 section 2.2).
    pub async fn revoke(
        &self,
        client: &DeviceClient,
        (token, hint): (&str, Option<&str>),
        network: Network,
    ) -> Result<(), RevokeRefusal> {
        let token = match self.open_envelope(client, token) {
            // Whoever gives a token up need not show the key: it does not get anything.
            Ok(Some(opened)) => opened.token,
            Ok(None) if hint == Some("access_token") || is_jwt(token) => {
                return Err(RevokeRefusal::UnsupportedTokenType);
            }
            Ok(None) | Err(OpenError::Broken) => return Ok(()),
            Err(unknown @ OpenError::UnknownKey(_)) => {
                tracing::error!(client = %client.id, error = %unknown, "a refresh token cannot be opened");
                return Err(RevokeRefusal::Unavailable);
            }
        };
        // Whatever it is of, the pool says yes (RFC 7009 section 2.2): each may be made up, or the same as before.
        self.reserve_pool_call(client.id.as_str(), network).map_err(RevokeRefusal::TooMany)?;
        match self.pool.revoke(self.pool_client(client), token.expose(), hint).await {
            Ok(()) => {
                self.audit(Event::Revoke, "revoked", About::client(client, network));
                Ok(())
            }
            Err(RevokeError::UnsupportedTokenType) => Err(RevokeRefusal::UnsupportedTokenType),
            Err(RevokeError::Unavailable(cause)) => {
                tracing::warn!(client = %client.id, %cause, "a revocation was not answered");
                Err(RevokeRefusal::Unavailable)
            }
        }
    }

    /// Leaves out what is not in the client's token set, and seals the refresh token where the pool client is shared. What
    /// a pool puts into an access token beyond what was asked for cannot be taken out again; the trail tells of it.
    fn for_device(
        &self,
        (client, bound_to): (&DeviceClient, Option<&KeyThumbprint>),
        response: TokenResponse,
    ) -> TokenResponse {
        if response.scope.as_ref().is_some_and(|scope| !scope.within(&client.ceiling())) {
            let about = About { client: Some(&client.id), ..About::default() };
            self.audit(Event::HandOver, "more_scope_than_allowed", about);
        }
        let refresh_token = response.refresh_token.filter(|_| client.token_set.refresh);
        TokenResponse {
            refresh_token: refresh_token.map(|token| self.envelope((client, bound_to), token)),
            id_token: response.id_token.filter(|_| client.token_set.id),
            ..response
        }
    }

    /// `dgr1.` and the token, sealed to the client; if it is bound to a key, with the key's thumbprint in between, sealed
    /// along.
    fn envelope(
        &self,
        (client, bound_to): (&DeviceClient, Option<&KeyThumbprint>),
        token: RefreshToken,
    ) -> RefreshToken {
        match client.pool_client {
            PoolBinding::Own(_) => token,
            PoolBinding::Shared => {
                let (aad, token) = (envelope_aad(client, bound_to), token.expose().as_bytes());
                let sealed = self.keyring.seal(Purpose::Durable, ENVELOPE_LABEL, &aad, token);
                let bound_to = bound_to.map(|key| format!("{key}.")).unwrap_or_default();
                let sealed = BASE64_URL_SAFE_NO_PAD.encode(sealed);
                RefreshToken::new(format!("{ENVELOPE_PREFIX}{bound_to}{sealed}"))
            }
        }
    }

    /// The pool's refresh token; `None` if what came is no envelope but should be one.
    fn open_envelope(&self, client: &DeviceClient, token: &str) -> Result<Option<Opened>, OpenError> {
        if let PoolBinding::Own(_) = client.pool_client {
            return Ok(Some(Opened { token: RefreshToken::new(token), bound_to: None, old_key: None }));
        }
        let Some(encoded) = token.strip_prefix(ENVELOPE_PREFIX) else {
            return Ok(None);
        };
        let (bound_to, encoded) = match encoded.split_once('.') {
            Some((key, encoded)) => (Some(KeyThumbprint::from_stored(key)), encoded),
            None => (None, encoded),
        };
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| OpenError::Broken)?;
        let aad = envelope_aad(client, bound_to.as_ref());
        let opened = self.keyring.open(Purpose::Durable, ENVELOPE_LABEL, &aad, &sealed)?;
        let token = String::from_utf8(opened).map_err(|_| OpenError::Broken)?;
        let active = self.keyring.active(Purpose::Durable);
        let old_key = sealed.first().copied().filter(|number| *number != active);
        Ok(Some(Opened { token: RefreshToken::new(token), bound_to, old_key }))
    }
}

/// What was in an envelope.
struct Opened {
    token: RefreshToken,
    bound_to: Option<KeyThumbprint>,
    /// The key that it was sealed with, if that is not the active one any more.
    old_key: Option<u8>,
}

/// No `client_id` holds a NUL.
fn envelope_aad(client: &DeviceClient, bound_to: Option<&KeyThumbprint>) -> Vec<u8> {
    let key = bound_to.map(|key| format!("\0{key}")).unwrap_or_default();
    format!("{}{key}", client.id).into_bytes()
}

/// Three dotted parts: what pools use for access tokens.
fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3 && token.starts_with("ey")
}
