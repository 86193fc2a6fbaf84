//! The secret of our own pool client is rotated: Cognito makes it, Secrets Manager keeps it.

use device_grant_dev_pool::{DevClient, DevPoolConfig, LoopbackPool};
use serde_json::json;

use super::said;
use super::stand_in::Aws;
use super::vault::{ARN, Vault};
use crate::support::Directory;

const CLIENT: &str = "4h57kl";
const POOL: &str = "eu-west-1_a";
pub(crate) const FIRST: &str = r#"{"client_id":"4h57kl","client_secret":"the first secret"}"#;

/// A pool, a secret, and a configuration that names both.
pub(crate) struct Bench {
    pub(crate) aws: Aws,
    pool: LoopbackPool,
    pub(crate) directory: Directory,
}

impl Bench {
    /// Secrets Manager keeps `value`; the pool knows "the first secret".
    pub(crate) async fn keeping(value: &str) -> Self {
        let pool = LoopbackPool::spawn(|mut issuer| {
            issuer.set_path(POOL);
            let callback = "http://127.0.0.1:8080/callback";
            let clients = vec![DevClient::confidential(CLIENT, "the first secret", callback)];
            DevPoolConfig { clients, ..DevPoolConfig::new(issuer) }
        });
        let pool = pool.await.unwrap();
        let aws = Aws::start().await;
        aws.keeps(Vault::new(pool.pool(), CLIENT, "the first secret", value));
        let directory = Directory::new();
        let issuer = pool.issuer();
        directory.write(
            "device-grant.toml",
            &format!(
                "public_url = \"http://127.0.0.1:8080\"\nlisten = \"127.0.0.1:0\"\n\
                 [upstream]\npreset = \"cognito\"\nissuer = \"{issuer}\"\nclient_id = \"{CLIENT}\"\n\
                 client_secret_manager = \"{ARN}\"\n[cognito]\nuser_pool_id = \"{POOL}\"\n[clients]\nfrom_pool = true\n"
            ),
        );
        Self { aws, pool, directory }
    }

    async fn rotate(&self) -> String {
        said(&self.aws, &self.directory, &["rotate-pool-secret"]).await
    }

    /// What the pool takes, oldest first.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.aws.vault(|vault| vault.app_client.values())
    }

    /// What is in use.
    pub(crate) fn current(&self) -> String {
        self.aws.vault(|vault| vault.current())["client_secret"].as_str().unwrap().to_owned()
    }
}

/// Each rotation brings a secret that the pool takes, keeps the one before, and ends the one before that. What else stands
/// beside the secret stays, and nothing of it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_leaves_nobody_without_a_good_secret() {
    let bench = Bench::keeping(r#"{"client_id":"4h57kl","client_secret":"the first secret","note":7}"#).await;
    let mut before = "the first secret".to_owned();
    for _ in 0..3 {
        let told = bench.rotate().await;
        assert!(told.contains("The pool client 4h57kl has a new secret"), "{told}");
        let now = bench.current();
        assert!(!told.contains(&now), "{told}");
        assert_eq!(bench.taken(), [before, now.clone()]);
        assert!(!bench.aws.vault(|vault| vault.is_rotating()));
        before = now;
    }
    assert_eq!(bench.aws.vault(|vault| vault.current())["note"], 7);
    assert_eq!(bench.aws.calls("DeleteUserPoolClientSecret"), 2);
}

/// What does not end well leaves the secret that is in use as it is, and nothing behind that stands in the way of the next
/// rotation.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_fails_changes_nothing_and_the_next_one_succeeds() {
    for (action, told) in [
        ("DescribeSecret", "may not secretsmanager:DescribeSecret on the secret arn:"),
        (
            "AddUserPoolClientSecret",
            "may not cognito-idp:AddUserPoolClientSecret on the user pool eu-west-1_a",
        ),
        ("ListUserPoolClientSecrets", "may not cognito-idp:ListUserPoolClientSecrets on the user pool"),
        ("PutSecretValue", "may not secretsmanager:PutSecretValue on the secret arn:"),
        ("UpdateSecretVersionStage", "may not secretsmanager:UpdateSecretVersionStage on the secret arn:"),
    ] {
        let bench = Bench::keeping(FIRST).await;
        bench.aws.refuses(action, "AccessDeniedException");
        let refused = bench.rotate().await;
        assert!(refused.contains(told), "{action}: {refused}");
        assert_eq!(bench.current(), "the first secret", "{action}");
        bench.aws.recovers(action);
        let told = bench.rotate().await;
        assert!(told.contains("has a new secret"), "{action}: {told}");
        assert_eq!(bench.taken(), ["the first secret", &bench.current()], "{action}");
    }
}

