//! The rotation of the secret that our own pool client proves itself with: Cognito makes it, Secrets Manager keeps it.
//!
//! Cognito lets an app client have two secrets, and takes both. So the next one is made beside the present one, tried, and
//! put in its place; the one before stays good until the next rotation, and nobody is ever without a good one.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};
use device_grant_aws::{AwsProblem, Blame, Connection, Secrets, Stage, UserPoolClients};
use device_grant_domain::pool::PoolClient;
use device_grant_upstream::OidcPool;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::{Config, region_of};
use crate::pool_secrets;
use crate::wiring;

/// What Cognito calls the secret, kept beside it: nothing else tells which of a client's two secrets that is.
const ID: &str = "client_secret_id";

/// A step of a rotation, as Secrets Manager names it. Each may come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Step {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];
}

/// What rotates the secret of the service's pool client.
pub(crate) struct Rotation {
    secrets: Secrets,
    clients: UserPoolClients,
    pool: Arc<OidcPool>,
    client: PoolClient,
    /// Name or ARN of the secret.
    place: String,
}

impl Rotation {
    /// What `config` describes, if its secret can be rotated. Nothing is sent yet.
    pub(crate) async fn of(config: Config) -> anyhow::Result<Self> {
        let client = config.settings.service_client;
        let place = client.secret.as_ref().and_then(|secret| secret.place().map(str::to_owned));
        let place = place.context(
            "only a secret that AWS Secrets Manager keeps is rotated: name it in upstream.client_secret_manager",
        )?;
        let cognito = config.cognito.context(
            "only Cognito can be asked for another secret of a client: it is the pool with upstream.preset = \"cognito\"",
        )?;
        let region = region_of(&place).map(str::to_owned).or(config.region);
        Ok(Self {
            secrets: Secrets::new(&Connection::to_region(region).load().await),
            clients: UserPoolClients::new(
                &Connection::to_region(Some(cognito.region)).load().await,
                cognito.pool,
            ),
            pool: wiring::pool(config.pool)?,
            client,
            place,
        })
    }

    /// The pool client whose secret it is.
    pub(crate) fn client_id(&self) -> &str {
        &self.client.client_id
    }

    /// Takes one step of the rotation that makes the version `version`, of the secret `arn` if one is named.
    pub(crate) async fn step(&self, step: Step, version: &str, arn: Option<&str>) -> anyhow::Result<()> {
        let found = self.secrets.find(&self.place).await?;
        if let Some(arn) = arn {
            ensure!(
                arn == found.arn,
                "asked to rotate {arn}, and the secret of our pool client is {}",
                found.arn
            );
        }
        if found.current.as_deref() == Some(version) {
            return Ok(());
        }
        match step {
            Step::Create => self.create(version).await,
            // Whoever made it knows it already.
            Step::Set => Ok(()),
            Step::Test => self.test(version).await,
            Step::Finish => {
                let other =
                    "another rotation has begun meanwhile, and may have deleted what this one has made";
                ensure!(found.pending.as_deref() == Some(version), other);
                Ok(self.secrets.promote(&self.place, version, found.current.as_deref()).await?)
            }
        }
    }

    async fn create(&self, version: &str) -> anyhow::Result<()> {
        if self.value(Stage::Pending, Some(version)).await?.is_some() {
            return Ok(());
        }
        let mut value = self.present().await?;
        self.make_room(&value).await?;
        let added = self.clients.add_secret(self.client_id()).await?;
        value.insert(ID.to_owned(), Value::from(added.id.as_str()));
        value.insert(pool_secrets::MEMBER.to_owned(), Value::from(added.value.expose_secret()));
        let value = SecretString::from(Value::Object(value).to_string());
        if let Err(problem) = self.secrets.put_pending(&self.place, version, &value).await {
            // Nobody will ever know it, unless it was written all the same.
            if problem.blame != Blame::Away {
                self.clients.delete_secret(self.client_id(), &added.id).await?;
            }
            return Err(problem.into());
        }
        Ok(())
    }

    /// What is in use and good. If something else has been written in its place, such as the secret of long ago by an update
    /// of a stack, that is what was in use before.
    async fn present(&self) -> anyhow::Result<Map<String, Value>> {
        for stage in [Stage::Current, Stage::Previous] {
            let Some(value) = self.value(stage, None).await? else { continue };
            if self.is_taken(&value).await? {
                return Ok(pool_secrets::members(&self.place, &value)?);
            }
        }
        bail!(
            "the pool takes neither what the secret {} holds now nor what it held before: put a good secret of {} into it",
            self.place,
            self.client_id()
        );
    }

    /// Deletes the secret that the present one has replaced, or that a rotation made which did not end well.
    async fn make_room(&self, present: &Map<String, Value>) -> anyhow::Result<()> {
        let listed = self.clients.secrets(self.client_id()).await?;
        if listed.len() < 2 {
            return Ok(());
        }
        let abandoned = match self.value(Stage::Pending, None).await? {
            Some(value) => pool_secrets::members(&self.place, &value)?.remove(ID),
            None => None,
        };
        let is = |id: &String, known: Option<&Value>| known.and_then(Value::as_str) == Some(id);
        let superfluous = match present.get(ID) {
            Some(ours) if listed.iter().any(|id| is(id, Some(ours))) => {
                listed.iter().find(|id| !is(id, Some(ours)))
            }
            _ => listed.iter().find(|id| is(id, abandoned.as_ref())),
        };
        let Some(superfluous) = superfluous else {
            bail!(
                "the app client {} has two secrets, and the secret {} does not say which of them is its own: look which one \
                 nobody needs (aws cognito-idp list-user-pool-client-secrets), and delete it",
                self.client_id(),
                self.place
            );
        };
        Ok(self.clients.delete_secret(self.client_id(), superfluous).await?)
    }

    async fn test(&self, version: &str) -> anyhow::Result<()> {
        // When a schedule is set up this step comes alone, to see whether it can be taken.
        let value = match self.value(Stage::Pending, Some(version)).await? {
            Some(value) => value,
            None => self.secrets.read(&self.place).await?,
        };
        ensure!(
            self.is_taken(&value).await?,
            "the pool does not take the new secret of {}",
            self.client_id()
        );
        Ok(())
    }

    async fn value(&self, stage: Stage, version: Option<&str>) -> Result<Option<SecretString>, AwsProblem> {
        self.secrets.find_value(&self.place, stage, version).await
    }

    /// Whether the pool takes the secret in this value.
    async fn is_taken(&self, value: &SecretString) -> anyhow::Result<bool> {
        let secret = pool_secrets::member(&self.place, value)?;
        let client = PoolClient { secret: Some(secret.into()), ..self.client.clone() };
        let taken = self.pool.takes_credentials(&client).await;
        taken.map_err(|problem| anyhow!("the pool does not say whether it takes the secret: {problem}"))
    }
}
