//! `rotate-pool-secret` as the rotation function of a secret.

use std::time::Duration;

use device_grant_testkit::LambdaFunction;
use serde_json::{Value, json};

use crate::aws::rotation::{Bench, FIRST};
use crate::aws::vault::ARN;

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

async fn function(bench: &Bench) -> LambdaFunction {
    let command = bench.aws.command(&bench.directory, &["rotate-pool-secret"]);
    let started = LambdaFunction::start("rotation", &command, Duration::from_secs(30)).await;
    started.unwrap_or_else(|said| panic!("{said}"))
}

async fn take(function: &mut LambdaFunction, step: &str, arn: &str, version: &str) -> Result<Value, Value> {
    let event = json!({ "Step": step, "SecretId": arn, "ClientRequestToken": version });
    function.invoke(&event.to_string()).await
}

/// Secrets Manager tries the function by one step alone when a schedule is set up; later it asks for all four, and for any of
/// them again when it has not heard.
#[tokio::test(flavor = "multi_thread")]
async fn each_step_may_come_twice() {
    let bench = Bench::keeping(FIRST).await;
    let mut function = function(&bench).await;
    bench.aws.vault(|vault| vault.begin("a-trial"));
    take(&mut function, "testSecret", ARN, "a-trial").await.unwrap();
    for version in ["the-first-rotation", "the-second-rotation"] {
        let before = bench.current();
        bench.aws.vault(|vault| vault.begin(version));
        for step in STEPS {
            for _ in 0..2 {
                take(&mut function, step, ARN, version).await.unwrap();
            }
        }
        take(&mut function, "createSecret", ARN, version).await.unwrap();
        assert_eq!(bench.taken(), [before, bench.current()]);
    }
    assert!(!function.output().contains(&bench.current()), "{}", function.output());
}

/// Of two rotations at once the later one may have deleted what the earlier one has made.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_overtaken_does_not_finish() {
    let bench = Bench::keeping(FIRST).await;
    let mut function = function(&bench).await;
    for version in ["the-earlier", "the-later"] {
        bench.aws.vault(|vault| vault.begin(version));
        take(&mut function, "createSecret", ARN, version).await.ok();
    }
    let refused = take(&mut function, "finishSecret", ARN, "the-earlier").await.unwrap_err();
    assert!(refused.to_string().contains("another rotation has begun"), "{refused}");
    assert_eq!(bench.current(), "the first secret");
}

/// What is asked of the wrong function, or fails, is an error of the function and in its log, with what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told() {
    let bench = Bench::keeping(FIRST).await;
    let mut function = function(&bench).await;
    let other = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:another-AbCdEf";
    let refused = take(&mut function, "createSecret", other, "a-rotation").await.unwrap_err();
    assert!(refused.to_string().contains("asked to rotate arn:"), "{refused}");
    bench.aws.refuses("AddUserPoolClientSecret", "AccessDeniedException");
    let refused = take(&mut function, "createSecret", ARN, "a-rotation").await.unwrap_err();
    let told = "may not cognito-idp:AddUserPoolClientSecret on the user pool eu-west-1_a";
    assert!(refused.to_string().contains(told) && function.output().contains(told), "{refused}");
    assert!(take(&mut function, "eraseSecret", ARN, "a-rotation").await.is_err());
    assert_eq!(bench.current(), "the first secret");
}
