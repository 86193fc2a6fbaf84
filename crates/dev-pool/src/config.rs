//! What a development pool is told before it starts.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

/// Everything a [`DevPool`](crate::DevPool) needs to know.
#[derive(Clone, Debug)]
pub struct DevPoolConfig {
    /// The issuer. A path is kept and every endpoint lies below it; a bare origin is announced without the
    /// trailing slash, as most providers do.
    pub issuer: Url,
    /// The relying parties.
    pub clients: Vec<DevClient>,
    /// The people who can sign in.
    pub users: Vec<DevUser>,
    /// What ID and access tokens are signed with.
    pub signing: SigningAlgorithm,
    /// How long an authorization code may be redeemed. Keycloak gives a minute, Cognito five.
    pub code_lifetime: Duration,
    /// Life of ID and access tokens; the `expires_in` of the token response.
    pub token_lifetime: Duration,
    /// Life of refresh tokens.
    pub refresh_token_lifetime: Duration,
    /// How long a browser stays signed in at the pool.
    pub session_lifetime: Duration,
    /// Every refresh gives a new refresh token; use of an old one ends the whole grant (RFC 9700 §4.14.2).
    pub rotate_refresh_tokens: bool,
    /// Whether `/revoke` takes access tokens. Otherwise they are `unsupported_token_type`, as at Cognito.
    pub revoke_access_tokens: bool,
    /// Sends `iss` with every authorization response, and says so in the metadata (RFC 9207).
    pub issuer_on_callback: bool,
    /// How it does what others do otherwise.
    pub ways: Ways,
    /// Sends each authorization request on to `{this}/federation` before it is answered, as a pool does that
    /// federates sign-in. The URL must lead to this same pool; another host name for the same address
    /// (`localhost` for `127.0.0.1`) makes it another origin for the browser.
    pub further_hop: Option<Url>,
}

impl DevPoolConfig {
    /// Alice and Bob (their passwords are their names), ES256, no client.
    pub fn new(issuer: Url) -> Self {
        Self {
            issuer,
            clients: Vec::new(),
            users: vec![DevUser::named("alice", "Alice Example"), DevUser::named("bob", "Bob Example")],
            signing: SigningAlgorithm::Es256,
            code_lifetime: Duration::from_mins(1),
            token_lifetime: Duration::from_hours(1),
            refresh_token_lifetime: Duration::from_hours(30 * 24),
            session_lifetime: Duration::from_hours(8),
            rotate_refresh_tokens: false,
            revoke_access_tokens: false,
            issuer_on_callback: false,
            ways: Ways::Standard,
            further_hop: None,
        }
    }
}

/// The ways of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// As the standards have it.
    Standard,
    /// As Amazon Cognito has it, by its documents: pages and endpoints at the root of a domain (`/oauth2/authorize`,
    /// `/oauth2/token`, `/oauth2/revoke`, `/logout`), discovery below the issuer and without a word on PKCE, `logout_uri`,
    /// and no scope `offline_access`. The issuer has a path.
    Cognito,
}

/// A client of the pool.
#[derive(Clone)]
pub struct DevClient {
    /// `client_id`.
    pub client_id: String,
    /// The secret of a confidential client; a public client has none.
    pub client_secret: Option<String>,
    /// Where authorization responses may go, compared character for character.
    pub redirect_uris: Vec<String>,
    /// Where the browser may go after `/logout`.
    pub post_logout_redirect_uris: Vec<String>,
    /// Gives this client a `sub` of its own for each person (OpenID Connect Core §8.1). Each pairwise client is
    /// its own sector, so two of them never see the same `sub`.
    pub pairwise: bool,
}

impl DevClient {
    /// A confidential client.
    pub fn confidential(
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        redirect_uri: impl Into<String>,
    ) -> Self {
        Self { client_secret: Some(client_secret.into()), ..Self::public(client_id, redirect_uri) }
    }

    /// A public client.
    pub fn public(client_id: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            redirect_uris: vec![redirect_uri.into()],
            post_logout_redirect_uris: Vec::new(),
            pairwise: false,
        }
    }
}

impl fmt::Debug for DevClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevClient")
            .field("client_id", &self.client_id)
            .field("confidential", &self.client_secret.is_some())
            .field("redirect_uris", &self.redirect_uris)
            .field("post_logout_redirect_uris", &self.post_logout_redirect_uris)
            .field("pairwise", &self.pairwise)
            .finish()
    }
}

/// A person in the pool.
#[derive(Clone)]
pub struct DevUser {
    /// What the person types; also `preferred_username`.
    pub username: String,
    /// Shown on the sign-in page: this is a development pool.
    pub password: String,
    /// The public subject.
    pub sub: String,
    /// `name`.
    pub name: String,
    /// `email`.
    pub email: String,
    /// Further claims of this person's ID tokens, such as Entra's `oid`.
    pub claims: Map<String, Value>,
}

impl DevUser {
    /// A person whose password is the user name.
    pub fn named(username: &str, name: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: username.to_owned(),
            sub: format!("dev-{username}"),
            name: name.to_owned(),
            email: format!("{username}@example.com"),
            claims: Map::new(),
        }
    }
}

impl fmt::Debug for DevUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevUser")
            .field("username", &self.username)
            .field("sub", &self.sub)
            .finish_non_exhaustive()
    }
}

/// How tokens are signed (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2048 bits.
    Rs256,
}

impl SigningAlgorithm {
    /// The `alg` value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
        }
    }
}
