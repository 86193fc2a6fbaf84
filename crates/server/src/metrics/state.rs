//! How this replica is at the moment of a scrape.

use std::fmt;
use std::sync::Arc;

use device_grant_domain::DeviceGrant;
use device_grant_web::{Health, Lane, Load};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::listen::Connections;

/// Where to look.
pub(crate) struct ReplicaState {
    pub(crate) service: Arc<DeviceGrant>,
    pub(crate) health: Arc<Health>,
    pub(crate) load: Arc<Load>,
    pub(crate) connections: Connections,
}

impl fmt::Debug for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaState").finish_non_exhaustive()
    }
}

impl ReplicaState {
    fn gauges(&self) -> [(&'static str, &'static str, u64); 11] {
        let Self { service, health, load, connections } = self;
        let guessing = service.guessing();
        [
            ("draining", "1 from SIGTERM on.", health.is_draining().into()),
            (
                "store_up",
                "Whether the store answered when it was last looked at.",
                health.store_problem().is_none().into(),
            ),
            (
                "pool_up",
                "Whether the user pool's discovery answered when it was last asked.",
                service.pool.trouble().is_none().into(),
            ),
            (
                "key_missing",
                "1 while a key is active on other replicas and missing here.",
                service.missing_key().is_some().into(),
            ),
            (
                "tasks",
                "Work under way that outlives its answer: exchanges taken over, tokens stored later, refreshes.",
                wide(service.tasks.len()),
            ),
            (
                "live_codes",
                "User codes that are live, over all replicas, as far as this one knows.",
                guessing.live_codes.into(),
            ),
            (
                "missed_guesses",
                "Guesses of user codes that missed in the last code life, over all replicas.",
                guessing.missed.into(),
            ),
            (
                "user_code_growth_groups",
                "Groups by which new user codes are longer than configured: somebody is guessing.",
                wide(guessing.longer_by),
            ),
            ("connections", "Open connections.", wide(connections.open())),
            ("connections_limit", "`network.max_connections`: further ones wait.", wide(connections.limit())),
            ("requests_at_once_limit", "`limits.requests_at_once`, for each lane.", wide(load.limit())),
        ]
    }
}

impl Collector for ReplicaState {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in self.gauges() {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let help = "Requests that are being answered: of `devices` that start or poll, of `people`, and all that wait for the `pool`.";
        let mut metric = encoder.encode_descriptor("requests_at_once", help, None, MetricType::Gauge)?;
        for lane in Lane::ALL {
            let labels = [("lane", lane.name())];
            ConstGauge::new(wide(self.load.busy(lane))).encode(metric.encode_family(&labels)?)?;
        }
        let help = "Requests that found no place in their lane and were refused at once.";
        let mut metric = encoder.encode_descriptor("requests_refused", help, None, MetricType::Counter)?;
        for lane in Lane::ALL {
            let labels = [("lane", lane.name())];
            ConstCounter::new(self.load.refused(lane)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
