//! Answers of the pool's token endpoint: tokens or words of our own, never a quotation.
#![no_main]

use device_grant_domain::strict_json;
use device_grant_protocol::Scope;
use device_grant_upstream::fuzzing::token_answer;
use libfuzzer_sys::fuzz_target;
use reqwest::StatusCode;

const CANARY: &str = "canary-4f1c9a7e";
const STATUSES: [u16; 8] = [200, 200, 200, 400, 401, 302, 429, 503];

fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else { return };
    let status = StatusCode::from_u16(STATUSES[usize::from(*which) % STATUSES.len()]).expect("a status");
    match token_answer(status, body) {
        Ok(response) => {
            assert_eq!(status, StatusCode::OK);
            let members = strict_json::object(body).expect("only plain JSON is taken");
            assert_eq!(members["access_token"], response.access_token.expose());
            assert!(response.token_type.eq_ignore_ascii_case("bearer"));
            if let Some(scope) = response.scope {
                assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(&scope));
            }
        }
        Err(_) => {
            let Some(mut members) = strict_json::object(body) else { return };
            for name in ["error_description", "token_type", "error_uri"] {
                members.insert(name.to_owned(), CANARY.into());
            }
            let body = serde_json::to_vec(&members).expect("a map can be written");
            let words = token_answer(status, &body).expect_err("it is no better now");
            assert!(!words.contains(CANARY), "{words}");
        }
    }
});
