//! The realm of the people `alice` and `bob`, whose passwords are their names.

use anyhow::Context as _;
use serde_json::Value;

use crate::{APPROVAL, BALANCED, LOGIN, MISCONFIGURED, PAIRWISE};

const REALM: &str = include_str!("realm.json");

/// The realm, for services behind `tls_port`.
pub(crate) fn realm(tls_port: u16) -> anyhow::Result<Value> {
    let mut text = REALM.to_owned();
    for (mark, name) in [
        ("@LOGIN@", LOGIN),
        ("@PAIRWISE@", PAIRWISE),
        ("@MISCONFIGURED@", MISCONFIGURED),
        ("@APPROVAL@", APPROVAL),
        ("@BALANCED@", BALANCED),
    ] {
        text = text.replace(mark, &format!("https://{name}:{tls_port}"));
    }
    serde_json::from_str(&text).context("realm.json")
}
