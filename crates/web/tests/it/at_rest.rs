//! What waits in the store, in the hands of whoever has stolen the store and the keys.

use device_grant_dev_pool::Endpoint;
use device_grant_domain::mailbox::{self, Slot};
use device_grant_domain::request::{DeviceRequest, RequestState};
use device_grant_domain::store::Consistency;
use device_grant_domain::{Purpose, RequestId};
use device_grant_protocol::{DeviceCode, UserCode};

use super::app::*;
use super::browser::{Browser, outcome};

/// Every use of a key that there is in the service, as labels.
const LABELS: [&str; 12] = [
    "mailbox-psk",
    "trip",
    "origin",
    "refresh-token",
    "csrf",
    "confirm",
    "user_code",
    "guesses",
    "client-secret",
    "dg-session",
    "dg-kept",
    "dg-done",
];

/// Tries whatever somebody can try who has the item and the keyring, and not the device code.
#[track_caller]
fn cannot_be_opened(app: &TestApp, request: &DeviceRequest, sealed: &[u8], user_code: &str) {
    let keyring = &app.services[0].keyring;
    for purpose in [Purpose::Request, Purpose::Durable] {
        for label in LABELS {
            for aad in [&b""[..], request.id.as_str().as_bytes(), request.mailbox.as_bytes()] {
                assert!(keyring.open(purpose, label, aad, sealed).is_err(), "{label}");
            }
        }
    }
    // What stands in the item is no code, nor is the code that a person has seen.
    let known = [request.id.as_str(), request.op.as_str(), user_code, &user_code.replace('-', ""), ""];
    for guess in known {
        for slot in [Slot::Claim, Slot::Tokens] {
            let opened = mailbox::open(&DeviceCode::new(guess), keyring, (&request.id, slot), sealed);
            assert!(opened.is_err(), "{guess:?}");
        }
    }
}

async fn load(app: &TestApp, codes: &Codes) -> DeviceRequest {
    let id = RequestId::of(&DeviceCode::new(codes.device_code.as_str()));
    app.services[0].store.load(&id, Consistency::Strong).await.unwrap().unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// SEC-08: with the table and the keyring in hand, what waits in `authorized` and in `approved` opens with the device code
/// and with nothing else; no code stands there in the clear.
#[tokio::test]
async fn the_table_and_the_keys_together_open_no_mailbox() {
    let app = TestApp::new().await;
    let codes = app.start(TV).await;
    let device_code = DeviceCode::new(codes.device_code.as_str());
    let mut alice = Browser::alice(&app);
    let back = alice.way_back(&codes).await;
    let hold = app.dev_pool().faults().hold_next(Endpoint::Token);
    let looking = async {
        hold.arrived().await;
        let request = load(&app, &codes).await;
        let RequestState::Authorized(claim) = &request.state else { panic!("{:?}", request.state) };
        let sealed = claim.sealed.clone();
        cannot_be_opened(&app, &request, &sealed, &codes.user_code);
        let keyring = &app.services[0].keyring;
        let opened = mailbox::open(&device_code, keyring, (&request.id, Slot::Claim), &sealed).unwrap();
        let exchange = app.dev_pool().requests().to(Endpoint::Token).pop().unwrap();
        let (code, verifier) =
            (exchange.form_value("code").unwrap(), exchange.form_value("code_verifier").unwrap());
        assert!(contains(&opened, code) && contains(&opened, verifier), "this is what waits");
        assert!(!contains(&sealed, code) && !contains(&sealed, verifier));
        hold.release();
    };
    let (landed, ()) = tokio::join!(alice.land(&back), looking);
    assert_eq!(outcome(&landed), "approved");

    let request = load(&app, &codes).await;
    let RequestState::Approved(approval) = &request.state else { panic!("{:?}", request.state) };
    cannot_be_opened(&app, &request, &approval.sealed, &codes.user_code);
    let keyring = &app.services[0].keyring;
    let opened = mailbox::open(&device_code, keyring, (&request.id, Slot::Tokens), &approval.sealed).unwrap();
    let tokens = app.poll(TV, &codes).await.json();
    let access_token = tokens["access_token"].as_str().unwrap();
    assert!(contains(&opened, access_token), "this is what waited");
    assert!(!contains(&approval.sealed, access_token));
    assert_eq!(load(&app, &codes).await.state, RequestState::Redeemed(None), "and now nothing waits");

    let item = format!("{request:?}");
    for secret in [&codes.device_code, &codes.user_code, &codes.user_code.replace('-', "")] {
        assert!(!item.contains(secret.as_str()), "{item}");
    }
    let places =
        device_grant_domain::UserCodeKey::all(&UserCode::new(codes.user_code.replace('-', "")), keyring);
    assert!(places.iter().all(|place| !place.as_str().contains(&codes.user_code[..4])));
}
