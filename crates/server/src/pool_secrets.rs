//! Secrets of pool clients that AWS Secrets Manager keeps.

use std::collections::HashMap;
use std::time::Duration;

use device_grant_aws::{AwsProblem, Connection, Secrets};
use device_grant_domain::client::{Clients, PoolBinding};
use device_grant_domain::pool::{PoolClient, PoolSecret};
use device_grant_domain::{Clock as _, DeviceGrant, SystemClock, Timestamp};
use device_grant_protocol::ClientSecret;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use crate::config::region_of;

/// How often a server looks whether one is missing or was refused.
pub(crate) const PERIOD: Duration = Duration::from_secs(5);
/// How long what is good is not read again.
const REST: Duration = Duration::from_mins(5);
const READ: &str = "secretsmanager:GetSecretValue";
/// Where it is in the value of a secret.
pub(crate) const MEMBER: &str = "client_secret";

/// Reads what pool clients prove themselves with.
pub(crate) struct PoolSecrets {
    /// Where a secret is that is named without its ARN.
    region: Option<String>,
    managers: HashMap<Option<String>, Secrets>,
    /// When all are read again.
    all_at: Timestamp,
}

impl PoolSecrets {
    /// Those in `region`, unless their names say otherwise.
    pub(crate) fn new(region: Option<String>) -> Self {
        Self { region, managers: HashMap::new(), all_at: SystemClock.now() + REST }
    }

    /// Reads the secrets that are kept elsewhere and not known yet, and says how many those were.
    pub(crate) async fn read_missing(
        &mut self,
        service: &PoolClient,
        clients: &Clients,
    ) -> Result<usize, AwsProblem> {
        let secrets = kept_elsewhere(service, clients).into_iter();
        let missing: Vec<_> = secrets.filter(|secret| secret.present().is_none()).collect();
        for secret in &missing {
            self.read(secret).await?;
        }
        Ok(missing.len())
    }

    /// Reads those that are missing or were refused, and at times all. To be called every [`PERIOD`].
    pub(crate) async fn look(&mut self, service: &DeviceGrant) {
        let now = SystemClock.now();
        let all = now >= self.all_at;
        if all {
            self.all_at = now + REST;
        }
        for secret in kept_elsewhere(&service.settings.service_client, &service.clients) {
            // Asked for each, so that none waits for the next look.
            let was_refused = secret.was_refused();
            if (was_refused || secret.present().is_none() || all)
                && let Err(problem) = self.read(&secret).await
            {
                tracing::error!("the secret of a pool client stays as it was: {problem}");
            }
        }
    }

    async fn read(&mut self, secret: &PoolSecret) -> Result<(), AwsProblem> {
        let place = secret.place().unwrap_or_default();
        let region = region_of(place).map(str::to_owned).or_else(|| self.region.clone());
        if !self.managers.contains_key(&region) {
            let manager = Secrets::new(&Connection::to_region(region.clone()).load().await);
            self.managers.insert(region.clone(), manager);
        }
        let value = self.managers[&region].read(place).await?;
        if secret.replace(member(place, &value)?) {
            tracing::info!(place, "the secret of a pool client was read");
        }
        Ok(())
    }
}

/// The secrets of pool clients that are to be had elsewhere.
fn kept_elsewhere(service: &PoolClient, clients: &Clients) -> Vec<PoolSecret> {
    let clients = clients.all();
    let own = clients.iter().filter_map(|client| match &client.pool_client {
        PoolBinding::Own(own) => Some(own),
        PoolBinding::Shared => None,
    });
    let secrets = own.chain([service]).filter_map(|client| client.secret.clone());
    secrets.filter(|secret| secret.place().is_some()).collect()
}

/// The client's secret in the value of a secret.
pub(crate) fn member(place: &str, value: &SecretString) -> Result<ClientSecret, AwsProblem> {
    match members(place, value)?.get(MEMBER).and_then(Value::as_str) {
        Some(secret) if !secret.is_empty() => Ok(ClientSecret::new(secret)),
        _ => Err(unusable(place, "its JSON has no text client_secret")),
    }
}

/// The value of a secret, which is a JSON object.
pub(crate) fn members(place: &str, value: &SecretString) -> Result<Map<String, Value>, AwsProblem> {
    // The words of the parser could quote the value.
    serde_json::from_str(value.expose_secret()).map_err(|_| unusable(place, "it is no JSON object"))
}

fn unusable(place: &str, why: &str) -> AwsProblem {
    let why = format!("{why}; write it as {{\"client_secret\": \"...\"}}");
    AwsProblem::unusable(READ, format!("the secret {place}"), &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a secret is told without a word of it.
    #[test]
    fn what_is_wrong_with_a_secret_is_told_without_it() {
        let read = |text: &str| member("pool-client", &SecretString::from(text));
        assert_eq!(read(r#"{"client_secret":"s3cr3t","client_id":"tv"}"#).unwrap().expose(), "s3cr3t");
        for (text, told) in [
            ("s3cr3t", "no JSON object"),
            (r#""s3cr3t""#, "no JSON object"),
            (r#"{"client_secret":5,"other":"s3cr3t"}"#, "no text client_secret"),
            (r#"{"client_secret":"","other":"s3cr3t"}"#, "no text client_secret"),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(problem.contains(told) && problem.contains("the secret pool-client"), "{problem}");
            assert!(!problem.contains("s3cr3t"), "{problem}");
        }
    }
}
