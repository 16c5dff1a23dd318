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
    pub(crate) forwarded: Counter,
    pub(crate) forwarded_closed: Counter,
    pub(crate) flows: Counter,
    pub(crate) flows_closed: Counter,
    pub(crate) over_limits: Counter,
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
        // What closed is read first: open ones are never counted negative.
        let closed = self.closed.get();
        let (forwarded_closed, flows_closed) =
            (self.forwarded_closed.get(), self.flows_closed.get());
        let (forwarded, flows) = (self.forwarded.get(), self.flows.get());
        let connections = self.connections.get();
        Counters {
            connections,
            connections_open: connections.saturating_sub(closed),
            requests: self.requests.get(),
            unknown_hosts: self.unknown_hosts.get(),
            failed_tries: self.failed_tries.get(),
            gateway_errors: self.gateway_errors.get(),
            upgrades: self.upgrades.get(),
            forwarded,
            forwarded_open: forwarded.saturating_sub(forwarded_closed),
            flows,
            flows_open: flows.saturating_sub(flows_closed),
            over_limits: self.over_limits.get(),
        }
    }
}
