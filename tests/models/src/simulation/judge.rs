//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use device_grant_domain::RequestId;
use device_grant_domain::request::{DeviceRequest, StateName, Transition};

use super::life::Life;
use crate::revives;

/// Keeps what was promised to people, what devices got, and everything that should not have happened.
#[derive(Default)]
pub(crate) struct Judge(Mutex<Record>);

#[derive(Default)]
struct Record {
    violations: Vec<String>,
    /// Token sets that left a replica, by request.
    handed_over: BTreeMap<RequestId, Vec<String>>,
    /// Requests whose person was told that the device has its tokens.
    promised: BTreeSet<RequestId>,
    /// Who wrote a hand-over last.
    redeemed_by: BTreeMap<RequestId, Life>,
}

impl Judge {
    pub(crate) fn violation(&self, what: String) {
        self.record().violations.push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.record().violations.clone()
    }

    /// A write of a replica has arrived.
    pub(crate) fn written(&self, before: &DeviceRequest, transition: &Transition, by: &Life) {
        // A write that arrives a second time changes nothing.
        if before.op == transition.op {
            return;
        }
        if transition.becomes.name() == StateName::Redeemed {
            self.record().redeemed_by.insert(before.id.clone(), by.clone());
        }
        let (from, to) = (before.state.name(), transition.becomes.name());
        if revives(&before.state, &transition.becomes, self.was_handed_over(&before.id)) {
            self.violation(format!("{} went from {from:?} to {to:?}", before.id));
        }
        let approved_by_others =
            to == StateName::Approved && from == StateName::Authorized && before.fence != transition.fence;
        if approved_by_others {
            self.violation(format!("{} was approved under a fence that had moved on", before.id));
        }
    }

    /// A poll was answered with tokens, known by their refresh token. `again`: the client may fetch them again.
    pub(crate) fn handed_over(&self, id: &RequestId, (token, is_good): (&str, bool), again: bool) {
        let tokens = {
            let mut record = self.record();
            let tokens = record.handed_over.entry(id.clone()).or_default();
            tokens.push(token.to_owned());
            tokens.clone()
        };
        if tokens.len() > 1 && !(again && tokens.iter().all(|one| one == token)) {
            self.violation(format!("{id} was handed over {} times", tokens.len()));
        }
        if !is_good {
            self.violation(format!("{id} was handed over revoked"));
        }
    }

    /// A person was told that their device is connected.
    pub(crate) fn promised(&self, id: &RequestId) {
        self.record().promised.insert(id.clone());
    }

    pub(crate) fn was_promised(&self, id: &RequestId) -> bool {
        self.record().promised.contains(id)
    }

    pub(crate) fn was_handed_over(&self, id: &RequestId) -> bool {
        self.record().handed_over.contains_key(id)
    }

    /// Whether the replica has died that wrote the hand-over of `id`.
    pub(crate) fn has_lost_its_replica(&self, id: &RequestId) -> bool {
        self.record().redeemed_by.get(id).is_some_and(Life::is_over)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().expect("nothing panics with the record open")
    }
}
