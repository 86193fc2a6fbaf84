//! What the configuration takes, and what it says of the rest.

mod book;
mod cautions;
mod clients;
mod cognito;
mod hostile;
mod policies;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use device_grant_domain::SystemEntropy;
use device_grant_domain::client::PoolBinding;
use device_grant_domain::codes::CodeFormat;
use device_grant_protocol::UserCode;

use super::keys::{KEYS, Kind};
use super::{Config, Environment, KeyringSource, StoreConfig, load};

const GOOD: &str = r#"
public_url = "https://login.example.com"
[upstream]
issuer = "https://pool.example.com/a"
client_id = "device-grant"
rotates_refresh_tokens = true
[[client]]
id = "tv"
auth_method = "none"
"#;

/// A file of its own for each test, which goes with it.
struct Written(PathBuf);

impl Written {
    fn new(text: &str) -> Self {
        let name = u64::from_be_bytes(device_grant_domain::bytes(&SystemEntropy));
        let path = std::env::temp_dir().join(format!("device-grant-{name:016x}"));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let loaded = load(Some(&self.0), &variables(environment));
        let name = self.0.display().to_string();
        let lines = |text: String| text.replace(&name, "f.toml").lines().map(str::to_owned).collect();
        loaded.map_err(|wrong| lines(wrong.to_string()))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = fs::remove_file(&self.0);
    }
}

