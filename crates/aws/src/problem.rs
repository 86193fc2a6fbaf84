//! What goes wrong with a call, in words for whoever has to mend it.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

/// A call that failed: what it was, on what, and why.
#[derive(Clone, Debug, thiserror::Error)]
pub struct AwsProblem {
    /// The action, as IAM names it: `kms:Decrypt`.
    pub action: &'static str,
    /// What it was done on, as an operator knows it.
    pub resource: String,
    /// Whose matter it is.
    pub blame: Blame,
    /// What AWS, or the way there, said.
    pub told: String,
}

/// Whose matter a failed call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// No credentials, or none that AWS knows: the operator's.
    Credentials,
    /// The role may not do this: the operator's.
    Permission,
    /// There is no such thing, in this region and account: the operator's.
    NotFound,
    /// It is there and cannot be used as it is: the operator's.
    Unusable,
    /// Too many calls: it passes.
    Throttled,
    /// AWS, or the way there: it passes.
    Away,
}

impl AwsProblem {
    /// What a failed call comes to.
    pub fn of<E, R>(action: &'static str, resource: impl fmt::Display, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + 'static,
    {
        let blame = match error {
            SdkError::ServiceError(answer) => blame(answer.err().code()),
            error if has_no_credentials(error) => Blame::Credentials,
            SdkError::ConstructionFailure(_) => Blame::Unusable,
            _ => Blame::Away,
        };
        Self { action, resource: resource.to_string(), blame, told: chain(error) }
    }

    /// What was found cannot be used, for this reason.
    pub fn unusable(action: &'static str, resource: impl fmt::Display, why: &str) -> Self {
        Self { action, resource: resource.to_string(), blame: Blame::Unusable, told: why.to_owned() }
    }

    /// Whether it passes by itself.
    pub fn passes(&self) -> bool {
        matches!(self.blame, Blame::Throttled | Blame::Away)
    }
}

impl fmt::Display for AwsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, resource, told, .. } = self;
        match self.blame {
            Blame::Credentials => {
                write!(
                    f,
                    "there are no AWS credentials that work for {action} on {resource}; give the process a role, or mend the credentials"
                )
            }
            Blame::Permission => {
                write!(
                    f,
                    "the AWS credentials may not {action} on {resource}; allow that in the policy of their role"
                )
            }
            Blame::NotFound => {
                write!(f, "AWS does not find {resource} ({action}); is it in another region or account?")
            }
            Blame::Unusable => write!(f, "{resource} cannot be used ({action})"),
            Blame::Throttled => write!(f, "AWS throttles {action} on {resource}"),
            Blame::Away => write!(f, "AWS does not answer {action} on {resource}"),
        }?;
        write!(f, ": {told}")
    }
}

/// By the code that AWS gives its errors.
fn blame(code: Option<&str>) -> Blame {
    match code.unwrap_or_default() {
        "AccessDeniedException" | "AccessDenied" | "NotAuthorizedException" | "UnauthorizedOperation" => {
            Blame::Permission
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "ExpiredTokenException"
        | "ExpiredToken" => Blame::Credentials,
        "ResourceNotFoundException" | "NotFoundException" => Blame::NotFound,
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "LimitExceededException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException" => Blame::Throttled,
        "InternalServiceError"
        | "InternalErrorException"
        | "InternalServerError"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "ServiceUnavailable"
        | "KeyUnavailableException"
        // What has no name comes from no service of AWS: a proxy, mostly.
        | "" => Blame::Away,
        _ => Blame::Unusable,
    }
}

fn has_no_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// What an error and its sources say, outermost first. Not its `Debug`, which holds the whole answer.
fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        source = inner.source();
    }
    told
}
