//! The clients of the services that tests and fuzz targets build.

use device_grant_domain::client::{ClientAuth, DeviceClient, Grants, PoolBinding, TokenSet};
use device_grant_domain::dpop::Dpop;
use device_grant_domain::policy::Policies;
use device_grant_domain::pool::PoolClient;
use device_grant_protocol::AuthMethod;

/// A device client that may do everything and of which nothing is demanded, named as its id.
///
/// # Panics
/// When `id` is no `client_id`.
pub fn device_client(id: &str, auth: ClientAuth, pool_client: PoolBinding) -> DeviceClient {
    let scope = |text: &str| text.parse().expect("a good scope");
    DeviceClient {
        id: id.parse().expect("a good client_id"),
        name: id.to_owned(),
        auth,
        pool_client,
        scopes: scope("openid profile email"),
        default_scope: scope("openid"),
        extra_scopes: scope(""),
        token_set: TokenSet { id: true, refresh: true },
        lifetime: None,
        grants: Grants { device_code: true, refresh_token: true },
        starts_per_minute: None,
        redelivery: None,
        policies: Policies::default(),
        dpop: Dpop::Off,
    }
}

/// A client of a pool that wants no secret.
pub fn public_pool_client(id: &str) -> PoolClient {
    PoolClient { client_id: id.to_owned(), secret: None, auth_method: AuthMethod::None }
}
