//! The app clients of a Cognito user pool.

use aws_config::SdkConfig;
use aws_sdk_cognitoidentityprovider::config::retry::RetryConfig;
use aws_sdk_cognitoidentityprovider::error::SdkError;
use aws_sdk_cognitoidentityprovider::operation::describe_user_pool_client::DescribeUserPoolClientError;
use aws_sdk_cognitoidentityprovider::types::{FeatureType, OAuthFlowType, UserPoolClientType};
use aws_sdk_cognitoidentityprovider::{Client, Config};
use secrecy::SecretString;

use crate::problem::AwsProblem;

const DESCRIBE: &str = "cognito-idp:DescribeUserPoolClient";
const ADD: &str = "cognito-idp:AddUserPoolClientSecret";
const LIST: &str = "cognito-idp:ListUserPoolClientSecrets";
const DELETE: &str = "cognito-idp:DeleteUserPoolClientSecret";

/// The app clients of one pool.
#[derive(Clone, Debug)]
pub struct UserPoolClients {
    client: Client,
    pool: String,
}

/// An app client, as far as it matters here.
#[derive(Clone, Debug)]
pub struct AppClient {
    /// Its `client_id`.
    pub id: String,
    /// What the pool's operator calls it.
    pub name: String,
    /// None for a public client.
    pub secret: Option<SecretString>,
    /// The scopes that it may ask for.
    pub scopes: Vec<String>,
    /// Whether it may use the pool's OAuth endpoints with the code grant.
    pub code_grant: bool,
    /// Where the pool may send browsers back to.
    pub callback_urls: Vec<String>,
    /// Whether a refresh brings another refresh token, and the old one ends.
    pub rotates_refresh_tokens: bool,
}

/// A fresh secret of an app client.
#[derive(Clone, Debug)]
pub struct AppClientSecret {
    /// What Cognito calls it.
    pub id: String,
    /// What the client proves itself with.
    pub value: SecretString,
}

impl UserPoolClients {
    /// Those of the pool of this id.
    pub fn new(config: &SdkConfig, pool: impl Into<String>) -> Self {
        Self { client: Client::new(config), pool: pool.into() }
    }

    /// The app client `id`; `None` where the pool has none of that id.
    pub async fn find(&self, id: &str) -> Result<Option<AppClient>, AwsProblem> {
        let call = self.client.describe_user_pool_client().user_pool_id(&self.pool).client_id(id);
        match call.send().await {
            Ok(found) => Ok(found.user_pool_client.map(|client| AppClient::of(id, client))),
            Err(error) if self.is_unknown_client(&error) => Ok(None),
            Err(error) => Err(AwsProblem::of(DESCRIBE, self.resource(), &error)),
        }
    }

    /// What Cognito calls the secrets of the app client `id`. There are two at most, and both are good.
    pub async fn secrets(&self, id: &str) -> Result<Vec<String>, AwsProblem> {
        let call = self.client.list_user_pool_client_secrets().user_pool_id(&self.pool).client_id(id);
        let listed = call.send().await.map_err(|error| AwsProblem::of(LIST, self.resource(), &error))?;
        let secrets = listed.client_secrets.unwrap_or_default().into_iter();
        Ok(secrets.filter_map(|secret| secret.client_secret_id).collect())
    }

    /// Lets Cognito make another secret for the app client `id`, which has one. The former stays good. Asked once: an answer
    /// that is lost leaves a secret that nobody knows.
    pub async fn add_secret(&self, id: &str) -> Result<AppClientSecret, AwsProblem> {
        let call = self.client.add_user_pool_client_secret().user_pool_id(&self.pool).client_id(id);
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let added = call
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| AwsProblem::of(ADD, self.resource(), &error))?;
        let secret = added.client_secret_descriptor.and_then(|secret| {
            Some(AppClientSecret {
                id: secret.client_secret_id?,
                value: SecretString::from(secret.client_secret_value?),
            })
        });
        secret.ok_or_else(|| AwsProblem::unusable(ADD, self.resource(), "it does not tell the secret"))
    }

    /// The app client `id` proves itself no more with the secret that Cognito calls `secret`.
    pub async fn delete_secret(&self, id: &str, secret: &str) -> Result<(), AwsProblem> {
        let call = self.client.delete_user_pool_client_secret().user_pool_id(&self.pool);
        let deleted = call.client_id(id).client_secret_id(secret).send().await;
        deleted.map(|_| ()).map_err(|error| AwsProblem::of(DELETE, self.resource(), &error))
    }

    fn resource(&self) -> String {
        format!("the user pool {}", self.pool)
    }

    /// A pool that there is not is reported by the same exception; its words name the pool. An id that breaks Cognito's own
    /// rules for ids is nobody's.
    fn is_unknown_client<R>(&self, error: &SdkError<DescribeUserPoolClientError, R>) -> bool {
        match error.as_service_error() {
            Some(DescribeUserPoolClientError::ResourceNotFoundException(inner)) => {
                !inner.message().unwrap_or_default().contains(&self.pool)
            }
            Some(DescribeUserPoolClientError::InvalidParameterException(inner)) => {
                inner.message().unwrap_or_default().contains("clientId")
            }
            _ => false,
        }
    }
}

impl AppClient {
    fn of(id: &str, client: UserPoolClientType) -> Self {
        let rotation = client.refresh_token_rotation;
        Self {
            id: id.to_owned(),
            name: client.client_name.unwrap_or_else(|| id.to_owned()),
            secret: client.client_secret.map(SecretString::from),
            scopes: client.allowed_o_auth_scopes.unwrap_or_default(),
            code_grant: client.allowed_o_auth_flows_user_pool_client == Some(true)
                && client.allowed_o_auth_flows.unwrap_or_default().contains(&OAuthFlowType::Code),
            callback_urls: client.callback_urls.unwrap_or_default(),
            rotates_refresh_tokens: rotation.is_some_and(|rotation| rotation.feature == FeatureType::Enabled),
        }
    }
}
