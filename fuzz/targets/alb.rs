//! `x-amzn-oidc-data`: only what our balancer signed for our client, as it signed it.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use device_grant_domain::Clock;
use device_grant_domain::balancer::BalancerSignIn;
use device_grant_fuzz::{ISSUER, changed, halves, wait};
use device_grant_testkit::{FixedClock, SeededEntropy, TestBalancer};
use device_grant_upstream::{Alb, AlbConfig};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static OURS: LazyLock<(TestBalancer, Alb)> = LazyLock::new(|| {
    // A second provider is refused, and the first is the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let balancer = wait(TestBalancer::spawn()).expect("there is a port");
    let config = AlbConfig {
        signer: balancer.signer.clone(),
        client_id: TestBalancer::CLIENT.to_owned(),
        issuer: ISSUER.to_owned(),
        key_url: balancer.key_url.parse().expect("it is a URL"),
        account_claim: "sub".to_owned(),
        leeway: Duration::from_secs(60),
    };
    let clock = Arc::new(FixedClock::default());
    let honest = balancer.header(ISSUER, clock.now().as_secs());
    let alb = Alb::new(config, clock, Arc::new(SeededEntropy::new(7))).expect("it can be made");
    let data = balancer.sign(&honest, &serde_json::json!({ "sub": "alice" }));
    wait(alb.account(&data, None)).expect("an honest balancer is believed, and its key is known from now on");
    (balancer, alb)
});

fuzz_target!(|data: &[u8]| {
    let (balancer, alb) = &*OURS;
    let text = String::from_utf8_lossy(data);
    assert!(wait(alb.account(&text, None)).is_err(), "nobody can forge");
    let Some((header, claims)) = halves(data) else { return };
    let json = |text: &str| serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    let (Some(header), Some(claims)) = (json(header), json(claims)) else { return };
    let signed = balancer.sign(&header, &claims);
    if let Ok(account) = wait(alb.account(&signed, None)) {
        assert_eq!(header["signer"], balancer.signer);
        assert_eq!((&header["client"], &header["iss"]), (&TestBalancer::CLIENT.into(), &ISSUER.into()));
        assert_eq!(claims["sub"], account.id);
        assert!(wait(alb.account(&signed, Some("somebody else"))).is_err());
        assert!(wait(alb.account(&changed(&signed, data.len() * 7), None)).is_err(), "one character");
    }
});
