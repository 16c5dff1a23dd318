//! What is counted, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::control::Counters;

#[derive(Default)]
pub(crate) struct LiveCounters {
    pub(crate) connections: Counter,
    pub(crate) closed: Counter,
    pub(crate) requests: Counter,
    pub(crate) unknown_hosts: Counter,
    pub(crate) failed_tries: Counter,
    pub(crate) gateway_errors: Counter,
    pub(crate) upgrades: Counter,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl LiveCounters {
    pub(crate) fn read(&self) -> Counters {
        let closed = self.closed.get();
        let connections = self.connections.get();
        Counters {
            connections,
            connections_open: connections.saturating_sub(closed),
            requests: self.requests.get(),
            unknown_hosts: self.unknown_hosts.get(),
            failed_tries: self.failed_tries.get(),
            gateway_errors: self.gateway_errors.get(),
            upgrades: self.upgrades.get(),
        }
    }
}
