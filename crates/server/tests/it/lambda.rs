//! `device-grant serve` where AWS Lambda runs it. A stand-in for the runtime API hands out events.

/// Built to listen, it says how to build it for AWS Lambda, and does not start.
#[cfg(not(feature = "lambda"))]
#[test]
fn without_the_feature_it_says_how_to_build() {
    use crate::support::{Directory, NOBODY, configuration, stderr};

    let directory = Directory::new();
    directory.write("device-grant.toml", &configuration(NOBODY));
    let refused =
        directory.command(&["serve"]).env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--features lambda"), "{}", stderr(&refused));
    assert!(!directory.path("device-grant.db").exists(), "nothing was opened");
}

#[cfg(feature = "lambda")]
mod invocations;
#[cfg(feature = "lambda")]
mod rotation;
