//! What the parts are told: the replicas, haproxy, the pool.

use std::fmt::Write as _;

use e2e::{LOGIN, POOL, binary};
use serde_json::{Value, json};

use crate::world::Ports;

/// A device client.
#[derive(Debug)]
pub struct Client {
    /// Its id; its secret is that and `-secret`.
    pub id: &'static str,
    /// For how long, in seconds, its devices can fetch tokens again whose answer was lost; 0: not at all.
    pub redelivery_s: u64,
}

/// Devices are spread over these. The window is as long as a code lives: no device is slower.
pub const CLIENTS: [Client; 2] =
    [Client { id: "tv", redelivery_s: 0 }, Client { id: "radio", redelivery_s: LIFETIME_S }];

const LIFETIME_S: u64 = 120;

/// How many people there are: `person-0`, `person-1` and so on, whose passwords are their names.
pub(crate) const PEOPLE: usize = 24;

/// How haproxy watches the replicas, and what it does when one does not answer: only a connection that was never made is
/// tried again, on another replica. A request that has left may have been processed.
pub(crate) const CHECKS: &str = "  option httpchk GET /readyz
  http-check expect status 200
  option redispatch 1
  retries 3
  retry-on conn-failure
  default-server check inter 500ms fall 2 rise 1
";

/// The file of one replica.
pub(crate) fn replica(tls_port: u16, ports: &Ports, store: &str, keyring: &str) -> String {
    let Ports { service, metrics } = ports;
    let mut text = format!(
        r#"public_url = "https://{LOGIN}:{tls_port}"
listen = "127.0.0.1:{service}"
[store]
kind = "dynamodb"
table = "chaos"
endpoint_url = "{store}"
[upstream]
issuer = "https://{POOL}:{tls_port}/realms/people"
client_id = "dg-sign-in"
client_secret = "sign-in-secret"
timeout_s = 4
[codes]
interval_s = 1
lifetime_s = {LIFETIME_S}
# Whoever was told to slow down some times still comes before the end.
min_trip_s = 45
[network]
trusted_proxies = ["127.0.0.1/32"]
[metrics]
listen = "127.0.0.1:{metrics}"
# All devices and people share one network here.
[limits]
starts_per_minute_per_network = 100000
starts_per_minute_per_client_and_network = 100000
vain_pool_calls_per_minute = 100000
{keyring}"#
    );
    for Client { id, redelivery_s } in &CLIENTS {
        text.push_str(&binary::client(id));
        let _ = writeln!(text, "redelivery_s = {redelivery_s}");
    }
    text
}

/// The realm with everybody in it.
pub(crate) fn realm(tls_port: u16) -> Value {
    let callback = format!("https://{LOGIN}:{tls_port}/callback");
    let client = |id: &str, secret: &str| {
        json!({
            "clientId": id,
            "secret": secret,
            "redirectUris": [callback],
            "attributes": { "pkce.code.challenge.method": "S256" },
        })
    };
    let mut clients = vec![client("dg-sign-in", "sign-in-secret")];
    clients.extend(CLIENTS.iter().map(|Client { id, .. }| client(id, &format!("{id}-secret"))));
    let people = (0..PEOPLE).map(|number| {
        let name = format!("person-{number}");
        json!({
            "username": name,
            "enabled": true,
            "email": format!("{name}@example.test"),
            "emailVerified": true,
            "firstName": "Person",
            "lastName": number.to_string(),
            "realmRoles": ["default-roles-people"],
            "credentials": [{ "type": "password", "value": name, "temporary": false }],
        })
    });
    json!({
        "realm": "people",
        "enabled": true,
        "sslRequired": "external",
        // A password is compared cheaply: the load is to lie on us.
        "passwordPolicy": "hashAlgorithm(pbkdf2-sha256) and hashIterations(1)",
        "clients": clients,
        "users": people.collect::<Vec<_>>(),
    })
}
