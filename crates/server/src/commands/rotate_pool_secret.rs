//! `device-grant rotate-pool-secret`.

use std::path::Path;

use device_grant_domain::{SystemEntropy, bytes};

use crate::config::{self, Environment};
use crate::rotation::{Rotation, Step};
use crate::telemetry;

pub(crate) async fn run(file: Option<&Path>, environment: &Environment) -> anyhow::Result<()> {
    let config = config::load(file, environment)?;
    telemetry::start(&config.log);
    let on_lambda = config::is_on_lambda(environment);
    #[cfg(not(feature = "lambda"))]
    anyhow::ensure!(!on_lambda, super::NOT_FOR_LAMBDA);
    let rotation = Rotation::of(config).await?;
    #[cfg(feature = "lambda")]
    if on_lambda {
        return function::serve(rotation).await;
    }
    let version = format!("{:032x}", u128::from_be_bytes(bytes(&SystemEntropy)));
    for step in Step::ALL {
        rotation.step(step, &version, None).await?;
    }
    println!(
        "The pool client {} has a new secret, and whoever serves reads it within minutes. The one before is good until the next \
         rotation.",
        rotation.client_id()
    );
    Ok(())
}

/// The rotation function of a secret.
#[cfg(feature = "lambda")]
mod function {
    use std::sync::Arc;

    use anyhow::anyhow;
    use lambda_runtime::{LambdaEvent, Runtime};
    use serde::Deserialize;
    use tower::service_fn;

    use crate::rotation::{Rotation, Step};

    /// What Secrets Manager asks for.
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Event {
        step: Step,
        /// The ARN.
        secret_id: String,
        /// The version that is made.
        client_request_token: String,
    }

    pub(super) async fn serve(rotation: Rotation) -> anyhow::Result<()> {
        let rotation = Arc::new(rotation);
        let handler = service_fn(|event: LambdaEvent<Event>| {
            let rotation = Arc::clone(&rotation);
            async move { answer(&rotation, event.payload).await }
        });
        Runtime::new(handler).run().await.map_err(|problem| anyhow!(problem))
    }

    async fn answer(rotation: &Rotation, event: Event) -> Result<(), lambda_runtime::Error> {
        let Event { step, secret_id, client_request_token } = event;
        match rotation.step(step, &client_request_token, Some(&secret_id)).await {
            Ok(()) => {
                tracing::info!(?step, client_id = rotation.client_id(), "a step of the rotation is done");
                Ok(())
            }
            Err(problem) => {
                let problem = format!("{problem:#}");
                tracing::error!(
                    ?step,
                    client_id = rotation.client_id(),
                    "a step of the rotation failed: {problem}"
                );
                Err(problem.into())
            }
        }
    }
}
