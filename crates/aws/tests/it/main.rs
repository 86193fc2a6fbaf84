//! What AWS answers, and what an operator hears of it.

mod aws;

use aws::{Answer, Aws};
use device_grant_aws::{Blame, KeyContext, Kms, Secrets, UserPoolClients, WrappedKey};
use secrecy::ExposeSecret as _;
use serde_json::json;

const CONTEXT: KeyContext<'static> = KeyContext { table: "Grants", name: "request/1" };
const POOL: &str = "eu-west-1_Ab12Cd34E";

fn refusal(code: &str, message: &str) -> Answer {
    Answer { status: 400, body: json!({ "__type": code, "message": message }) }
}

/// What is told names the action and the resource, whose matter it is, and what AWS said.
#[tokio::test]
async fn a_failed_call_names_what_it_was_and_who_mends_it() {
    let whole =
        "User: arn:aws:sts::123456789012:assumed-role/tasks/a is not authorized to perform: kms:Decrypt";
    for (code, blame, words) in [
        (
            "AccessDeniedException",
            Blame::Permission,
            "may not kms:Decrypt on the KMS key alias/dg; allow that in the policy",
        ),
        ("UnrecognizedClientException", Blame::Credentials, "no AWS credentials that work for kms:Decrypt"),
        ("ExpiredTokenException", Blame::Credentials, "no AWS credentials that work"),
        (
            "NotFoundException",
            Blame::NotFound,
            "AWS does not find the KMS key alias/dg (kms:Decrypt); is it in another region",
        ),
        ("DisabledException", Blame::Unusable, "the KMS key alias/dg cannot be used (kms:Decrypt)"),
        ("InvalidCiphertextException", Blame::Unusable, "cannot be used"),
        ("ThrottlingException", Blame::Throttled, "AWS throttles kms:Decrypt on the KMS key alias/dg"),
        ("KMSInternalException", Blame::Away, "AWS does not answer kms:Decrypt"),
    ] {
        let aws = Aws::answering(refusal(code, whole)).await;
        let kms = Kms::new(&aws.config, "alias/dg");
        let problem = kms.open(&WrappedKey(vec![1]), CONTEXT).await.unwrap_err();
        assert_eq!(problem.blame, blame, "{code}");
        let told = problem.to_string();
        assert!(told.contains(words) && told.contains(whole), "{told}");
        assert_eq!(problem.passes(), matches!(blame, Blame::Throttled | Blame::Away), "{code}");
    }
}

/// What passes is asked for a few times; what does not, once.
#[tokio::test]
async fn only_what_passes_is_asked_for_again() {
    for (code, calls) in [("ThrottlingException", 4), ("AccessDeniedException", 1)] {
        let aws = Aws::answering(refusal(code, "no")).await;
        Secrets::new(&aws.config).read("pool-client").await.unwrap_err();
        assert_eq!(aws.calls().len(), calls, "{code}");
    }
}

/// Where nobody listens, and where nobody has credentials.
#[tokio::test]
async fn no_aws_and_no_credentials_are_told_apart() {
    let away = Secrets::new(&Aws::nowhere().await).read("pool-client").await.unwrap_err();
    assert_eq!(away.blame, Blame::Away, "{away}");
    let nobody = Secrets::new(&Aws::without_credentials().await).read("pool-client").await.unwrap_err();
    assert_eq!(nobody.blame, Blame::Credentials, "{nobody}");
    let told = nobody.to_string();
    assert!(told.contains("secretsmanager:GetSecretValue on the secret pool-client"), "{told}");
}

