//! Where user codes lie.

use std::cmp::Reverse;

use device_grant_domain::store::{NewRequest, Unavailable};
use device_grant_domain::{RequestId, Timestamp, UserCodeKey};

use crate::fault::Broken;
use crate::items::{Attributes, Item, moment, request_key, text, ttl, user_code_key};
use crate::table::{Table, Written};

/// Writes down the user code of `new`. False if it is taken.
pub(crate) async fn take(table: &Table, new: &NewRequest, now: Timestamp) -> Result<bool, Unavailable> {
    if taken_elsewhere(table, new, now).await? {
        return Ok(false);
    }
    let own = text(request_key(&new.request.id));
    let free_from = new.user_code_reusable_at.max(new.request.expires_at);
    let item = [
        ("pk", text(user_code_key(&new.user_code))),
        ("request", own.clone()),
        ("expires", moment(new.request.expires_at)),
        ("free", moment(free_from)),
        ("ttl", ttl(free_from.max(new.request.swept_at()))),
    ];
    let item = item.map(|(name, value)| (name.to_owned(), value)).into();
    let condition = "attribute_not_exists(#pk) OR #free <= :now OR #request = :own";
    match table.put(item, condition, vec![("now", moment(now)), ("own", own)]).await? {
        // Two replicas that put one code at two places each look after they have written: one sees the other at least.
        Written::Done => Ok(!taken_elsewhere(table, new, now).await?),
        Written::Refused(_) => Ok(false),
    }
}

/// The requests whose user code lies at one of `places`, the latest first: a place may still name an earlier one.
pub(crate) async fn requests_at(
    table: &Table,
    places: &[UserCodeKey],
) -> Result<Vec<RequestId>, Unavailable> {
    let mut found = Vec::new();
    for place in places {
        found.extend(entry(table, place).await?);
    }
    found.sort_by_key(|(_, free_from)| Reverse(*free_from));
    Ok(found.into_iter().map(|(id, _)| id).collect())
}

/// Whether another request has the code at a place under another live key. Costs a read for each such place, which
/// there are only while keys are rotated.
async fn taken_elsewhere(table: &Table, new: &NewRequest, now: Timestamp) -> Result<bool, Unavailable> {
    for place in &new.other_places {
        let entry = entry(table, place).await?;
        if entry.is_some_and(|(id, free_from)| id != new.request.id && free_from > now) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn entry(table: &Table, place: &UserCodeKey) -> Result<Option<(RequestId, Timestamp)>, Unavailable> {
    let key = user_code_key(place);
    let item = table.get(&key, true).await?;
    Ok(item.map(|item| decode(table, &key, &item)).transpose()?)
}

fn decode(table: &Table, key: &str, item: &Item) -> Result<(RequestId, Timestamp), Broken> {
    let item = Attributes { table: &table.name, key, item };
    let request = item.text("request")?.strip_prefix("R#").ok_or_else(|| item.broken("request"))?;
    Ok((RequestId::from_stored(request), item.moment("free")?))
}
