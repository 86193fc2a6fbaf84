use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use device_grant_domain::DeviceGrant;

use crate::config::WebConfig;
use crate::cookies::CookieNames;
use crate::health::Health;
use crate::load::Load;
use crate::pages::Pages;

/// What every handler has at hand.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) service: Arc<DeviceGrant>,
    pub(crate) health: Arc<Health>,
    pub(crate) load: Arc<Load>,
    pub(crate) config: WebConfig,
    pub(crate) pages: Pages,
    pub(crate) cookies: CookieNames,
    /// Whether the log has a line about requests without TLS.
    pub(crate) told_of_plain_http: AtomicBool,
}

impl AppState {
    pub(crate) fn new(
        service: Arc<DeviceGrant>,
        (health, load): (Arc<Health>, Arc<Load>),
        config: WebConfig,
    ) -> Self {
        let secure = service.settings.public_url.scheme() == "https";
        let pages = Pages::new(config.service_name.clone(), secure);
        let cookies = CookieNames::new(secure);
        let told_of_plain_http = AtomicBool::new(false);
        Self(Arc::new(Shared { service, health, load, config, pages, cookies, told_of_plain_http }))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
