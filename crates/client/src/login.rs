//! One login: its codes, its polls, its end.

use std::time::Duration;

use device_grant_protocol::{
    DeviceAuthorizationResponse, GRANT_TYPE_DEVICE_CODE, Scope, TOKEN_TYPE_DEVICE_CODE, TokenResponse,
};

use crate::DeviceClient;
use crate::error::{ClientError, Refusal};
use crate::pace::Pace;

/// A server may hand over a little after the codes have run out, to a device that keeps its pace.
const GRACE: Duration = Duration::from_secs(5);

/// A login that was started.
#[derive(Debug)]
pub struct Login {
    codes: DeviceAuthorizationResponse,
    pace: Pace,
}

/// How a login stands after a poll.
#[derive(Debug)]
pub enum Progress {
    /// Nobody has decided yet.
    Pending,
    /// The server is away, for this reason. The login goes on.
    Away(String),
    /// It is over.
    Done(Outcome),
}

/// How a login ended.
#[derive(Debug)]
pub enum Outcome {
    /// The person approved.
    Approved(TokenResponse),
    /// The person denied.
    Denied,
    /// Nobody decided in time.
    Expired,
}

impl Login {
    /// What to show, and for how long.
    pub fn codes(&self) -> &DeviceAuthorizationResponse {
        &self.codes
    }

    /// How long to wait before the next poll.
    pub fn wait(&self) -> Duration {
        self.pace.wait()
    }
}

impl DeviceClient {
    /// Starts a login (RFC 8628 section 3.1). Without `scope` the server chooses.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the device or the scope is not good, [`ClientError::Away`] when nothing answers.
    pub async fn start(&self, scope: Option<&Scope>) -> Result<Login, ClientError> {
        let scope = scope.filter(|scope| !scope.is_empty()).map(Scope::to_string);
        let form: Vec<_> = scope.iter().map(|scope| ("scope", scope.as_str())).collect();
        let answer = self.post(&self.endpoints.device_authorization, &form).await?;
        let codes: DeviceAuthorizationResponse = answer.into_success()?;
        Ok(Login { pace: Pace::new(codes.interval), codes })
    }

    /// Asks once how the login stands (RFC 8628 section 3.4). [`Login::wait`] before each call.
    ///
    /// # Errors
    /// Only what ends the login: [`ClientError::Refused`] for an error code that is not the flow's own, and
    /// [`ClientError::Unusable`]. A server that is away is [`Progress::Away`].
    pub async fn poll(&self, login: &mut Login) -> Result<Progress, ClientError> {
        let device_code = login.codes.device_code.expose();
        let form = [("grant_type", GRANT_TYPE_DEVICE_CODE), ("device_code", device_code)];
        let answer = match self.post(&self.endpoints.token, &form).await {
            Ok(answer) => answer,
            Err(error) => return login.goes_on_after(error),
        };
        let retry_after = answer.retry_after;
        match answer.into_success() {
            Ok(tokens) => Ok(Progress::Done(Outcome::Approved(tokens))),
            Err(ClientError::Refused(refusal)) => login.refused(refusal, retry_after),
            Err(error) => login.goes_on_after(error),
        }
    }

    /// Gives the login up, so that nobody can approve it any more: for when the person leaves the screen. False where nobody
    /// was told, because the server has no `revocation_endpoint`: its code runs out by itself. One that does not know such a
    /// thing as giving a code up says yes all the same (RFC 7009 section 2.2).
    ///
    /// # Errors
    /// [`ClientError::Away`] when nothing answers: the code may still be good, and may be given up again.
    pub async fn cancel(&self, login: &Login) -> Result<bool, ClientError> {
        let Some(revocation) = &self.endpoints.revocation else { return Ok(false) };
        let device_code = login.codes.device_code.expose();
        let form = [("token", device_code), ("token_type_hint", TOKEN_TYPE_DEVICE_CODE)];
        self.post(revocation, &form).await?.check()?;
        Ok(true)
    }

    /// Polls at the right pace until the login is over. Dropping the future stops polling; calling again goes on.
    ///
    /// # Errors
    /// As [`DeviceClient::poll`].
    pub async fn complete(&self, login: &mut Login) -> Result<Outcome, ClientError> {
        let life = Duration::from_secs(login.codes.expires_in) + login.pace.interval() + GRACE;
        let polls = async {
            loop {
                tokio::time::sleep(login.wait()).await;
                if let Progress::Done(outcome) = self.poll(login).await? {
                    return Ok(outcome);
                }
            }
        };
        // Also a server that never comes back ends the login.
        tokio::time::timeout(life, polls).await.unwrap_or(Ok(Outcome::Expired))
    }
}

impl Login {
    fn refused(&mut self, refusal: Refusal, retry_after: Option<Duration>) -> Result<Progress, ClientError> {
        match refusal.error.as_str() {
            "authorization_pending" => self.pace.pending(),
            "slow_down" => self.pace.slow_down(refusal.interval, retry_after),
            "access_denied" => return Ok(Progress::Done(Outcome::Denied)),
            "expired_token" => return Ok(Progress::Done(Outcome::Expired)),
            _ => return Err(ClientError::Refused(refusal)),
        }
        Ok(Progress::Pending)
    }

    /// Only a server that is away does not end the login.
    fn goes_on_after(&mut self, error: ClientError) -> Result<Progress, ClientError> {
        let ClientError::Away { cause, retry_after } = error else {
            return Err(error);
        };
        self.pace.away(retry_after);
        Ok(Progress::Away(cause))
    }
}
