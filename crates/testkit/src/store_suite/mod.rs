//! The contract of [`RequestStore`], for every back end.
//!
//! A back end lists the whole suite with [`store_suite!`](crate::store_suite).

mod counters;
mod create;
mod model;
mod races;
mod records;
pub mod samples;
mod transitions;

use std::sync::Arc;

use device_grant_domain::RequestId;
use device_grant_domain::request::DeviceRequest;
use device_grant_domain::store::{Consistency, RequestStore};

pub use counters::*;
pub use create::*;
pub use model::agrees_with_the_oracle;
pub use races::*;
pub use records::*;
pub use transitions::*;

/// A store to try.
pub type Store = Arc<dyn RequestStore>;

/// An empty store says that it is ready.
pub async fn a_new_store_is_ready(store: Store) {
    store.check().await.expect("it was opened to be used");
}

async fn stored(store: &dyn RequestStore, id: &RequestId) -> DeviceRequest {
    let loaded = store.load(id, Consistency::Strong).await;
    loaded.expect("the store answers").expect("the request is there")
}

/// One test for each function of the suite. `$open` is the path of a function that gives a future of
/// `(Store, _)`: it opens an empty store; what else it gives is kept until the test is over.
#[macro_export]
macro_rules! store_suite {
    ($open:path) => {
        $crate::store_suite! {
            @tests $open;

            fn a_new_store_is_ready();

            fn every_field_of_every_state_comes_back();

            fn the_unknown_is_absent();

            /// DA-11: a user code is not reissued while it lives, nor soon after.
            fn a_user_code_is_taken_until_its_cool_down_ends();

            /// DA-11: the same under every live key.
            fn a_user_code_is_taken_at_each_of_its_places();

            /// DA-11: two live requests never share a user code, also when both are issued at once.
            fn one_of_many_gets_a_user_code();

            /// DA-11: nor when two replicas seal with two keys.
            fn one_code_at_two_places_is_not_given_twice();

            /// ST-09: a create whose answer was lost is recognised as our own.
            fn creating_again_is_recognised();

            /// ST-05, ST-09: a late retry of a create brings nothing back to life.
            fn creating_again_undoes_nothing();

            /// ST-07: a user code is found at once.
            fn a_user_code_is_found_at_once_at_any_place();

            /// ST-07: of two requests with one code the live one is found.
            fn the_latest_request_of_a_code_is_found();

            /// ST-06, TP-10: what has expired stays readable, and recognisable, until it is swept.
            fn an_expired_request_stays_readable();

            /// ST-09: a version names the write that made it.
            fn the_write_that_made_a_version_stands_in_it();

            /// ST-01: each change names the state and the version that it expects.
            fn another_state_or_version_is_a_conflict();

            fn a_transition_of_the_unknown_is_not_found();

            /// ST-01, ST-05: nothing changes a terminal status, whatever comes late.
            fn a_finished_request_stays_finished();

            /// ST-09: a transition whose answer was lost is recognised as our own.
            fn a_repeated_transition_is_recognised();

            /// ST-04: an approval keeps the interval that polls have raised meanwhile.
            fn a_transition_leaves_the_interval_alone();

            /// ST-04: raising the interval overwrites nothing, and nothing once the request is decided.
            fn slowing_down_touches_nothing_else();

            /// TP-03, ST-04: a poll is counted if no other was, and that overwrites nothing.
            fn a_poll_is_counted_where_the_pace_still_stands();

            /// TP-03: of polls at once one is counted.
            fn one_of_many_polls_is_counted();

            /// ST-13: large token sets fit, and leave the store at hand-over.
            fn a_large_token_set_fits_until_it_is_handed_over();
            fn a_token_set_with_a_window_stays();

            /// ST-02: fifty redeemers, one winner.
            fn one_of_fifty_redeemers_wins();

            /// ST-03: approve and deny at the same moment: one wins and all hear the same story.
            fn one_of_approve_and_deny_wins();

            /// ST-01, ST-05: a lease is taken over once, and a late holder stores nothing.
            fn one_takes_an_abandoned_claim_over();

            /// ST-04: polls that slow down while a person approves: every device is served.
            fn slowing_down_never_spoils_an_approval();

            /// CB-01, CA-13, DP-06: a sign-in trip, an assertion, a proof is used once, by whomever and wherever.
            fn what_is_good_once_is_spent_once();

            /// UC-06: guesses are reserved up to the limit.
            fn guesses_are_reserved_up_to_the_limit();

            /// UC-06, UC-07: guesses at once share one limit.
            fn parallel_guesses_share_the_limit();

            /// UC-06: a hit gives the guess back.
            fn a_guess_given_back_is_free_again();

            /// UC-07: the counts of all replicas add up.
            fn additions_add_up();
        }
    };
    (@tests $open:path; $($(#[$doc:meta])* fn $name:ident();)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let (store, _kept) = $open().await;
            $crate::store_suite::$name(store).await;
        }
    )*};
}

/// One test for each function of the suite of [`RecordStore`](device_grant_domain::records::RecordStore). `$open` is as in
/// [`store_suite!`](crate::store_suite).
#[macro_export]
macro_rules! record_suite {
    ($open:path) => {
        $crate::store_suite! {
            @tests $open;

            fn a_record_replaces_the_version_that_it_names();

            fn one_of_many_replaces_a_record();

            fn records_are_listed_by_kind();
        }
    };
}
