use std::sync::Arc;

use device_grant_domain::Timestamp;
use device_grant_domain::client::{
    Audience, ClientAuth, Clients, DeviceClient, KeySource, PoolBinding, PrivateKeyJwt,
};
use device_grant_domain::dpop::Dpop;
use device_grant_domain::jws::SigningAlgorithm;
use device_grant_domain::{Clock, DeviceGrant, Entropy, Keyring, Ports, Settings};
use device_grant_store_embedded::MemoryStore;
use device_grant_testkit::{FixedClock, SeededEntropy, device_client, public_pool_client, settings};
use device_grant_upstream::RemoteKeys;

use crate::{Heard, Signer};

/// Where the service is.
pub const PUBLIC_URL: &str = "https://login.example.com";
/// The pool.
pub const ISSUER: &str = "https://pool.example/realm";
/// A public client that may use proofs.
pub const CLIENT: &str = "tv";
/// A client that authenticates with the key of [`Fixture::signer`].
pub const SIGNING_CLIENT: &str = "signing-tv";

/// A service that talks to nobody.
pub struct Fixture {
    /// It.
    pub service: Arc<DeviceGrant>,
    /// What its pool heard.
    pub pool: Arc<Heard>,
    /// The key of [`SIGNING_CLIENT`].
    pub signer: Signer,
    /// The clients, by name.
    pub clients: Arc<Clients>,
}

impl Default for Fixture {
    fn default() -> Self {
        // A second provider is refused, and the first is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::default());
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let (pool, signer, memory) =
            (Arc::<Heard>::default(), Signer::default(), Arc::new(MemoryStore::default()));
        let clients: Arc<Clients> = Arc::new(clients(&signer).into_iter().collect());
        let keyring = Keyring::new(Keyring::fresh_material(&*entropy)).expect("fresh keys make a keyring");
        let ports = Ports {
            store: memory.clone(),
            records: memory,
            pool: pool.clone(),
            client_keys: Arc::new(RemoteKeys::new([], clock.clone(), &entropy).expect("no address is wrong")),
            clock,
            entropy,
            observer: Arc::new(()),
        };
        // The clock stands still: no count of what came in vain ever starts anew.
        let settings = Settings {
            wrong_secret_limit: u32::MAX,
            vain_pool_call_limit: u32::MAX,
            unknown_code_limit: u32::MAX,
            ..settings(PUBLIC_URL, public_pool_client("service"))
        };
        let service = DeviceGrant::new(ports, Arc::new(keyring), clients.clone(), settings);
        Self { service: Arc::new(service), pool, signer, clients }
    }
}

impl Fixture {
    /// The client `id`.
    pub fn client(&self, id: &str) -> Arc<DeviceClient> {
        self.clients
            .find(&id.parse().expect("it is a client_id"), Timestamp::default())
            .expect("it is a client of ours")
    }
}

fn clients(signer: &Signer) -> [DeviceClient; 2] {
    let client = |id: &str, auth| DeviceClient {
        dpop: Dpop::Optional,
        ..device_client(id, auth, PoolBinding::Shared)
    };
    let method = PrivateKeyJwt {
        keys: KeySource::Registered(Arc::new(signer.key_set())),
        algorithms: SigningAlgorithm::ALL.to_vec(),
        audience: Audience::Endpoint,
    };
    [client(CLIENT, ClientAuth::None), client(SIGNING_CLIENT, ClientAuth::PrivateKeyJwt(method))]
}
