//! The public keys of a region's load balancers: each fetched once, by its id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use device_grant_domain::balancer::BalancerError;
use device_grant_domain::{Clock, Entropy, Timestamp};
use jsonwebtoken::DecodingKey;
use reqwest::StatusCode;
use url::Url;

use crate::config::ConfigError;
use crate::http::{Bounds, CallError, Http};

/// Keys that are kept; a region uses few at a time.
const MOST_KEYS: usize = 16;
/// A PEM file with one key has some two hundred bytes.
const LARGEST_KEY: usize = 4096;
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// After a look that brought nothing there is no other for this long.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// Keys by their ids.
pub(super) struct Keys {
    place: Url,
    http: Http,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// One look at a time: whoever waits finds what the one before has brought.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// The newest last.
    keys: VecDeque<(String, Arc<DecodingKey>)>,
    not_before: Timestamp,
}

impl Keys {
    pub(super) fn new(
        place: Url,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let limits = Bounds {
            connect_timeout: LONGEST_LOOK,
            total_timeout: LONGEST_LOOK,
            answer_limit: LARGEST_KEY,
            max_parallel_calls: 1,
            // The configuration allows that on the loopback only.
            plain_http: place.scheme() == "http",
        };
        let http = Http::new(&limits, Arc::clone(&clock), entropy)?;
        Ok(Self { place, http, clock, known: Mutex::default(), looking: tokio::sync::Mutex::default() })
    }

    /// The key `id`, from memory or from AWS.
    pub(super) async fn find(&self, id: &str) -> Result<Arc<DecodingKey>, BalancerError> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        let _turn = self.looking.lock().await;
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        let (now, not_before) = (self.clock.now(), self.lock().not_before);
        if now < not_before {
            return Err(BalancerError::Unavailable("its key was not to be had a moment ago".to_owned()));
        }
        let found = self.fetch(id).await;
        let mut known = self.lock();
        match found {
            Ok(key) => {
                if known.keys.len() == MOST_KEYS {
                    known.keys.pop_front();
                }
                let key = Arc::new(key);
                known.keys.push_back((id.to_owned(), Arc::clone(&key)));
                Ok(key)
            }
            Err(problem) => {
                known.not_before = now + COOL_DOWN;
                Err(problem)
            }
        }
    }

    /// The status with which the place itself answers.
    pub(super) async fn place_answers(&self) -> Result<u16, String> {
        let answer = self.http.get(&self.place, LONGEST_LOOK).await;
        answer.map(|answer| answer.status.as_u16()).or_else(|problem| match problem {
            // It is there, and says more than a key is long.
            CallError::TooLarge(_) => Ok(StatusCode::OK.as_u16()),
            problem => Err(problem.to_string()),
        })
    }

    async fn fetch(&self, id: &str) -> Result<DecodingKey, BalancerError> {
        let mut url = self.place.clone();
        url.set_path(&format!("{}/{id}", url.path().trim_end_matches('/')));
        let unavailable = |error: CallError| BalancerError::Unavailable(error.to_string());
        let answer = self.http.get(&url, LONGEST_LOOK).await.map_err(unavailable)?;
        match answer.status {
            StatusCode::OK => DecodingKey::from_ec_pem(&answer.body)
                .map_err(|_| BalancerError::Unavailable("its key is no EC key in PEM".to_owned())),
            status if status.is_client_error() => Err(BalancerError::Refused("its key is unknown to AWS")),
            status => {
                Err(BalancerError::Unavailable(format!("the place of its key answers {}", status.as_u16())))
            }
        }
    }

    fn known(&self, id: &str) -> Option<Arc<DecodingKey>> {
        self.lock().keys.iter().find(|(known, _)| known == id).map(|(_, key)| Arc::clone(key))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
