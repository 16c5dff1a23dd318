//! Counters of this process.

use std::sync::OnceLock;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use crate::swarm::SwarmMeters;

/// What happens, counted since the start.
pub struct Meters {
    pub registry: Registry,
    pub bids_placed: IntCounter,
    pub bids_failed: IntCounter,
    pub bids_withdrawn: IntCounter,
    /// From an order's first sight to its bid in a block.
    pub bid_seconds: Histogram,
    pub withdrawals: IntCounter,
    pub withdrawals_failed: IntCounter,
    /// What one endpoint said against another.
    pub disagreements: IntCounter,
    /// The newest height that any endpoint told.
    pub best_height: IntGauge,
    /// Manifests and blobs, from and to other providers.
    pub swarm: SwarmMeters,
}

/// This process's.
pub fn meters() -> &'static Meters {
    static METERS: OnceLock<Meters> = OnceLock::new();
    METERS.get_or_init(Meters::new)
}

impl Meters {
    fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(Opts::new(name, help));
            let counter = counter.expect("names here are well formed");
            registry.register(Box::new(counter.clone())).expect("each name stands here once");
            counter
        };
        let bid_seconds = HistogramOpts::new(
            "stoa_provider_bid_seconds",
            "Seconds from an order's first sight to its bid in a block",
        );
        let buckets = vec![0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 60.0];
        let bid_seconds = Histogram::with_opts(bid_seconds.buckets(buckets));
        let bid_seconds = bid_seconds.expect("its name is well formed");
        registry.register(Box::new(bid_seconds.clone())).expect("its name stands here once");
        let best_height = IntGauge::new(
            "stoa_provider_best_height",
            "Newest height that any endpoint told, where several are configured",
        );
        let best_height = best_height.expect("its name is well formed");
        registry.register(Box::new(best_height.clone())).expect("its name stands here once");
        Self {
            swarm: SwarmMeters::new(&registry),
            best_height,
            bids_placed: counter("stoa_provider_bids_placed_total", "Bids that are in a block"),
            bids_failed: counter(
                "stoa_provider_bids_failed_total",
                "Bids that were refused or did not land",
            ),
            bids_withdrawn: counter("stoa_provider_bids_withdrawn_total", "Bids taken back"),
            bid_seconds,
            withdrawals: counter(
                "stoa_provider_withdrawals_total",
                "Transactions that fetched earnings",
            ),
            withdrawals_failed: counter(
                "stoa_provider_withdrawals_failed_total",
                "Tries of fetching earnings that failed",
            ),
            disagreements: counter(
                "stoa_provider_endpoint_disagreements_total",
                "Times that two endpoints told different things of the chain",
            ),
            registry,
        }
    }
}
