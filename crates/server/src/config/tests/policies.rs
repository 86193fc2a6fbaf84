//! Policies of clients, and the ways to sign in.

use std::time::Duration;

use device_grant_domain::policy::{Prompt, Proximity, StepUp};
use device_grant_web::SignIn;

use super::{GOOD, good, only_problem, problems, with};

/// SEC-14, SEC-15: each client has policies of its own; without them nothing is asked for.
#[test]
fn policies_are_a_table_of_each_client() {
    let text = format!(
        r#"{GOOD}
[client.policies]
proximity = "require_more"
typed_after_link = 4
own_device_check = true
prompt = "login"
max_age_s = 300
acr_values = ["mfa", "gold"]
start_networks = ["10.0.0.0/8", "192.0.2.7"]
[[client]]
id = "other"
auth_method = "none"
"#
    );
    let config = good(&text);
    let policies = &config.clients[0].policies;
    assert_eq!((policies.proximity, policies.typed_after_link), (Proximity::RequireMore, 4));
    assert!(policies.own_device_check);
    assert_eq!(policies.step_up.prompt, Some(Prompt::Login));
    assert_eq!(policies.step_up.max_age, Some(Duration::from_mins(5)));
    assert_eq!(policies.step_up.acr_values, ["mfa", "gold"]);
    assert_eq!(policies.start_networks.len(), 2);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let alone = good(&text.replace("[upstream]", "[network]\ntrusted_proxies = []\n[upstream]"));
    let told = &alone.warnings;
    assert!(told.iter().any(|told| told.contains("trusted_proxies is empty")), "{told:?}");
    let other = &config.clients[1].policies;
    assert_eq!((other.proximity, other.most_typed(), other.own_device_check), (Proximity::Off, 0, false));
    assert!(other.step_up == StepUp::default() && other.start_networks.is_empty());
}

/// SEC-14, SEC-15: what cannot be meant is told with its place.
#[test]
fn wrong_policies_are_told() {
    let policies = |lines: &str| problems(&format!("{GOOD}[client.policies]\n{lines}\n"), &[]);
    for (lines, expected) in [
        (
            "proximty = \"warn\"",
            "client[1].policies.proximty: found an unknown key, expected `client.policies.proximity`",
        ),
        ("proximity = \"near\"", "client[1].policies.proximity: found \"near\", expected \"off\" or"),
        (
            "typed_after_link = 5",
            "client[1].policies.typed_after_link: found 5, expected a whole number from 0 to 4",
        ),
        ("prompt = \"none\"", "client[1].policies.prompt: found \"none\", expected \"login\" or"),
        ("acr_values = [\"a b\"]", "client[1].policies.acr_values: found a list, expected kinds of sign-in"),
        (
            "start_networks = [\"here\"]",
            "client[1].policies.start_networks: found a list, expected networks such as",
        ),
    ] {
        let told = policies(lines);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with(&format!("f.toml:11: {expected}")), "{}", told[0]);
    }
    assert!(
        only_problem(&format!("{GOOD}policies = 1\n"), &[])
            .contains("client[1].policies: found 1, expected a table")
    );
    let short = format!(
        "[codes]\nuser_code_length = 4\nallow_weak_codes = true\n{GOOD}[client.policies]\ntyped_after_link = 4\n"
    );
    let short = short.replace(GOOD, &GOOD.replace("public_url = \"https://login.example.com\"\n", ""));
    let told = problems(&format!("public_url = \"https://login.example.com\"\n{short}"), &[]);
    assert!(
        told[0].contains("typed_after_link: found 4, expected fewer characters than a code has"),
        "{told:#?}"
    );
}

/// UC-06: where guessing needs no account, the guard counts what strangers may try.
#[test]
fn the_guard_of_codes_counts_strangers_where_nobody_signs_in_first() {
    let limits = "[limits]\nanonymous_guesses_per_code_life_per_network = 100\n";
    good(&with(limits));
    let told = only_problem(&format!("{}[web]\nsign_in = \"on-approval\"\n", with(limits)), &[]);
    assert!(told.contains("one guesser with 200 guesses hits a given code with 2^-31"), "{told}");
    let few = format!(
        "{GOOD}[web]\nsign_in = \"on-approval\"\n[limits]\nguesses_per_code_life_per_network = 10000\n"
    );
    let config = good(&few);
    assert!(matches!(config.web.sign_in, SignIn::OnApproval));
    assert_eq!(config.settings.guess_limits.strangers_per_network, 30);
}

const SIGNER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/tv/0123456789abcdef";

/// A balancer is named by its ARN, which says where its keys are; its headers count from trusted proxies only.
#[test]
fn a_balancer_is_named_by_its_arn() {
    let text = |alb: &str| {
        format!(
            "{GOOD}[web]\nsign_in = \"alb\"\n[network]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[alb]\nclient_id = \"b\"\n{alb}\n"
        )
    };
    let alb = good(&text(&format!("signer = \"{SIGNER}\""))).alb.unwrap();
    assert_eq!(alb.key_url.as_str(), "https://public-keys.auth.elb.eu-west-1.amazonaws.com/");
    assert_eq!((alb.issuer.as_str(), alb.client_id.as_str()), ("https://pool.example.com/a", "b"));
    assert!(good(GOOD).alb.is_none());

    for (alb, expected) in [
        ("", "alb.signer: found nothing, expected the ARN of the load balancer"),
        (
            "signer = \"arn:aws:iam::1:role/x\"",
            "alb.signer: found \"arn:aws:iam::1:role/x\", expected the ARN",
        ),
        (&format!("signer = \"{}\"", SIGNER.replace("eu-west-1", "evil.example/")), "expected the ARN"),
        (
            &format!("signer = \"{}\"", SIGNER.replace("arn:aws", "arn:aws-us-gov")),
            "alb.key_url: found nothing",
        ),
        (
            &format!("signer = \"{SIGNER}\"\nkey_url = \"http://keys.example\""),
            "alb.key_url: found \"http://keys.example\", expected an https URL",
        ),
    ] {
        let told = only_problem(&text(alb), &[]);
        assert!(told.contains(expected), "{told}");
    }
    let alone = problems(&format!("{GOOD}[web]\nsign_in = \"alb\"\n"), &[]);
    for path in ["alb.signer", "alb.client_id", "network.trusted_proxies"] {
        assert!(alone.iter().any(|told| told.contains(path)), "{path} in {alone:#?}");
    }
}
