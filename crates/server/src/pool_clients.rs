//! Device clients that are app clients of the Cognito pool.

use async_trait::async_trait;
use device_grant_aws::{AppClient, AwsProblem, Blame, UserPoolClients};
use device_grant_domain::client::{ClientSource, DeviceClient, SourceError};
use device_grant_protocol::ClientId;

use crate::config::Registrations;

/// The pool's app clients.
pub(crate) struct PoolClients {
    pub(crate) clients: UserPoolClients,
    pub(crate) registrations: Registrations,
    /// Where the pool sends browsers back to.
    pub(crate) callback_url: String,
}

#[async_trait]
impl ClientSource for PoolClients {
    async fn client(&self, id: &ClientId) -> Result<Option<DeviceClient>, SourceError> {
        // Cognito has no other ids, and is not asked for them.
        let is_possible =
            id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+".contains(&byte));
        if !is_possible {
            return Ok(None);
        }
        let found = self.clients.find(id.as_str()).await.map_err(trouble)?;
        let Some(app) = found else { return Ok(None) };
        if let Err(lack) = self.suits(&app) {
            tracing::warn!(client = %id, "the app client cannot be a device client: {lack}");
            return Ok(None);
        }
        match self.registrations.app_client(&app) {
            Ok(client) => Ok(Some(client)),
            Err(problem) => {
                tracing::warn!(client = %id, "the app client cannot be a device client: {problem}");
                Ok(None)
            }
        }
    }
}

impl PoolClients {
    /// Whether a login can end at this app client; if not, what is to be done at the pool.
    pub(crate) fn suits(&self, app: &AppClient) -> Result<(), String> {
        suits(app, &self.callback_url)
    }
}

/// Whether it is the name that the question is about, or whether another would fare no better. What is not known to be so is
/// taken for a matter of the name: a stranger's strange name must not keep others from being looked up.
fn trouble(problem: AwsProblem) -> SourceError {
    let is_about_all = problem.passes() || matches!(problem.blame, Blame::Credentials | Blame::Permission);
    let cause = problem.into();
    if is_about_all { SourceError::Away(cause) } else { SourceError::Unclear(cause) }
}

/// Whether a login can end at this app client; if not, what is to be done at the pool.
fn suits(app: &AppClient, callback_url: &str) -> Result<(), String> {
    if !app.code_grant {
        return Err("allow it the authorization code grant".to_owned());
    }
    if !app.callback_urls.iter().any(|url| url == callback_url) {
        return Err(format!("add {callback_url} to its callback URLs"));
    }
    if !app.scopes.iter().any(|scope| scope == "openid") {
        return Err("allow it the scope openid".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLBACK: &str = "https://login.example.com/callback";

    fn app() -> AppClient {
        AppClient {
            id: "4h57kl".to_owned(),
            name: "Television".to_owned(),
            secret: None,
            scopes: vec!["openid".to_owned(), "email".to_owned()],
            code_grant: true,
            callback_urls: vec!["https://app.example.com/".to_owned(), CALLBACK.to_owned()],
            rotates_refresh_tokens: false,
        }
    }

    /// An app client of somebody else's application is no device client, and the log says what is to be done.
    #[test]
    fn only_what_can_end_a_login_is_a_client() {
        assert!(suits(&app(), CALLBACK).is_ok());
        let lacks = |change: fn(&mut AppClient)| {
            let mut app = app();
            change(&mut app);
            suits(&app, CALLBACK).unwrap_err()
        };
        assert!(lacks(|app| app.code_grant = false).contains("code grant"));
        assert!(lacks(|app| app.callback_urls.truncate(1)).contains(CALLBACK));
        assert!(lacks(|app| app.scopes.remove(0).clear()).contains("openid"));
    }

    /// The directory rests when Cognito throttles, is away or lets us ask for nobody; not for what may be a name's own fault.
    #[test]
    fn only_what_hits_every_name_makes_the_directory_rest() {
        for (blame, is_about_all) in [
            (Blame::Throttled, true),
            (Blame::Away, true),
            (Blame::Credentials, true),
            (Blame::Permission, true),
            (Blame::NotFound, false),
            (Blame::Unusable, false),
        ] {
            let told = AwsProblem {
                blame,
                ..AwsProblem::unusable("cognito-idp:DescribeUserPoolClient", "the pool", "")
            };
            assert_eq!(matches!(trouble(told), SourceError::Away(_)), is_about_all, "{blame:?}");
        }
    }
}
