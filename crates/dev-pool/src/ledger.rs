//! What the pool has issued and to whom, in memory. Every change is made under one lock.

use std::collections::HashMap;
use std::time::Duration;

use device_grant_domain::Timestamp;

use crate::keys::sha256_base64url;

/// A used or expired code is remembered this long, so that its replay still ends the grant.
const CODE_MEMORY: Duration = Duration::from_hours(1);

/// One approval by one person for one client; every code and token hangs on it.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) scope: Vec<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) auth_time: Timestamp,
    /// The kind of sign-in that was asked for first: whoever signs in here has done it that way.
    pub(crate) acr: Option<String>,
    revoked: bool,
}

impl Grant {
    pub(crate) fn new(client_id: &str, session: &Session, scope: Vec<String>, nonce: Option<&str>) -> Self {
        Self {
            client_id: client_id.to_owned(),
            username: session.username.clone(),
            scope,
            nonce: nonce.map(str::to_owned),
            auth_time: session.auth_time,
            acr: None,
            revoked: false,
        }
    }

    pub(crate) fn with_acr(self, acr: Option<String>) -> Self {
        Self { acr, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrantId(u64);

/// What an authorization code is tied to (RFC 6749 §4.1.3, RFC 7636 §4.6).
pub(crate) struct CodeTerms {
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
    pub(crate) expires_at: Timestamp,
}

struct Code {
    grant: GrantId,
    terms: CodeTerms,
    used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Access,
    Refresh,
}

struct Token {
    kind: TokenKind,
    grant: GrantId,
    expires_at: Timestamp,
    /// Revoked by itself, or replaced by a rotation.
    spent: bool,
}

/// A browser that is signed in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) username: String,
    pub(crate) auth_time: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Why a grant is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `invalid_grant`, with a word to the developer.
    InvalidGrant(&'static str),
    /// `invalid_scope`: more than was granted (RFC 6749 §6).
    InvalidScope,
}

/// What became of a token that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// Revoked, or unknown: RFC 7009 §2.2 makes no difference.
    Done,
    /// It was issued to somebody else (RFC 7009 §2.1).
    OtherClient,
    /// An access token, which this pool does not revoke.
    Unsupported,
}

#[derive(Default)]
pub(crate) struct Ledger {
    grants: HashMap<GrantId, Grant>,
    codes: HashMap<String, Code>,
    tokens: HashMap<String, Token>,
    sessions: HashMap<String, Session>,
    last_grant: u64,
}

impl Ledger {
    pub(crate) fn add_code(&mut self, code: String, grant: Grant, terms: CodeTerms, now: Timestamp) {
        self.sweep(now);
        self.last_grant += 1;
        let id = GrantId(self.last_grant);
        self.grants.insert(id, grant);
        self.codes.insert(code, Code { grant: id, terms, used: false });
    }

    /// Spends a code. A second use ends the grant and with it all tokens of the first (RFC 6749 §4.1.2); a
    /// failed try by the right client spends it too, as at Keycloak.
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Result<(GrantId, Grant), Refusal> {
        let code = self.codes.get_mut(code).ok_or(Refusal::InvalidGrant("unknown code"))?;
        let grant = self.grants.get_mut(&code.grant).ok_or(Refusal::InvalidGrant("unknown code"))?;
        if grant.client_id != client_id {
            return Err(Refusal::InvalidGrant("the code was issued to another client"));
        }
        if code.used {
            grant.revoked = true;
            return Err(Refusal::InvalidGrant("the code was used before; its tokens are revoked"));
        }
        code.used = true;
        if now >= code.terms.expires_at {
            return Err(Refusal::InvalidGrant("the code has expired"));
        }
        if redirect_uri != code.terms.redirect_uri {
            return Err(Refusal::InvalidGrant("redirect_uri differs from the authorization request's"));
        }
        if sha256_base64url(verifier.as_bytes()) != code.terms.code_challenge {
            return Err(Refusal::InvalidGrant("code_verifier does not match code_challenge"));
        }
        Ok((code.grant, grant.clone()))
    }

    pub(crate) fn add_token(
        &mut self,
        token: String,
        kind: TokenKind,
        grant: GrantId,
        expires_at: Timestamp,
    ) {
        self.tokens.insert(token, Token { kind, grant, expires_at, spent: false });
    }

    /// The grant behind a refresh token, with the scope narrowed to `scope` if that is given. With `rotate` the
    /// token is spent, and use of a spent one ends the grant (RFC 9700 §4.14.2).
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        scope: Option<&str>,
        rotate: bool,
        now: Timestamp,
    ) -> Result<(GrantId, Grant), Refusal> {
        let token = self.tokens.get_mut(token).filter(|token| token.kind == TokenKind::Refresh);
        let token = token.ok_or(Refusal::InvalidGrant("unknown refresh token"))?;
        let grant =
            self.grants.get_mut(&token.grant).ok_or(Refusal::InvalidGrant("unknown refresh token"))?;
        if grant.client_id != client_id {
            return Err(Refusal::InvalidGrant("the refresh token was issued to another client"));
        }
        if token.spent {
            grant.revoked = true;
        }
        if grant.revoked {
            return Err(Refusal::InvalidGrant("the grant is revoked"));
        }
        if now >= token.expires_at {
            return Err(Refusal::InvalidGrant("the refresh token has expired"));
        }
        let mut narrowed = grant.clone();
        if let Some(scope) = scope {
            narrowed.scope = scope.split(' ').map(str::to_owned).collect();
            if narrowed.scope.iter().any(|wanted| !grant.scope.contains(wanted)) {
                return Err(Refusal::InvalidScope);
            }
        }
        token.spent = rotate;
        Ok((token.grant, narrowed))
    }

    /// Revokes a token: an access token alone, a refresh token with everything of its grant (RFC 7009 §2.1).
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str, access_tokens: bool) -> Revocation {
        let Some(token) = self.tokens.get_mut(token) else {
            return Revocation::Done;
        };
        let Some(grant) = self.grants.get_mut(&token.grant) else {
            return Revocation::Done;
        };
        if grant.client_id != client_id {
            return Revocation::OtherClient;
        }
        match token.kind {
            TokenKind::Refresh => grant.revoked = true,
            TokenKind::Access if access_tokens => token.spent = true,
            TokenKind::Access => return Revocation::Unsupported,
        }
        Revocation::Done
    }

    pub(crate) fn is_live(&self, token: &str, now: Timestamp) -> bool {
        self.tokens.get(token).is_some_and(|token| {
            let granted = self.grants.get(&token.grant).is_some_and(|grant| !grant.revoked);
            granted && !token.spent && now < token.expires_at
        })
    }

    pub(crate) fn add_session(&mut self, id: String, session: Session) {
        self.sessions.insert(id, session);
    }

    pub(crate) fn session(&self, id: &str, now: Timestamp) -> Option<Session> {
        self.sessions.get(id).filter(|session| now < session.expires_at).cloned()
    }

    /// Ends a browser's session, and only that: grants live on.
    pub(crate) fn end_session(&mut self, id: &str) {
        self.sessions.remove(id);
    }

    fn sweep(&mut self, now: Timestamp) {
        self.codes.retain(|_, code| now < code.terms.expires_at + CODE_MEMORY);
        self.tokens.retain(|_, token| now < token.expires_at);
        self.sessions.retain(|_, session| now < session.expires_at);
        let (codes, tokens) = (&self.codes, &self.tokens);
        self.grants.retain(|id, _| {
            codes.values().any(|code| code.grant == *id) || tokens.values().any(|token| token.grant == *id)
        });
    }
}