/// A data key is bound to its table and its name, when it is made and when it is opened.
#[tokio::test]
async fn a_data_key_is_bound_to_its_place() {
    let context = json!({ "device-grant:table": "Grants", "device-grant:key": "request/1" });
    let aws =
        Aws::answering(Answer { status: 200, body: json!({ "CiphertextBlob": "AQID", "KeyId": "k" }) }).await;
    let made = Kms::new(&aws.config, "alias/dg").make(CONTEXT).await.unwrap();
    assert_eq!(made, WrappedKey(vec![1, 2, 3]));
    let call = aws.calls().remove(0);
    assert_eq!(call.action, "TrentService.GenerateDataKeyWithoutPlaintext");
    assert_eq!(call.input["EncryptionContext"], context);
    assert_eq!((&call.input["KeyId"], &call.input["KeySpec"]), (&json!("alias/dg"), &json!("AES_256")));

    // 32 bytes of 7, in base64.
    let plaintext = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let aws =
        Aws::answering(Answer { status: 200, body: json!({ "Plaintext": plaintext, "KeyId": "k" }) }).await;
    let opened = Kms::new(&aws.config, "alias/dg").open(&made, CONTEXT).await.unwrap();
    assert_eq!(*opened, [7; 32]);
    let call = aws.calls().remove(0);
    assert_eq!((&call.input["EncryptionContext"], &call.input["KeyId"]), (&context, &json!("alias/dg")));
    let aws =
        Aws::answering(Answer { status: 200, body: json!({ "Plaintext": "BwcH", "KeyId": "k" }) }).await;
    let short = Kms::new(&aws.config, "alias/dg").open(&made, CONTEXT).await.unwrap_err();
    assert!(short.to_string().contains("not of 32 bytes"), "{short}");
}

#[tokio::test]
async fn a_secret_is_text() {
    let aws =
        Aws::answering(Answer { status: 200, body: json!({ "Name": "a", "SecretString": "hush" }) }).await;
    let secret = Secrets::new(&aws.config).read("a").await.unwrap();
    assert_eq!(secret.expose_secret(), "hush");
    let aws =
        Aws::answering(Answer { status: 200, body: json!({ "Name": "a", "SecretBinary": "AQID" }) }).await;
    let problem = Secrets::new(&aws.config).read("a").await.unwrap_err();
    assert!(problem.to_string().contains("bytes and no text"), "{problem}");
}

/// Whom the pool does not have is nobody; a pool that there is not is a problem, though Cognito calls both the same.
#[tokio::test]
async fn an_unknown_client_is_told_from_an_unknown_pool() {
    for (code, message) in [
        ("ResourceNotFoundException", "User pool client 4h57kl does not exist."),
        (
            "InvalidParameterException",
            "1 validation error detected: Value 'a b' at 'clientId' failed to satisfy constraint",
        ),
    ] {
        let aws = Aws::answering(refusal(code, message)).await;
        let found = UserPoolClients::new(&aws.config, POOL).find("4h57kl").await;
        assert!(found.unwrap().is_none(), "{code}");
    }
    let aws =
        Aws::answering(refusal("ResourceNotFoundException", &format!("User pool {POOL} does not exist.")))
            .await;
    let problem = UserPoolClients::new(&aws.config, POOL).find("4h57kl").await.unwrap_err();
    assert_eq!(problem.blame, Blame::NotFound);
    let told = problem.to_string();
    assert!(
        told.contains("the user pool eu-west-1_Ab12Cd34E (cognito-idp:DescribeUserPoolClient)"),
        "{told}"
    );
}

#[tokio::test]
async fn an_app_client_is_read_as_cognito_tells_it() {
    let whole = json!({ "UserPoolClient": {
        "UserPoolId": POOL, "ClientName": "Television", "ClientId": "4h57kl", "ClientSecret": "hush",
        "AllowedOAuthFlows": ["code"], "AllowedOAuthFlowsUserPoolClient": true,
        "AllowedOAuthScopes": ["openid", "email"], "CallbackURLs": ["https://login.example.com/callback"],
        "RefreshTokenRotation": { "Feature": "ENABLED", "RetryGracePeriodSeconds": 10 },
    }});
    let aws = Aws::answering(Answer { status: 200, body: whole }).await;
    let app = UserPoolClients::new(&aws.config, POOL).find("4h57kl").await.unwrap().unwrap();
    assert_eq!((app.name.as_str(), app.secret.as_ref().unwrap().expose_secret()), ("Television", "hush"));
    assert_eq!((app.scopes.len(), app.callback_urls.len()), (2, 1));
    assert!(app.code_grant && app.rotates_refresh_tokens);
    assert!(!format!("{app:?}").contains("hush"));

    // The flows count only where the pool's OAuth endpoints are turned on for the client.
    let bare = json!({ "UserPoolClient": { "UserPoolId": POOL, "ClientId": "4h57kl", "AllowedOAuthFlows": ["code"] }});
    let aws = Aws::answering(Answer { status: 200, body: bare }).await;
    let app = UserPoolClients::new(&aws.config, POOL).find("4h57kl").await.unwrap().unwrap();
    assert!(!app.code_grant && !app.rotates_refresh_tokens && app.secret.is_none());
    assert_eq!(app.name, "4h57kl");
}
