//! How many files the process may have open: each connection is one.

use crate::config::Network;

/// What is open beside connections of devices and people: the store, the pool, the log.
const OTHERS: u64 = 256;

/// Asks the system for as many as `network` may need, as far as its hard limit goes. Shells and service managers start
/// processes with a low soft limit (often 1024), for the sake of old programs.
pub(crate) fn make_room(network: &Network) {
    let connections = u64::try_from(network.max_connections).unwrap_or(u64::MAX);
    let wanted = connections.saturating_add(OTHERS);
    let allowed = rlimit::increase_nofile_limit(wanted).unwrap_or_default();
    if allowed < wanted {
        tracing::warn!(
            wanted,
            allowed,
            "the system lets this process open fewer files than network.max_connections needs: raise the limit of open \
             files (LimitNOFILE, ulimit -n), or lower the setting"
        );
    }
}
