//! The port, on one table.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use device_grant_domain::request::{DeviceRequest, REMEMBERED_FOR, RequestState, StateName, Transition};
use device_grant_domain::store::{
    Consistency, CreateError, NewRequest, RequestStore, StoreProblem, TransitionError, Unavailable,
};
use device_grant_domain::{CounterKey, OnceKey, RequestId, SystemEntropy, Timestamp, UserCodeKey, bytes};

use crate::DynamoDbConfig;
use crate::items::{
    Item, counter_key, decode, encode, encode_state, moment, number, request_key, spent, text, ttl,
};
use crate::schema;
use crate::table::{Change, Table, Written};
use crate::user_codes;

/// A store in one DynamoDB table. Replicas share the table; each has one of these.
pub struct DynamoDbStore {
    pub(crate) table: Table,
    /// With a count it names a write that the port gives no id.
    instance: u64,
    writes: AtomicU64,
}

impl DynamoDbStore {
    /// Makes a client. Nothing is asked of the table yet: [`RequestStore::check`] does that, and loads the credentials
    /// on the way.
    pub async fn connect(config: &DynamoDbConfig) -> Self {
        Self {
            table: Table { client: config.client().await, name: config.table.clone() },
            instance: u64::from_be_bytes(bytes(&SystemEntropy)),
            writes: AtomicU64::new(0),
        }
    }

    /// The id of a write that the port gives none.
    pub(crate) fn op(&self) -> String {
        format!("{:016x}-{}", self.instance, self.writes.fetch_add(1, Ordering::Relaxed))
    }

    fn decode(&self, id: &RequestId, item: &Item) -> Result<DeviceRequest, Unavailable> {
        Ok(decode(&self.table.name, id, item)?)
    }
}

#[async_trait]
impl RequestStore for DynamoDbStore {
    async fn create(&self, new: &NewRequest, now: Timestamp) -> Result<(), CreateError> {
        if !user_codes::take(&self.table, new, now).await? {
            return Err(CreateError::UserCodeTaken);
        }
        // What stands there already is this request, created before: it may have moved on since.
        self.table.put(encode(&new.request), "attribute_not_exists(#pk)", Vec::new()).await?;
        Ok(())
    }

    async fn load(
        &self,
        id: &RequestId,
        consistency: Consistency,
    ) -> Result<Option<DeviceRequest>, Unavailable> {
        let item = self.table.get(&request_key(id), consistency == Consistency::Strong).await?;
        item.map(|item| self.decode(id, &item)).transpose()
    }

    async fn find_by_user_code(&self, places: &[UserCodeKey]) -> Result<Option<DeviceRequest>, Unavailable> {
        for id in user_codes::requests_at(&self.table, places).await? {
            if let Some(request) = self.load(&id, Consistency::Strong).await? {
                return Ok(Some(request));
            }
        }
        Ok(None)
    }

    async fn transition(&self, transition: &Transition) -> Result<(), TransitionError> {
        let change = Change {
            expression: &expression(transition),
            condition: "#state = :expected AND #version = :expectedversion",
            values: values(transition),
            repeatable: true,
        };
        match self.table.update(&request_key(&transition.id), change).await? {
            Written::Done => Ok(()),
            Written::Refused(None) => Err(TransitionError::NotFound),
            Written::Refused(Some(item)) => {
                let present = self.decode(&transition.id, &item)?;
                // Ours, written by an attempt whose answer was lost (ST-09).
                let own = present.op == transition.op;
                if own { Ok(()) } else { Err(TransitionError::Conflict(Box::new(present))) }
            }
        }
    }

    async fn slow_down(&self, id: &RequestId, interval: u32) -> Result<(), Unavailable> {
        let change = Change {
            expression: "SET #interval = :interval",
            condition: "#state IN (:pending, :authorized) AND #interval < :interval",
            values: vec![
                ("interval", number(interval)),
                ("pending", text(StateName::Pending.as_str())),
                ("authorized", text(StateName::Authorized.as_str())),
            ],
            repeatable: true,
        };
        self.table.update(&request_key(id), change).await?;
        Ok(())
    }

    async fn count_from(&self, read: &DeviceRequest, from: Timestamp) -> Result<(), TransitionError> {
        let counted = match read.counted_from {
            Some(_) => "#counted = :counted",
            None => "attribute_not_exists(#counted)",
        };
        let values = [
            ("from", moment(from)),
            ("interval", number(read.interval)),
            ("pending", text(StateName::Pending.as_str())),
            ("authorized", text(StateName::Authorized.as_str())),
        ];
        let change = Change {
            expression: "SET #counted = :from",
            condition: &format!("#state IN (:pending, :authorized) AND #interval = :interval AND {counted}"),
            values: values
                .into_iter()
                .chain(read.counted_from.map(|from| ("counted", moment(from))))
                .collect(),
            repeatable: false,
        };
        match self.table.update(&request_key(&read.id), change).await? {
            Written::Done => Ok(()),
            Written::Refused(None) => Err(TransitionError::NotFound),
            Written::Refused(Some(item)) => {
                Err(TransitionError::Conflict(Box::new(self.decode(&read.id, &item)?)))
            }
        }
    }

