//! What a device links to log in: start, show the codes, poll, refresh (RFC 8628, RFC 6749 section 6, RFC 8414).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use device_grant_client::{Credentials, DeviceClient, Outcome};
//!
//! let issuer = "https://login.example.com".parse()?;
//! let credentials = Credentials { client_id: "living-room-tv".parse()?, secret: None };
//! let device = DeviceClient::discover(&issuer, credentials).await?;
//! let mut login = device.start(None).await?;
//! println!("Open {} and enter {}", login.codes().verification_uri, login.codes().user_code.expose());
//! match device.complete(&mut login).await? {
//!     Outcome::Approved(tokens) => drop(tokens),
//!     Outcome::Denied | Outcome::Expired => println!("Not logged in."),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! rustls wants a crypto provider before the first connection:
//! `rustls::crypto::aws_lc_rs::default_provider().install_default()`, once, early in `main`.

mod discovery;
mod error;
mod http;
mod login;
mod pace;

use device_grant_protocol::{ClientId, ClientSecret, GRANT_TYPE_REFRESH_TOKEN, RefreshToken, TokenResponse};
use url::Url;

pub use error::{ClientError, Refusal};
pub use login::{Login, Outcome, Progress};

/// Who the device is.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Its `client_id`.
    pub client_id: ClientId,
    /// Its secret; none for a public client.
    pub secret: Option<ClientSecret>,
}

/// Where a server takes starts and polls.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// `device_authorization_endpoint` (RFC 8628 section 4).
    pub device_authorization: Url,
    /// `token_endpoint` (RFC 8414 section 2).
    pub token: Url,
    /// `revocation_endpoint` (RFC 7009), where the server has one.
    pub revocation: Option<Url>,
}

impl Endpoints {
    fn require_secure(&self) -> Result<(), ClientError> {
        let all = [Some(&self.device_authorization), Some(&self.token), self.revocation.as_ref()];
        all.into_iter().flatten().try_for_each(http::require_secure)
    }
}

/// A device in front of one authorization server.
#[derive(Clone, Debug)]
pub struct DeviceClient {
    http: reqwest::Client,
    endpoints: Endpoints,
    credentials: Credentials,
}

impl DeviceClient {
    /// Finds the endpoints in the metadata of `issuer` (RFC 8414 section 3), which must name that very issuer.
    ///
    /// # Errors
    /// [`ClientError::Insecure`] for plain http beyond the loopback, [`ClientError::Unusable`] for metadata that names
    /// another issuer or no device grant, [`ClientError::Away`] when nothing answers.
    pub async fn discover(issuer: &Url, credentials: Credentials) -> Result<Self, ClientError> {
        let http = http::client()?;
        let endpoints = discovery::endpoints(&http, issuer).await?;
        Ok(Self { http, endpoints, credentials })
    }

    /// A device that knows its endpoints already.
    ///
    /// # Errors
    /// [`ClientError::Insecure`] for plain http beyond the loopback.
    pub fn new(endpoints: Endpoints, credentials: Credentials) -> Result<Self, ClientError> {
        endpoints.require_secure()?;
        Ok(Self { http: http::client()?, endpoints, credentials })
    }

    /// New tokens for a refresh token (RFC 6749 section 6). The answer may carry a new refresh token, which then
    /// replaces the old one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `invalid_grant` means that the person has to log in again;
    /// [`ClientError::Away`] that the token may still be good: try later.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<TokenResponse, ClientError> {
        let form = [("grant_type", GRANT_TYPE_REFRESH_TOKEN), ("refresh_token", token.expose())];
        self.post(&self.endpoints.token, &form).await?.into_success()
    }

    async fn post(&self, url: &Url, form: &[(&str, &str)]) -> Result<http::Answer, ClientError> {
        http::post(&self.http, url, &self.credentials, form).await
    }
}
