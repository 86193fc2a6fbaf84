//! A Cognito pool, and what else AWS has.

use device_grant_upstream::Manner;
use url::Url;

use super::{Config, KeyringSource, fresh_keys, good, only_problem, problems, with};

const COGNITO: &str = r#"
public_url = "https://login.example.com"
[upstream]
preset = "cognito"
client_id = "device-grant"
rotates_refresh_tokens = true
[cognito]
user_pool_id = "eu-west-1_Ab12Cd34E"
"#;
const CLIENT: &str = "[[client]]\nid = \"tv\"\nauth_method = \"none\"\n";

fn with_domain(domain: &str) -> String {
    format!("{COGNITO}domain = {domain:?}\n{CLIENT}")
}

fn domain_of(config: &Config) -> Option<&str> {
    match &config.pool.manner {
        Manner::Cognito { domain } => domain.as_ref().map(Url::as_str),
        Manner::Standard => panic!("it is no Cognito pool"),
    }
}

#[test]
fn a_cognito_pool_is_named_by_its_id() {
    let config = good(&format!("{COGNITO}{CLIENT}"));
    assert_eq!(config.pool.issuer, "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E");
    assert_eq!(domain_of(&config), None);
    assert_eq!(config.settings.authorize_params, [("identity_provider".to_owned(), "COGNITO".to_owned())]);
    assert!(!config.from_pool);
    let federated = COGNITO.replace("rotates_", "authorize_params = {}\nrotates_") + CLIENT;
    assert!(good(&federated).settings.authorize_params.is_empty());

    for (written, domain) in [
        ("living-room", "https://living-room.auth.eu-west-1.amazoncognito.com/"),
        ("login.example.net", "https://login.example.net/"),
        ("https://login.example.net", "https://login.example.net/"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/"),
    ] {
        assert_eq!(domain_of(&good(&with_domain(written))), Some(domain));
    }
    for wrong in ["http://login.example.net", "login.example.net/a", "living room"] {
        let told = only_problem(&with_domain(wrong), &[]);
        assert!(told.contains("cognito.domain") && told.contains("prefix"), "{told}");
    }
}

#[test]
fn what_names_two_pools_is_refused() {
    let other_region = format!("{COGNITO}region = \"us-east-1\"\n{CLIENT}");
    assert!(only_problem(&other_region, &[]).contains("begins with us-east-1_"));
    let issuer =
        |issuer: &str| COGNITO.replace("rotates_", &format!("issuer = {issuer:?}\nrotates_")) + CLIENT;
    assert!(
        only_problem(&issuer("https://pool.example.com/a"), &[]).contains("the pool eu-west-1_Ab12Cd34E")
    );
    good(&issuer("https://cognito-idp-fips.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd34E"));
    let nameless = COGNITO.replace("user_pool_id", "#") + CLIENT;
    assert!(only_problem(&nameless, &[]).contains("cognito.user_pool_id: found nothing"));
    let told = only_problem(&with("[cognito]\nuser_pool_id = \"eu-west-1_a\"\n"), &[]);
    assert!(told.contains("upstream.preset = \"cognito\" beside it"), "{told}");
}

/// CA-15: the pool's own app clients are enough; of another pool nobody could be asked.
#[test]
fn app_clients_need_nothing_here() {
    let config = good(&format!("{COGNITO}[clients]\nfrom_pool = true\n"));
    assert!(config.from_pool);
    let pool = config.cognito.unwrap();
    assert_eq!((pool.pool.as_str(), pool.region.as_str()), ("eu-west-1_Ab12Cd34E", "eu-west-1"));
    let told = only_problem(&with("[clients]\nfrom_pool = true\n"), &[]);
    assert!(told.contains("clients.from_pool") && told.contains("preset"), "{told}");
}

#[test]
fn what_cognito_does_not_have_is_refused_at_the_start() {
    for (line, told) in [
        ("scopes = [\"openid\", \"offline_access\"]", "client[1].scopes"),
        ("extra_scopes = [\"offline_access\"]", "client[1].extra_scopes"),
        ("policies = { acr_values = [\"mfa\"] }", "client[1].policies.acr_values"),
    ] {
        let problem = only_problem(&format!("{COGNITO}{CLIENT}{line}\n"), &[]);
        assert!(problem.contains(told) && problem.contains("Cognito"), "{problem}");
    }
}

#[test]
fn keys_have_one_home() {
    let kms = "[store]\nkind = \"dynamodb\"\nregion = \"eu-west-1\"\n[keyring]\nkms = ";
    let key = |text: &str| match good(&with(&format!("{kms}{text:?}\n"))).keyring {
        KeyringSource::Kms { key, region } => (key, region),
        _ => panic!("KMS wraps them"),
    };
    assert_eq!(key("alias/device-grant"), ("alias/device-grant".to_owned(), Some("eu-west-1".to_owned())));
    let arn = "arn:aws:kms:us-east-2:123456789012:key/1234abcd";
    assert_eq!(key(arn), (arn.to_owned(), Some("us-east-2".to_owned())));
    let secret = good(&with("[keyring]\nsecret_manager = \"device-grant/keyring\"\n")).keyring;
    assert!(matches!(secret, KeyringSource::Secret { id, region: None } if id == "device-grant/keyring"));
    let keys = super::super::encode_keyring(&fresh_keys());
    let two = problems(&with(&format!("{kms}\"alias/a\"\n")), &[("DEVICE_GRANT__KEYRING__KEYS", &keys)]);
    assert!(two[0].contains("one home for the keys"), "{two:?}");
}

/// A secret that is kept elsewhere is not also here, and is not known before it is asked for.
#[test]
fn a_pool_secret_may_be_kept_elsewhere() {
    let upstream = |lines: &str| with("").replace("rotates_", &format!("{lines}\nrotates_"));
    let config = good(&upstream("client_secret_manager = \"device-grant/pool\""));
    let secret = config.settings.service_client.secret.unwrap();
    assert_eq!(secret.place(), Some("device-grant/pool"));
    assert!(secret.present().is_none());
    let two = only_problem(&upstream("client_secret_manager = \"a\"\nclient_secret = \"b\""), &[]);
    assert!(two.contains("either this or upstream.client_secret"), "{two}");
}
