//! Requests as rows.

use device_grant_domain::mailbox::MailboxKey;
use device_grant_domain::request::{Approval, Claim, DeviceRequest, Redelivery, RequestState};
use device_grant_domain::{AttemptId, KeyThumbprint, OpId, RequestId, Timestamp};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::worker::Fault;

/// The request `id`.
pub(crate) fn load(connection: &Connection, id: &RequestId) -> Result<Option<DeviceRequest>, Fault> {
    let mut statement = connection.prepare_cached("SELECT * FROM requests WHERE id = ?1")?;
    let decoded = statement.query_row([id.as_str()], |row| Ok(decode(row, id))).optional()?;
    decoded.transpose()
}

/// Puts `request` in, or in the place of its earlier version.
pub(crate) fn save(connection: &Connection, request: &DeviceRequest) -> Result<(), Fault> {
    let spent: Vec<_> = request.spent.iter().map(AttemptId::as_str).collect();
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO requests (id, client, asked_scope, scope, created_at, expires_at, interval, counted_from,
             mailbox, dpop_jkt, origin, version, op, fence, spent, state, attempt, until, approved_at, payload, forget_at)
         VALUES (:id, :client, :asked_scope, :scope, :created_at, :expires_at, :interval, :counted_from,
             :mailbox, :dpop_jkt, :origin, :version, :op, :fence, :spent, :state, :attempt, :until, :approved_at, :payload, :forget_at)",
    )?;
    let parts = Parts::of(&request.state);
    statement.execute(named_params! {
        ":id": request.id.as_str(),
        ":client": request.client_id.as_str(),
        ":asked_scope": request.asked_scope.to_string(),
        ":scope": request.scope.to_string(),
        ":created_at": millis(request.created_at),
        ":expires_at": millis(request.expires_at),
        ":interval": request.interval,
        ":counted_from": request.counted_from.map(millis),
        ":mailbox": request.mailbox.as_bytes(),
        ":dpop_jkt": request.dpop_jkt.as_ref().map(KeyThumbprint::as_str),
        ":origin": request.origin,
        ":version": signed(request.version),
        ":op": request.op.as_str(),
        ":fence": signed(request.fence),
        // No name of a trip holds a space: they are base64url.
        ":spent": spent.join(" "),
        ":state": request.state.name().as_str(),
        ":attempt": parts.attempt.map(AttemptId::as_str),
        ":until": parts.until.map(millis),
        ":approved_at": parts.approved_at.map(millis),
        ":payload": parts.payload,
        ":forget_at": millis(request.swept_at()),
    })?;
    Ok(())
}

/// Milliseconds as SQLite keeps them.
pub(crate) fn millis(moment: Timestamp) -> i64 {
    signed(moment.as_millis())
}

/// What only some states have.
#[derive(Default)]
struct Parts<'a> {
    attempt: Option<&'a AttemptId>,
    until: Option<Timestamp>,
    approved_at: Option<Timestamp>,
    payload: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(state: &'a RequestState) -> Self {
        match state {
            RequestState::Authorized(claim) => Self {
                attempt: Some(&claim.attempt),
                until: Some(claim.lease_until),
                approved_at: None,
                payload: Some(&claim.sealed),
            },
            RequestState::Approved(approval) => Self {
                attempt: Some(&approval.attempt),
                until: Some(approval.redeemable_until),
                approved_at: Some(approval.approved_at),
                payload: Some(&approval.sealed),
            },
            RequestState::Redeemed(Some(kept)) => {
                Self { until: Some(kept.until), payload: Some(&kept.sealed), ..Self::default() }
            }
            RequestState::Pending
            | RequestState::Redeemed(None)
            | RequestState::Denied
            | RequestState::Cancelled => Self::default(),
        }
    }
}

fn decode(row: &Row<'_>, id: &RequestId) -> Result<DeviceRequest, Fault> {
    let row = Columns { row, key: id.as_str() };
    let spent: String = row.read("spent")?;
    Ok(DeviceRequest {
        id: id.clone(),
        client_id: row.parse("client", |text: String| text.parse().ok())?,
        asked_scope: row.parse("asked_scope", |text: String| text.parse().ok())?,
        scope: row.parse("scope", |text: String| text.parse().ok())?,
        created_at: row.moment("created_at")?,
        expires_at: row.moment("expires_at")?,
        interval: row.read("interval")?,
        counted_from: row.optional_moment("counted_from")?,
        mailbox: MailboxKey::from_bytes(row.read("mailbox")?),
        dpop_jkt: row.read::<Option<String>>("dpop_jkt")?.map(KeyThumbprint::from_stored),
        origin: row.read("origin")?,
        version: row.parse("version", unsigned)?,
        op: OpId::from_stored(row.read::<String>("op")?),
        fence: row.parse("fence", unsigned)?,
        spent: spent.split_ascii_whitespace().map(AttemptId::from_stored).collect(),
        state: state(&row)?,
    })
}

fn state(row: &Columns<'_>) -> Result<RequestState, Fault> {
    let attempt = || row.read::<String>("attempt").map(AttemptId::from_stored);
    Ok(match row.read::<String>("state")?.as_str() {
        "pending" => RequestState::Pending,
        "redeemed" => RequestState::Redeemed(match row.read("payload")? {
            Some(sealed) => Some(Redelivery { until: row.moment("until")?, sealed }),
            None => None,
        }),
        "denied" => RequestState::Denied,
        "cancelled" => RequestState::Cancelled,
        "authorized" => RequestState::Authorized(Claim {
            attempt: attempt()?,
            lease_until: row.moment("until")?,
            sealed: row.read("payload")?,
        }),
        "approved" => RequestState::Approved(Approval {
            attempt: attempt()?,
            approved_at: row.moment("approved_at")?,
            redeemable_until: row.moment("until")?,
            sealed: row.read("payload")?,
        }),
        _ => return Err(row.broken("state")),
    })
}

/// A row that says by name which column is broken.
struct Columns<'a> {
    row: &'a Row<'a>,
    key: &'a str,
}

impl Columns<'_> {
    fn read<T: FromSql>(&self, column: &'static str) -> Result<T, Fault> {
        self.row.get(column).map_err(|_| self.broken(column))
    }

    fn parse<T: FromSql, U>(
        &self,
        column: &'static str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, Fault> {
        parse(self.read(column)?).ok_or_else(|| self.broken(column))
    }

    fn moment(&self, column: &'static str) -> Result<Timestamp, Fault> {
        self.parse(column, unsigned).map(Timestamp::from_millis)
    }

    fn optional_moment(&self, column: &'static str) -> Result<Option<Timestamp>, Fault> {
        self.read::<Option<i64>>(column)?.map(|_| self.moment(column)).transpose()
    }

    fn broken(&self, column: &'static str) -> Fault {
        Fault::Broken { table: "requests", key: self.key.to_owned(), column }
    }
}

/// SQLite's integers are signed. What does not fit is some 290 million years away.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}