    async fn spend(&self, key: &OnceKey, forget_at: Timestamp) -> Result<bool, Unavailable> {
        let op = self.op();
        let item = [("pk", text(key.as_str())), ("op", text(&op)), ("ttl", ttl(forget_at))];
        let item = item.map(|(name, value)| (name.to_owned(), value)).into();
        let written = self.table.put(item, "attribute_not_exists(#pk)", Vec::new()).await?;
        Ok(written.by(&op))
    }

    async fn reserve(
        &self,
        counter: &CounterKey,
        limit: u32,
        forget_at: Timestamp,
    ) -> Result<bool, Unavailable> {
        // No condition on an absent counter can say this.
        if limit == 0 {
            return Ok(false);
        }
        let op = self.op();
        // A retry that finds its own write does not count twice. Where another's write came between it does: too much
        // is the safe side here.
        let change = Change {
            expression: "SET #ttl = :ttl, #op = :op ADD #count :one",
            condition: "attribute_not_exists(#pk) OR (#count < :limit AND #op <> :op)",
            values: vec![
                ("ttl", ttl(forget_at)),
                ("op", text(&op)),
                ("one", number(1)),
                ("limit", number(limit)),
            ],
            repeatable: true,
        };
        Ok(self.table.update(&counter_key(counter), change).await?.by(&op))
    }

    async fn give_back(&self, counter: &CounterKey) -> Result<(), Unavailable> {
        // Given back twice would be a guess too many, so an uncertain one is left at that.
        let change = Change {
            expression: "ADD #count :minusone",
            condition: "#count > :zero",
            values: vec![("minusone", number(-1)), ("zero", number(0))],
            repeatable: false,
        };
        self.table.update(&counter_key(counter), change).await?;
        Ok(())
    }

    async fn add(&self, counter: &CounterKey, by: u32, forget_at: Timestamp) -> Result<u64, Unavailable> {
        let values = vec![("by", number(by)), ("ttl", ttl(forget_at))];
        self.table.add(&counter_key(counter), "SET #ttl = :ttl ADD #count :by", values).await
    }

    async fn check(&self) -> Result<(), StoreProblem> {
        let needed = schema::newest();
        match schema::present(&self.table).await? {
            None => Err(StoreProblem::Missing { table: self.table.place() }),
            Some(found) if found < needed => Err(StoreProblem::Schema { found, needed }),
            // A later step leaves this version room: migrations expand first (migrations/README.md).
            Some(_) => Ok(()),
        }
    }
}

fn expression(transition: &Transition) -> String {
    let mut set: Vec<_> = ["state", "version", "op", "fence", "spent"].into();
    let mut remove = Vec::new();
    for (name, value) in encode_state(&transition.becomes) {
        if value.is_some() { &mut set } else { &mut remove }.push(name);
    }
    if approved_until(transition).is_some() {
        set.push("ttl");
    }
    let set: Vec<_> = set.iter().map(|name| format!("#{name} = :{name}")).collect();
    let remove: Vec<_> = remove.iter().map(|name| format!("#{name}")).collect();
    let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
    format!("SET {}{remove}", set.join(", "))
}

fn values(transition: &Transition) -> Vec<(&'static str, AttributeValue)> {
    let mut values = vec![
        ("expected", text(transition.expects.as_str())),
        ("expectedversion", number(transition.expects_version)),
        ("state", text(transition.becomes.name().as_str())),
        ("version", number(transition.expects_version + 1)),
        ("op", text(transition.op.as_str())),
        ("fence", number(transition.fence)),
        ("spent", spent(&transition.spent)),
    ];
    let of_state = encode_state(&transition.becomes);
    values.extend(of_state.into_iter().filter_map(|(name, value)| Some((name, value?))));
    values.extend(approved_until(transition).map(|until| ("ttl", ttl(until + REMEMBERED_FOR))));
    values
}

/// Only an approval may outlive its codes; no other transition moves the end.
fn approved_until(transition: &Transition) -> Option<Timestamp> {
    match &transition.becomes {
        RequestState::Approved(approval) => Some(approval.redeemable_until),
        _ => None,
    }
}
