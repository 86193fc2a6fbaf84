//! What a test logs, value by value, as it is before any formatter makes it safe.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// A test has its thread to itself. `None` where nobody listens.
    static VALUES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// From here on what this thread logs is kept.
pub fn begin() {
    // One subscriber for the whole process: one that came and went with its test would race with others for what is
    // known of each place that logs.
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
    VALUES.set(Some(Vec::new()));
}

/// What has been kept so far.
pub fn all() -> Vec<String> {
    VALUES.with_borrow(|values| values.clone().expect("`begin` came first"))
}

fn keep(value: &str) {
    VALUES.with_borrow_mut(|values| values.iter_mut().for_each(|values| values.push(value.to_owned())));
}

struct Listener;

impl Visit for Listener {
    fn record_str(&mut self, _: &Field, value: &str) {
        keep(value);
    }

    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        keep(&format!("{value:?}"));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Self);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Self);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Self);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
