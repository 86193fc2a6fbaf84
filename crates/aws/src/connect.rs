//! Where AWS is connected to, with what, and how long a call may take.

use std::net::IpAddr;
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_kms::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};

/// Below the time after which AWS, or a middlebox, ends an idle connection.
const IDLE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(1);
/// The SDK's own first pause of a second would use up the whole deadline.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const ATTEMPTS: u32 = 4;

/// Where a part of AWS is.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where something compatible listens, such as DynamoDB Local; absent on AWS.
    pub endpoint_url: Option<String>,
    /// The AWS region; absent where the environment, the profile or the machine knows it.
    pub region: Option<String>,
    /// The longest one attempt may take.
    pub attempt_timeout: Duration,
    /// The longest one call may take, with its retries and with loading credentials.
    pub operation_timeout: Duration,
}

impl Connection {
    /// AWS itself, in `region` or else where the environment says.
    pub fn to_region(region: Option<String>) -> Self {
        Self {
            endpoint_url: None,
            region,
            attempt_timeout: Duration::from_secs(2),
            operation_timeout: Duration::from_secs(5),
        }
    }

    /// What a client is made of. Reads the environment and the profile, but does not connect yet.
    pub async fn load(&self) -> SdkConfig {
        let local = self.endpoint_url.as_deref().is_some_and(is_loopback);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(self.attempt_timeout)
            .operation_timeout(self.operation_timeout)
            .build();
        let retries = RetryConfig::standard().with_initial_backoff(FIRST_PAUSE).with_max_attempts(ATTEMPTS);
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client(local))
            .timeout_config(timeouts)
            .retry_config(retries)
            .region(self.region_chain(local));
        if let Some(endpoint_url) = &self.endpoint_url {
            loader = loader.endpoint_url(endpoint_url);
        }
        if local {
            loader = loader.credentials_provider(local_credentials());
        }
        loader.load().await
    }

    fn region_chain(&self, local: bool) -> RegionProviderChain {
        let configured = RegionProviderChain::first_try(self.region.clone().map(Region::new));
        if local {
            // Not the default chain: it would ask the instance metadata service and wait for nobody's answer.
            configured
                .or_else(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::from_static("us-east-1"))
        } else {
            configured.or_default_provider()
        }
    }
}

/// Those of the environment or the profile; without any, some that DynamoDB Local takes, so that it works from nothing.
fn local_credentials() -> CredentialsProviderChain {
    let any = Credentials::new("local", "local", None, None, "device-grant");
    CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new())
        .or_else("profile", ProfileFileCredentialsProvider::builder().build())
        .or_else("local", any)
}

fn http_client(local: bool) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let proxy = if local { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let mut connector = Connector::builder().pool_idle_timeout(IDLE).proxy_config(proxy);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}

/// Whether `url` names this machine: `localhost` or a loopback address.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        // A user name would make the host a matter of opinion.
        None if authority.contains('@') => return false,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only on this machine is a store asked with made-up credentials.
    #[test]
    fn loopback_is_told_from_elsewhere() {
        for local in [
            "http://127.0.0.1:8000",
            "http://localhost:8000/",
            "http://[::1]:8000",
            "http://LOCALHOST",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(local), "{local}");
        }
        for elsewhere in [
            "http://10.0.0.1:8000",
            "https://dynamodb.eu-west-1.amazonaws.com",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "http://127.0.0.1.example.com/",
            "http://[::2]:8000",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
