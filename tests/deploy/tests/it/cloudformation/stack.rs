//! The stack, made on moto.

use std::sync::OnceLock;

use deploy_tests::{Compute, Stack, Template};
use serde_json::json;

const CALLBACK: &str = "https://login.example.com/callback";

/// Making one takes seconds, so the tests share them.
fn made(compute: Compute) -> &'static Stack {
    static FARGATE: OnceLock<Stack> = OnceLock::new();
    static LAMBDA: OnceLock<Stack> = OnceLock::new();
    let stack = if compute == Compute::Fargate { &FARGATE } else { &LAMBDA };
    stack.get_or_init(|| Stack::create(compute))
}

/// The names of the AWS sample, and with a test user all of its outputs.
#[test]
fn outputs_have_the_samples_names_and_say_where_things_are() {
    let stack = made(Compute::Fargate);
    let output =
        |name: &str| stack.outputs().get(name).unwrap_or_else(|| panic!("no output {name}")).as_str();

    assert_eq!(stack.status(), "CREATE_COMPLETE");
    assert_eq!(output("TestEndPointForDevice"), "https://login.example.com/token");
    assert_eq!(output("TestEndPointForUser"), "https://login.example.com/device");
    assert!(output("ALBCNAMEForDNSConfiguration").ends_with(".elb.amazonaws.com"));
    assert_eq!(output("DeviceCognitoClientClientID"), stack.clients()["DeviceClient"]["ClientId"]);
    assert_eq!(output("UserUserName"), "alice@example.com");
    assert!(output("UserPassword").starts_with("Sent by e-mail"));
    assert_eq!(output("TableName"), stack.resources()["Table"]);
    for value in stack.outputs().values() {
        assert!(!value.contains("${"), "{value} is not resolved");
    }
}

#[test]
fn no_output_and_no_variable_shows_a_secret() {
    let stack = made(Compute::Fargate);
    let how = &stack.outputs()["DeviceCognitoClientClientSecret"];
    assert!(how.starts_with("aws cognito-idp describe-user-pool-client "), "{how}");
    for (name, client) in stack.clients() {
        let secret = client["ClientSecret"].as_str().unwrap_or_else(|| panic!("{name} has no secret"));
        let shown = stack.outputs().iter().chain(stack.environment());
        for (place, value) in shown {
            assert!(!value.contains(secret), "{place} shows the secret of {name}");
        }
    }
}

#[test]
fn the_table_and_the_clients_are_there() {
    for compute in [Compute::Fargate, Compute::Lambda] {
        let stack = made(compute);
        let table = stack.table();
        assert_eq!(table["KeySchema"], json!([{ "AttributeName": "pk", "KeyType": "HASH" }]), "{compute:?}");
        assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");

        assert_eq!(stack.clients().len(), 2);
        for (name, client) in stack.clients() {
            assert_eq!(client["AllowedOAuthFlows"], json!(["code"]), "{name}");
            assert_eq!(client["AllowedOAuthFlowsUserPoolClient"], json!(true), "{name}");
            assert_eq!(client["CallbackURLs"], json!([CALLBACK]), "{name}");
        }
    }
}

/// What the service is started with names what was made.
#[test]
fn the_service_is_told_where_things_are() {
    for compute in [Compute::Fargate, Compute::Lambda] {
        let stack = made(compute);
        let told = stack.environment();
        let same = |variable: &str, output: &str| {
            assert_eq!(told[variable], stack.outputs()[output], "{compute:?}: {variable}");
        };
        same("DYNAMODB_TABLE", "TableName");
        same("CUP_ID", "UserPoolId");
        same("APP_CLIENT_ID", "SignInClientId");
        same("DEVICE_GRANT__KEYRING__KMS", "KeyringKeyArn");
        same("DEVICE_GRANT__UPSTREAM__CLIENT_SECRET_MANAGER", "SignInClientSecretArn");
        assert_eq!(told["CODE_VERIFICATION_URI"], "login.example.com");
        assert_eq!(told["DEVICE_GRANT__NETWORK__TRUSTED_PROXIES"], "10.64.0.0/21");
    }
}

/// What the sample calls its settings, in the spelling of parameters, with the sample's defaults.
#[test]
fn parameters_are_the_samples_settings() {
    let template = Template::get();
    for (name, default) in [
        ("CodeExpiration", json!(1800)),
        ("DeviceCodeFormat", json!("#aA")),
        ("DeviceCodeLength", json!(64)),
        ("UserCodeFormat", json!("#B")),
        ("UserCodeLength", json!(8)),
        ("PollingInterval", json!(5)),
        ("ResultTokenSet", json!("ACCESS+REFRESH")),
    ] {
        assert_eq!(*template.at(&format!("/Parameters/{name}/Default")), default, "{name}");
    }
    for name in ["TestUserEmail", "CertificateArn", "Fqdn", "CognitoDomainPrefix", "ImageUri", "Compute"] {
        template.at(&format!("/Parameters/{name}/Type"));
    }
}