fn variables(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn good(text: &str) -> Config {
    Written::new(text).load(&[]).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    Written::new(text).load(environment).err().expect("the configuration is refused")
}

fn only_problem(text: &str, environment: &[(&str, &str)]) -> String {
    let mut problems = problems(text, environment);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

/// `GOOD` with `line` in front of everything: at the top, or a section of its own.
fn with(line: &str) -> String {
    if line.starts_with('[') { format!("{GOOD}{line}") } else { format!("{line}{GOOD}") }
}

#[test]
fn a_small_file_is_enough() {
    let config = good(GOOD);
    assert_eq!(config.settings.lifetime, Duration::from_mins(30));
    assert_eq!(config.settings.interval, 5);
    assert_eq!(config.store, StoreConfig::Embedded("device-grant.db".into()));
    assert!(
        matches!(&config.keyring, KeyringSource::BesideStore(path) if path.ends_with("device-grant.db.keys"))
    );
    assert_eq!(config.settings.exchange_deadline, config.pool.longest_exchange());
    assert!(matches!(config.clients[0].pool_client, PoolBinding::Shared));
    assert!(!config.clients[0].token_set.id && config.clients[0].token_set.refresh);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn every_problem_is_told_at_once_with_its_place_what_was_found_and_what_is_expected() {
    let text = r#"public_url = "http://login.example.com"
lisen = 5
[codes]
user_code_length = 4
lifetime_s = "1800"
[web]
sign_in = "later"
[[client]]
id = "tv"
secrets = "hunter2"
[[client]]
id = "tv"
auth_method = "private_key_jwt"
jwks_uri = "http://a.example"
"#;
    let told = problems(text, &[("POLLING_INTERVAL", "soon"), ("DEVICE_GRANT__STORE__KIN", "x")]);
    let expected = [
        "f.toml:1: public_url: found \"http://login.example.com\", expected https",
        "f.toml:2: lisen: found an unknown key, expected `listen`, the nearest known name",
        "f.toml:4: codes.user_code_length: found user codes of 19.6 bits",
        "f.toml:5: codes.lifetime_s: found \"1800\", expected a whole number from 10 to 86400",
        "f.toml:7: web.sign_in: found \"later\", expected \"first\" or \"on-approval\" or \"alb\"",
        "f.toml:8: client[1].auth_method: found nothing, expected \"none\" for a public client; or a secret",
        "f.toml:10: client[1].secrets: found an unknown key, expected `client.secret`",
        "f.toml:12: client[2].id: found \"tv\", expected an id that no other client has",
        "f.toml:14: client[2].jwks_uri: found \"http://a.example\", expected an https URL without credentials",
        "f.toml: upstream.client_id: found nothing",
        "f.toml: upstream.issuer: found nothing",
        "environment variable DEVICE_GRANT__STORE__KIN: store.kin: found an unknown key, expected `store.kind`",
        "environment variable POLLING_INTERVAL: codes.interval_s: found \"soon\", expected a whole number",
    ];
    for line in expected {
        assert!(told.iter().any(|told| told.starts_with(line)), "{line}\nis not in\n{}", told.join("\n"));
    }
    assert_eq!(told.len(), expected.len(), "{}", told.join("\n"));
    assert!(told.is_sorted_by_key(|line| line.starts_with("environment")), "the file's problems come first");
    assert!(!told.join("\n").contains("hunter2"));
}

#[test]
fn a_file_that_is_no_toml_is_told_by_its_line_alone() {
    let told = only_problem("public_url = \"https://a.example\"\nclient_secret = hunter2\n", &[]);
    assert!(told.starts_with("f.toml:2: found what is no TOML, expected"), "{told}");
    let missing = load(Some("no-such-file.toml".as_ref()), &Environment::new()).err().unwrap().to_string();
    assert!(missing.starts_with("no-such-file.toml: found") && missing.lines().count() == 1, "{missing}");
}

#[test]
fn an_unknown_section_is_told_with_those_that_there_are() {
    let told = only_problem(&with("[xyz]\na = 1\n"), &[]);
    assert!(told.contains("xyz: found an unknown key") && told.contains("public_url"), "{told}");
    let told = only_problem(&with("[code]\nlifetime_s = 60\n"), &[]);
    assert!(told.contains("code"), "{told}");
}

#[test]
fn the_environment_counts_more_than_the_file_and_ours_more_than_the_samples() {
    let file = Written::new(&with("[codes]\ninterval_s = 7\n"));
    assert_eq!(file.load(&[]).unwrap().settings.interval, 7);
    assert_eq!(file.load(&[("POLLING_INTERVAL", "8")]).unwrap().settings.interval, 8);
    let both = [("POLLING_INTERVAL", "8"), ("DEVICE_GRANT__CODES__INTERVAL_S", "9")];
    assert_eq!(file.load(&both).unwrap().settings.interval, 9);
    assert_eq!(file.load(&[("POLLING_INTERVAL", "")]).unwrap().settings.interval, 7, "empty is absent");
}

/// SEC-11: nobody believes everybody.
#[test]
fn a_network_of_everybody_is_no_proxy() {
    for everybody in ["0.0.0.0/0", "::/0"] {
        let told = only_problem(&with(&format!("[network]\ntrusted_proxies = [\"{everybody}\"]\n")), &[]);
        assert!(told.contains("forge"), "{told}");
    }
}

#[test]
fn metrics_have_a_listener_of_their_own() {
    let same = with("[metrics]\nlisten = \"127.0.0.1:8080\"\n");
    let told = only_problem(&same, &[("DEVICE_GRANT__LISTEN", "127.0.0.1:8080")]);
    assert!(told.contains("metrics.listen") && told.contains("listener of its own"), "{told}");
    let told = only_problem(&with("[metrics]\nlisten = \"9090\"\n"), &[]);
    assert!(told.contains("an address and a port"), "{told}");
}

#[test]
fn lists_and_tables_of_the_environment_are_toml_or_have_commas() {
    let file = Written::new(GOOD);
    for proxies in ["10.0.0.0/8,192.0.2.1", r#"["10.0.0.0/8", "192.0.2.1"]"#] {
        let config = file.load(&[("DEVICE_GRANT__NETWORK__TRUSTED_PROXIES", proxies)]).unwrap();
        let shown: Vec<_> = config.web.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1/32"]);
    }
    for params in ["identity_provider=COGNITO,lang=de", r#"{ identity_provider = "COGNITO", lang = "de" }"#] {
        let config = file.load(&[("DEVICE_GRANT__UPSTREAM__AUTHORIZE_PARAMS", params)]).unwrap();
        let pairs = [("identity_provider", "COGNITO"), ("lang", "de")];
        assert_eq!(config.settings.authorize_params, pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let environment = variables(&[
        ("CODE_VERIFICATION_URI", "login.example.com"),
        ("CUP_ID", "eu-west-1_abc"),
        ("CUP_REGION", "eu-west-1"),
        ("CUP_DOMAIN", "living-room"),
        ("APP_CLIENT_ID", "app"),
        ("APP_CLIENT_SECRET", "app-secret"),
        ("CODE_EXPIRATION", "600"),
        ("POLLING_INTERVAL", "3"),
        ("USER_CODE_FORMAT", "B#"),
        ("USER_CODE_LENGTH", "9"),
        ("DEVICE_CODE_FORMAT", "#a"),
        ("DEVICE_CODE_LENGTH", "40"),
        ("RESULT_TOKEN_SET", "ID+ACCESS"),
        ("DYNAMODB_TABLE", "Grants"),
        ("DEVICE_GRANT__KEYRING__KEYS", &super::encode_keyring(&fresh_keys())),
        ("DEVICE_GRANT__CLIENT", r#"[{ id = "tv", auth_method = "none" }]"#),
    ]);
    let config = load(None, &environment).unwrap_or_else(|wrong| panic!("{wrong}"));
    let settings = &config.settings;
    assert_eq!(settings.public_url.as_str(), "https://login.example.com/");
    assert_eq!(config.pool.issuer, "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc");
    assert_eq!(settings.service_client.client_id, "app");
    assert_eq!(settings.service_client.secret.as_ref().unwrap().present().unwrap().expose(), "app-secret");
    assert_eq!((settings.lifetime, settings.interval), (Duration::from_mins(10), 3));
    assert_eq!(settings.user_code, CodeFormat::user_code("#B", 9, true).unwrap());
    assert_eq!(settings.device_code, CodeFormat::device_code("#a", 40).unwrap());
    assert!(config.clients[0].token_set.id && !config.clients[0].token_set.refresh);
    let StoreConfig::DynamoDb(table) = &config.store else { panic!("DYNAMODB_TABLE makes it a table") };
    assert_eq!((table.name.as_str(), table.region.as_deref()), ("Grants", Some("eu-west-1")));
}

#[test]
fn the_samples_environment_says_exactly_what_is_missing() {
    let environment =
        variables(&[("CODE_VERIFICATION_URI", "https://login.example.com/device"), ("CUP_ID", "x")]);
    let told = load(None, &environment).err().unwrap().to_string();
    for line in [
        "configuration: cognito.region: found nothing, expected the AWS region of the user pool (or CUP_REGION in the environment)",
        "configuration: upstream.client_id: found nothing",
        "configuration: client: found nothing, expected at least one device client, a [[client]]. Write lines such as",
    ] {
        assert!(told.lines().any(|told| told.starts_with(line)), "{line}\nis not in\n{told}");
    }
    assert!(!told.contains("public_url"), "{told}");
}

#[test]
fn two_names_of_the_public_host_must_agree() {
    let file = Written::new(GOOD);
    for same in ["login.example.com", "https://login.example.com/device"] {
        assert!(file.load(&[("CODE_VERIFICATION_URI", same)]).is_ok(), "{same}");
    }
    for other in ["other.example.com", "http://login.example.com", "https://login.example.com:8443", "//"] {
        let told = file.load(&[("CODE_VERIFICATION_URI", other)]).err().expect("refused");
        assert!(told[0].starts_with("environment variable CODE_VERIFICATION_URI: public_url:"), "{told:?}");
    }
}

/// DA-03: the public URL is an origin, https unless it is on the loopback.
#[test]
fn plain_http_is_for_the_loopback_only() {
    let at = |url: &str| GOOD.replace("https://login.example.com", url);
    for local in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
        good(&at(local));
    }
    for refused in [
        "http://login.example.com",
        "ftp://login.example.com",
        "login.example.com",
        "https://login.example.com/path",
        "https://login.example.com?x",
        "https://a@login.example.com",
    ] {
        assert!(only_problem(&at(refused), &[]).contains("public_url"), "{refused}");
    }
    let pool = GOOD.replace("https://pool.example.com", "http://pool.example.com");
    assert!(only_problem(&pool, &[]).contains("upstream.issuer"));
    good(&GOOD.replace("https://pool.example.com", "http://localhost:4000"));
}

/// UC-01: the default is eight characters of `#B` in two groups; a setting sends them bare; digits alone need more.
#[test]
fn the_default_user_code_is_two_groups_of_four() {
    let shown = |text: &str| good(text).settings.user_code.display(&UserCode::new("WDJBMJHT"));
    assert_eq!(shown(GOOD), "WDJB-MJHT");
    assert_eq!(shown(&with("[codes]\nuser_code_grouped = false\n")), "WDJBMJHT");
    let digits =
        |length: usize| with(&format!("[codes]\nuser_code_format = \"#\"\nuser_code_length = {length}\n"));
    for short in [8, 9, 11] {
        assert!(only_problem(&digits(short), &[]).contains("as a length of 12 gives"));
    }
    good(&digits(12));
}

/// UC-02: what can be guessed too easily stops the start with the figure; what is easily confused gets a warning.
#[test]
fn weak_codes_stop_the_start_with_the_figure() {
    let told = only_problem(&with("[codes]\nuser_code_length = 4\n"), &[]);
    assert!(
        told.contains("19.6 bits") && told.contains("2^-12.7") && told.contains("as a length of 8 gives"),
        "{told}"
    );
    let told = only_problem(&with("[codes]\nexpected_live_requests = 1000000\n"), &[]);
    assert!(told.contains("any of 1000000 live codes with 2^-12.4"), "{told}");
    let told = only_problem(&with("[limits]\nguesses_per_code_life = 1000\n"), &[]);
    assert!(told.contains("codes.user_code_format: found user codes of 39.3 bits"), "{told}");
    // A client's codes that live for a day can be guessed at in 49 windows of half an hour.
    let told = only_problem(&(GOOD.to_owned() + "lifetime_s = 86400\n"), &[]);
    assert!(told.contains("one guesser with 2940 guesses"), "{told}");
    // Folding counts: 36 symbols, not 62, though both cases are among them.
    let told = only_problem(&with("[codes]\nuser_code_format = \"#aA\"\nuser_code_length = 7\n"), &[]);
    assert!(told.contains("36.2 bits"), "{told}");
    let told = only_problem(&with("[codes]\nuser_code_format = \"!\"\nuser_code_length = 6\n"), &[]);
    assert!(told.contains("bits"), "{told}");
    let allowed = good(&with("[codes]\nuser_code_length = 4\nallow_weak_codes = true\n"));
    assert!(allowed.warnings[0].contains("19.6 bits"), "{:?}", allowed.warnings);
    let confusable = good(&with("[codes]\nuser_code_format = \"#A\"\n"));
    assert!(confusable.warnings[0].contains("0/O, 1/I"), "{:?}", confusable.warnings);
}

/// DA-10: a device code has 128 random bits at least.
#[test]
fn device_codes_below_128_bits_are_refused() {
    let told = only_problem(&with("[codes]\ndevice_code_length = 24\nallow_weak_codes = true\n"), &[]);
    assert!(told.contains("codes.device_code_format") && told.contains("124.1"), "{told}");
    good(&with("[codes]\ndevice_code_length = 25\n"));
}

#[test]
fn formats_and_lives_that_cannot_work_are_refused() {
    assert!(only_problem(&with("[codes]\nuser_code_format = \"#X\"\n"), &[]).contains("'X'"));
    assert!(only_problem(&with("[codes]\nlifetime_s = 30\n"), &[]).contains("codes.min_trip_s"));
    let told = only_problem(&(GOOD.to_owned() + "lifetime_s = 20\n"), &[]);
    assert!(told.contains("client.lifetime_s") || told.contains("client[1].lifetime_s"), "{told}");
    let params = GOOD
        .replace("client_id = \"device-grant\"", "client_id = \"a\"\nauthorize_params = { state = \"x\" }");
    assert!(only_problem(&params, &[]).contains("authorize_params"));
}

#[test]
fn a_table_without_shared_keys_is_refused_and_told_how_to_make_them() {
    let told = only_problem(&with("[store]\nkind = \"dynamodb\"\n"), &[]);
    assert!(
        told.contains("keyring.file: found nothing") && told.contains("device-grant init --keyring FILE"),
        "{told}"
    );
    let keys = Written::new(&super::encode_keyring(&fresh_keys()));
    let file = with(&format!("[store]\nkind = \"dynamodb\"\n[keyring]\nfile = {:?}\n", keys.0));
    assert!(matches!(good(&file).keyring, KeyringSource::File(_, keys) if keys.len() == 2));
}

#[test]
fn a_broken_keyring_is_told_without_its_secrets() {
    let whole = super::encode_keyring(&fresh_keys());
    let broken = [
        whole.replace("purpose = \"durable\"", "purpose = \"request\""),
        whole.replace("active = true", "active = false"),
        whole.replace("secret = \"", "secret = \"hunter2"),
        whole.replace("number = 1", "number = \"hunter2\""),
        String::new(),
    ];
    for text in broken {
        if let Err(why) = super::decode_keyring(&text) {
            assert!(!why.contains("hunter2"), "{why}");
        } else {
            panic!("taken: {text}");
        }
    }
}

#[test]
fn what_init_writes_is_a_good_configuration() {
    good(include_str!("../commands/init.toml"));
}

/// The table is the only list of settings: each has its own path, and a default of its own kind and range.
#[test]
fn the_table_of_settings_is_sound() {
    let paths: BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(paths.len(), KEYS.len());
    for key in KEYS {
        let fits = match (key.kind, key.default) {
            (Kind::OneOf(words, _), super::keys::Default::Text(text)) => words.contains(&text),
            (Kind::Whole(min, max), super::keys::Default::Whole(number)) => {
                (min..=max).contains(&number.into())
            }
            (_, super::keys::Default::None)
            | (Kind::Text, super::keys::Default::Text(_))
            | (Kind::Flag, super::keys::Default::Flag(_))
            | (Kind::Texts, super::keys::Default::Texts(_)) => true,
            _ => false,
        };
        assert!(fits, "{}", key.path);
    }
}

fn fresh_keys() -> Vec<device_grant_domain::KeyMaterial> {
    device_grant_domain::Keyring::fresh_material(&SystemEntropy).to_vec()
}
