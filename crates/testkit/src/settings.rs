//! The settings of the services that tests and fuzz targets build.

use std::time::Duration;

use device_grant_domain::codes::CodeFormat;
use device_grant_domain::dpop::DpopSettings;
use device_grant_domain::limits::StartLimits;
use device_grant_domain::pool::PoolClient;
use device_grant_domain::store::Consistency;
use device_grant_domain::{GuessLimits, PollPace, Settings};

/// The settings of a service at `public_url`, with limits that no honest test meets.
///
/// # Panics
/// When `public_url` is no URL.
pub fn settings(public_url: &str, service_client: PoolClient) -> Settings {
    Settings {
        public_url: public_url.parse().expect("a URL"),
        device_code: CodeFormat::device_code("#aA", 64).expect("a good format"),
        user_code: CodeFormat::user_code("#B", 8, true).expect("a good format"),
        lifetime: Duration::from_mins(30),
        interval: 5,
        poll_reads: Consistency::Eventual,
        poll_pace: PollPace::Memory,
        service_client,
        authorize_params: Vec::new(),
        guess_limits: GuessLimits {
            per_account: 20,
            per_network: 60,
            per_browser: 10,
            strangers_per_network: 30,
        },
        grow_user_codes: false,
        start_limits: StartLimits { per_network: 600, per_client_and_network: 400, client_alarm: 6000 },
        wrong_secret_limit: 100,
        vain_pool_call_limit: 300,
        unknown_code_limit: 3000,
        leeway: Duration::from_mins(1),
        assertion_life: Duration::from_mins(10),
        dpop: DpopSettings { nonce: false, proof_life: Duration::from_mins(1) },
        min_trip: Duration::from_secs(30),
        exchange_deadline: Duration::from_secs(10),
        store_deadline: Duration::from_secs(3),
        clock_skew: Duration::from_secs(2),
    }
}
