//! Requests as items.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use device_grant_domain::mailbox::MailboxKey;
use device_grant_domain::request::{Approval, Claim, DeviceRequest, Redelivery, RequestState};
use device_grant_domain::{AttemptId, CounterKey, KeyThumbprint, OpId, RequestId, Timestamp, UserCodeKey};

use crate::fault::Broken;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn request_key(id: &RequestId) -> String {
    format!("R#{id}")
}

pub(crate) fn user_code_key(place: &UserCodeKey) -> String {
    format!("U#{place}")
}

pub(crate) fn counter_key(counter: &CounterKey) -> String {
    format!("G#{counter}")
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(crate) fn moment(value: Timestamp) -> AttributeValue {
    number(value.as_millis())
}

/// A moment as the table's time to live wants it: in whole seconds.
pub(crate) fn ttl(value: Timestamp) -> AttributeValue {
    number(value.as_secs())
}

/// A new request.
pub(crate) fn encode(request: &DeviceRequest) -> Item {
    let fixed = [
        ("pk", text(request_key(&request.id))),
        ("ttl", ttl(request.swept_at())),
        ("client", text(request.client_id.as_str())),
        ("asked", text(request.asked_scope.to_string())),
        ("scope", text(request.scope.to_string())),
        ("created", moment(request.created_at)),
        ("expires", moment(request.expires_at)),
        ("interval", number(request.interval)),
        ("mailbox", AttributeValue::B(Blob::new(*request.mailbox.as_bytes()))),
        ("origin", AttributeValue::B(Blob::new(request.origin.clone()))),
        ("state", text(request.state.name().as_str())),
        ("version", number(request.version)),
        ("op", text(request.op.as_str())),
        ("fence", number(request.fence)),
        ("spent", spent(&request.spent)),
    ];
    let of_state = encode_state(&request.state).into_iter().filter_map(|(name, value)| Some((name, value?)));
    let key = request.dpop_jkt.as_ref().map(|key| ("jkt", text(key.as_str())));
    let counted = request.counted_from.map(|from| ("counted", moment(from)));
    fixed
        .into_iter()
        .chain(key)
        .chain(counted)
        .chain(of_state)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

pub(crate) fn spent(attempts: &[AttemptId]) -> AttributeValue {
    AttributeValue::L(attempts.iter().map(|attempt| text(attempt.as_str())).collect())
}

/// What only some states have. `None` is removed from the item: a token set goes when it was handed over (ST-13), unless the
/// device may fetch it again.
pub(crate) fn encode_state(state: &RequestState) -> [(&'static str, Option<AttributeValue>); 4] {
    let (attempt, until, approved, payload) = match state {
        RequestState::Authorized(claim) => {
            (Some(&claim.attempt), Some(claim.lease_until), None, Some(&claim.sealed))
        }
        RequestState::Approved(approval) => (
            Some(&approval.attempt),
            Some(approval.redeemable_until),
            Some(approval.approved_at),
            Some(&approval.sealed),
        ),
        RequestState::Redeemed(Some(kept)) => (None, Some(kept.until), None, Some(&kept.sealed)),
        RequestState::Pending
        | RequestState::Redeemed(None)
        | RequestState::Denied
        | RequestState::Cancelled => (None, None, None, None),
    };
    [
        ("attempt", attempt.map(|attempt| text(attempt.as_str()))),
        ("until", until.map(moment)),
        ("approved", approved.map(moment)),
        ("payload", payload.map(|sealed| AttributeValue::B(Blob::new(sealed.clone())))),
    ]
}

/// The request that `item` of `table` holds.
pub(crate) fn decode(table: &str, id: &RequestId, item: &Item) -> Result<DeviceRequest, Broken> {
    let item = Attributes { table, key: &request_key(id), item };
    Ok(DeviceRequest {
        id: id.clone(),
        client_id: item.parse("client")?,
        asked_scope: item.parse("asked")?,
        scope: item.parse("scope")?,
        created_at: item.moment("created")?,
        expires_at: item.moment("expires")?,
        interval: item.number("interval")?,
        counted_from: item.optional_moment("counted")?,
        mailbox: item.mailbox("mailbox")?,
        dpop_jkt: item.optional_text("jkt")?.map(KeyThumbprint::from_stored),
        origin: item.bytes("origin")?,
        version: item.number("version")?,
        op: OpId::from_stored(item.text("op")?),
        fence: item.number("fence")?,
        spent: item.attempts("spent")?,
        state: state(&item)?,
    })
}

fn state(item: &Attributes<'_>) -> Result<RequestState, Broken> {
    let attempt = || item.text("attempt").map(AttemptId::from_stored);
    Ok(match item.text("state")? {
        "pending" => RequestState::Pending,
        "redeemed" => RequestState::Redeemed(if item.item.contains_key("payload") {
            Some(Redelivery { until: item.moment("until")?, sealed: item.bytes("payload")? })
        } else {
            None
        }),
        "denied" => RequestState::Denied,
        "cancelled" => RequestState::Cancelled,
        "authorized" => RequestState::Authorized(Claim {
            attempt: attempt()?,
            lease_until: item.moment("until")?,
            sealed: item.bytes("payload")?,
        }),
        "approved" => RequestState::Approved(Approval {
            attempt: attempt()?,
            approved_at: item.moment("approved")?,
            redeemable_until: item.moment("until")?,
            sealed: item.bytes("payload")?,
        }),
        _ => return Err(item.broken("state")),
    })
}

/// An item that says by name which attribute is broken.
pub(crate) struct Attributes<'a> {
    pub(crate) table: &'a str,
    pub(crate) key: &'a str,
    pub(crate) item: &'a Item,
}

impl Attributes<'_> {
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Broken> {
        self.read(name, |value| value.as_s().ok().map(String::as_str))
    }

    fn optional_text(&self, name: &'static str) -> Result<Option<&str>, Broken> {
        self.item.contains_key(name).then(|| self.text(name)).transpose()
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Broken> {
        self.read(name, |value| value.as_n().ok()?.parse().ok())
    }

    pub(crate) fn moment(&self, name: &'static str) -> Result<Timestamp, Broken> {
        self.number(name).map(Timestamp::from_millis)
    }

    fn optional_moment(&self, name: &'static str) -> Result<Option<Timestamp>, Broken> {
        self.item.contains_key(name).then(|| self.moment(name)).transpose()
    }

    pub(crate) fn broken(&self, attribute: &'static str) -> Broken {
        Broken { table: self.table.to_owned(), key: self.key.to_owned(), attribute }
    }

    fn parse<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Broken> {
        self.text(name)?.parse().map_err(|_| self.broken(name))
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, Broken> {
        self.read(name, |value| Some(value.as_b().ok()?.as_ref().to_vec()))
    }

    fn mailbox(&self, name: &'static str) -> Result<MailboxKey, Broken> {
        let bytes = self.bytes(name)?.try_into().map_err(|_| self.broken(name))?;
        Ok(MailboxKey::from_bytes(bytes))
    }

    fn attempts(&self, name: &'static str) -> Result<Vec<AttemptId>, Broken> {
        let attempt = |value: &AttributeValue| Some(AttemptId::from_stored(value.as_s().ok()?));
        self.read(name, |value| value.as_l().ok()?.iter().map(attempt).collect())
    }

    fn read<'b, T>(
        &'b self,
        name: &'static str,
        read: impl FnOnce(&'b AttributeValue) -> Option<T>,
    ) -> Result<T, Broken> {
        self.item.get(name).and_then(read).ok_or_else(|| self.broken(name))
    }
}
