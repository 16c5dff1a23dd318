//! The engine's sums for monitoring.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use stoa_swarm::{Counters, Fault};

use crate::metrics::meters;

/// What was told to monitoring last.
#[derive(Debug, Default)]
pub(super) struct Meters {
    received: u64,
    wasted: u64,
    sent: u64,
    ended: [u64; Fault::ALL.len()],
}

/// As monitoring reads them.
pub struct SwarmMeters {
    received: IntCounter,
    wasted: IntCounter,
    sent: IntCounter,
    ended: IntCounterVec,
}

impl SwarmMeters {
    /// Registers them, each with nothing counted.
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(name, help));
            let counter = counter.expect("names here are well formed");
            registry.register(Box::new(counter.clone())).expect("each name stands here once");
            counter
        };
        let ended = Opts::new(
            "stoa_provider_swarm_peers_ended_total",
            "Connections with other providers about manifests and blobs that ended, by reason",
        );
        let ended = IntCounterVec::new(ended, &["reason"]).expect("its name is well formed");
        registry.register(Box::new(ended.clone())).expect("its name stands here once");
        for fault in Fault::ALL {
            ended.with_label_values(&[fault.name()]);
        }
        Self {
            received: counter(
                "stoa_provider_swarm_received_bytes_total",
                "Bytes of manifests and blobs that came from other providers, verified",
            ),
            wasted: counter(
                "stoa_provider_swarm_wasted_bytes_total",
                "Bytes that came from other providers and were here already",
            ),
            sent: counter(
                "stoa_provider_swarm_sent_bytes_total",
                "Bytes of manifests and blobs that were sent to other providers",
            ),
            ended,
        }
    }
}

impl Meters {
    /// Tells what was added since the last time.
    pub(super) fn update(&mut self, counters: &Counters) {
        let to = &meters().swarm;
        let add = |counter: &IntCounter, before: &mut u64, now: u64| {
            counter.inc_by(now.saturating_sub(*before));
            *before = now;
        };
        add(&to.received, &mut self.received, counters.bytes_received());
        add(&to.wasted, &mut self.wasted, counters.bytes_wasted());
        add(&to.sent, &mut self.sent, counters.bytes_sent());
        for (fault, before) in Fault::ALL.into_iter().zip(&mut self.ended) {
            add(&to.ended.with_label_values(&[fault.name()]), before, counters.ended(fault));
        }
    }
}
