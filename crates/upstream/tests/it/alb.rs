//! What a load balancer says of the people it signed in.

use std::sync::Arc;
use std::time::Duration;

use device_grant_domain::balancer::{BalancerError, BalancerSignIn};
use device_grant_domain::pool::Account;
use device_grant_testkit::{FixedClock, SeededEntropy, TestBalancer};
use device_grant_upstream::{Alb, AlbConfig};
use serde_json::{Value, json};

const ISSUER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc";

struct Fixture {
    balancer: TestBalancer,
    alb: Alb,
    clock: Arc<FixedClock>,
}

impl Fixture {
    async fn new() -> Self {
        let balancer = TestBalancer::spawn().await.unwrap();
        let clock = Arc::new(FixedClock::default());
        let config = AlbConfig {
            signer: balancer.signer.clone(),
            client_id: TestBalancer::CLIENT.to_owned(),
            issuer: ISSUER.to_owned(),
            key_url: balancer.key_url.parse().unwrap(),
            account_claim: "sub".to_owned(),
            leeway: Duration::from_mins(1),
        };
        let alb = Alb::new(config, clock.clone(), Arc::new(SeededEntropy::new(1))).unwrap();
        Self { balancer, alb, clock }
    }

    fn header(&self) -> Value {
        self.balancer.header(ISSUER, device_grant_domain::Clock::now(&*self.clock).as_secs())
    }

    async fn read(&self, data: &str) -> Result<Account, BalancerError> {
        self.alb.account(data, Some("alice-sub")).await
    }

    async fn with_header(&self, change: (&str, Value)) -> Result<Account, BalancerError> {
        let mut header = self.header();
        match change {
            (name, Value::Null) => drop(header.as_object_mut().unwrap().remove(name)),
            (name, value) => header[name] = value,
        }
        self.read(&self.balancer.sign(&header, &claims())).await
    }
}

/// Their lengths differ modulo three, so that all paddings come about.
fn claims() -> Value {
    json!({ "sub": "alice-sub", "name": "Alice Example", "email": "alice@example.com" })
}

fn refusal(outcome: Result<Account, BalancerError>) -> &'static str {
    match outcome {
        Err(BalancerError::Refused(words)) => words,
        other => panic!("{other:?}"),
    }
}

/// What AWS really sends, padding and all, for every length modulo three; the key is fetched once.
#[tokio::test]
async fn padded_parts_are_read_and_the_key_is_kept() {
    let fixture = Fixture::new().await;
    for filling in ["", "x", "xx", "xxx"] {
        let mut claims = claims();
        claims["filling"] = filling.into();
        let data = fixture.balancer.sign(&fixture.header(), &claims);
        let account = fixture.read(&data).await.unwrap();
        assert_eq!((account.id.as_str(), account.name.as_str()), ("alice-sub", "Alice Example"));
        assert_eq!(account.detail.as_deref(), Some("alice@example.com"));
        // As a strict library would have it: other bytes than were signed.
        let bare = data.replace('=', "");
        if bare.split('.').take(2).ne(data.split('.').take(2)) {
            assert_eq!(refusal(fixture.read(&bare).await), "its signature is wrong");
        }
    }
    assert_eq!(fixture.balancer.paths(), [format!("/keys/{}", TestBalancer::KEY_ID)]);
}

/// Every balancer of a region has good keys: signer, client, issuer and time are what makes a header ours. Without them
/// nobody even asks for a key.
#[tokio::test]
async fn the_header_must_be_ours() {
    let fixture = Fixture::new().await;
    let other = "arn:aws:elasticloadbalancing:eu-west-1:999999999999:loadbalancer/app/evil/0123456789abcdef";
    let now = device_grant_domain::Clock::now(&*fixture.clock).as_secs();
    for (name, value) in [
        ("signer", json!(other)),
        ("signer", Value::Null),
        ("client", json!("another-client")),
        ("client", Value::Null),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES384")),
        ("crit", json!(["x"])),
        ("exp", json!(now - 61)),
        ("exp", json!((now - 61).to_string())),
        ("exp", Value::Null),
        ("exp", json!("soon")),
    ] {
        refusal(fixture.with_header((name, value)).await);
    }
    assert_eq!(fixture.balancer.looks(), 0);
    for good in [json!(now - 59), json!((now + 60).to_string())] {
        fixture.with_header(("exp", good)).await.unwrap();
    }
}

/// A key id becomes a part of a URL, so it is a UUID or nothing.
#[tokio::test]
async fn a_key_id_leads_nowhere_else() {
    let fixture = Fixture::new().await;
    for kid in [
        json!("../../evil"),
        json!("01234567-89ab-cdef-0123-456789abcde/"),
        json!("01234567-89ab-cdef-0123-456789abcdef?x"),
        json!("01234567089ab0cdef001230456789abcdef"),
        json!("01234567-89ab-cdef-0123-456789abcdeg"),
        json!(""),
        json!(7),
        Value::Null,
    ] {
        assert_eq!(refusal(fixture.with_header(("kid", kid)).await), "its kid is no key id");
    }
    assert_eq!(fixture.balancer.looks(), 0);
}

/// Another's signature, changed claims, an identity that says something else, and no account: nobody.
#[tokio::test]
async fn what_was_not_signed_so_is_refused() {
    let fixture = Fixture::new().await;
    let data = fixture.balancer.sign(&fixture.header(), &claims());
    let stranger = TestBalancer::spawn().await.unwrap();
    let forged = stranger.sign(&fixture.header(), &claims());
    let swapped = {
        let bob = fixture.balancer.sign(&fixture.header(), &json!({ "sub": "bob-sub" }));
        let parts: Vec<_> = data.split('.').zip(bob.split('.')).collect();
        format!("{}.{}.{}", parts[0].0, parts[1].1, parts[2].0)
    };
    for wrong in [forged, swapped] {
        assert_eq!(refusal(fixture.read(&wrong).await), "its signature is wrong");
    }
    let identity = fixture.alb.account(&data, Some("bob-sub")).await;
    assert_eq!(refusal(identity), "x-amzn-oidc-identity names somebody else");
    fixture.alb.account(&data, None).await.unwrap();
    for claims in [json!({ "name": "Alice" }), json!({ "sub": "" }), json!({ "sub": 7 })] {
        let data = fixture.balancer.sign(&fixture.header(), &claims);
        assert_eq!(refusal(fixture.alb.account(&data, None).await), "it has no sub");
    }
    for malformed in ["", "a", "a.b", "a.b.c", "a.b.c.d", "....", "\u{e9}.\u{e9}.\u{e9}"] {
        refusal(fixture.read(malformed).await);
    }
    refusal(fixture.read(&format!("{data}{}", "A".repeat(40_000))).await);
}

/// A key that is not to be had makes nobody wait for each request, and is looked for again after a while.
#[tokio::test]
async fn a_key_that_is_not_to_be_had_is_not_hammered_for() {
    let fixture = Fixture::new().await;
    fixture.balancer.break_keys(true);
    let data = fixture.balancer.sign(&fixture.header(), &claims());
    for _ in 0..3 {
        assert!(matches!(fixture.read(&data).await, Err(BalancerError::Unavailable(_))));
    }
    assert_eq!(fixture.balancer.looks(), 1);
    fixture.balancer.break_keys(false);
    fixture.clock.advance(Duration::from_secs(10));
    fixture.read(&data).await.unwrap();
    let unknown = json!("ffffffff-ffff-ffff-ffff-ffffffffffff");
    assert_eq!(refusal(fixture.with_header(("kid", unknown)).await), "its key is unknown to AWS");
}