/// What may have been written is not made useless.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_may_be_kept_is_not_deleted() {
    let bench = Bench::keeping(FIRST).await;
    bench.aws.answers("PutSecretValue", 500, json!({ "__type": "InternalServiceError" }));
    let told = bench.rotate().await;
    assert!(told.contains("AWS does not answer secretsmanager:PutSecretValue"), "{told}");
    assert_eq!(bench.taken().len(), 2);
    assert_eq!(bench.current(), "the first secret");
}

/// A secret that the pool does not take is not put into use.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_pool_does_not_take_is_not_used() {
    let bench = Bench::keeping(FIRST).await;
    let descriptor = json!({ "ClientSecretId": "4h57kl--1", "ClientSecretValue": "what nobody knows" });
    bench.aws.answers("AddUserPoolClientSecret", 200, json!({ "ClientSecretDescriptor": descriptor }));
    let told = bench.rotate().await;
    assert!(told.contains("the pool does not take the new secret of 4h57kl"), "{told}");
    assert_eq!(bench.current(), "the first secret");

    bench.aws.recovers("AddUserPoolClientSecret");
    bench.pool.refuse_connections().await;
    let told = bench.rotate().await;
    assert!(told.contains("the pool does not say whether it takes the secret"), "{told}");
    assert_eq!(bench.current(), "the first secret");
}

/// What was good long ago and is written again, as an update of a stack may do, is replaced from what was in use before.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_long_ago_in_its_place_is_mended() {
    let bench = Bench::keeping(FIRST).await;
    for _ in 0..2 {
        bench.rotate().await;
    }
    let good = bench.current();
    bench.aws.vault(|vault| vault.write("by-the-stack", FIRST));
    let told = bench.rotate().await;
    assert!(told.contains("has a new secret"), "{told}");
    assert_eq!(bench.taken(), [good, bench.current()]);

    let unknown = r#"{"client_secret":"nobody's"}"#;
    for version in ["by-somebody", "by-somebody-again"] {
        bench.aws.vault(|vault| vault.write(version, unknown));
    }
    let (told, taken) = (bench.rotate().await, bench.taken());
    assert!(told.contains("takes neither what the secret arn:"), "{told}");
    assert_eq!(bench.taken(), taken);
}

/// Of two secrets none is deleted that may be the one in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_may_be_in_use_is_not_deleted() {
    let unknown = r#"{"client_secret":"the first secret","client_secret_id":"4h57kl--5"}"#;
    for value in [FIRST, unknown] {
        let bench = Bench::keeping(value).await;
        let add = json!({ "ClientId": CLIENT });
        bench.aws.vault(|vault| vault.app_client.answer("AddUserPoolClientSecret", &add));
        let told = bench.rotate().await;
        assert!(told.contains("does not say which of them is its own"), "{told}");
        assert_eq!(bench.taken().len(), 2);
        assert_eq!(bench.aws.calls("DeleteUserPoolClientSecret"), 0);
    }
}

/// What cannot be rotated is refused with what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn only_secrets_of_cognito_in_secrets_manager_are_rotated() {
    let bench = Bench::keeping("no secret").await;
    assert!(bench.rotate().await.contains("it is no JSON object"));
    for (lines, told) in [
        ("client_secret = \"s\"", "upstream.client_secret_manager"),
        ("client_secret_manager = \"dg/pool\"", "upstream.preset = \"cognito\""),
    ] {
        let text = format!(
            "public_url = \"http://127.0.0.1:8080\"\n[upstream]\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"a\"\n{lines}\n\
             [[client]]\nid = \"tv\"\nauth_method = \"none\"\n"
        );
        bench.directory.write("device-grant.toml", &text);
        let refused = bench.rotate().await;
        assert!(refused.contains(told), "{refused}");
    }
}
