//! What the node counts, for Prometheus; docs/metrics.md says what each number means.
//!
//! Counting never waits and never fails: nothing here has a say in consensus.

mod health;
mod server;

#[cfg(test)]
mod tests;

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{
    exponential_buckets, Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use stoa_chain::app::BlockResult;

pub use health::{Health, Verdict};
pub use server::{bind, Server};

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    height: IntGauge,
    block_execution: Histogram,
    block_commit: Histogram,
    block_txs: Histogram,
    txs: IntCounterVec,
    gas_used: IntCounter,
    checks: IntCounterVec,
    proposals: IntCounterVec,
    validator_updates: IntCounter,
    snapshots: IntCounter,
    snapshot_height: IntGauge,
    snapshot_seconds: Histogram,
    calls: IntCounterVec,
    connections: IntGaugeVec,
    store_bytes: IntGauge,
    store_oldest: IntGauge,
    last_commit: Mutex<Option<Instant>>,
}

/// The counters of this process.
pub fn get() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &METRICS
}

/// By which way a call or a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// CometBFT's socket.
    Abci,
    /// gRPC.
    Grpc,
    /// REST.
    Rest,
}

impl Interface {
    fn label(self) -> &'static str {
        match self {
            Self::Abci => "abci",
            Self::Grpc => "grpc",
            Self::Rest => "rest",
        }
    }
}

/// A connection that is counted for as long as this lives.
pub struct Connected(IntGauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Registers what is measured, by its full name.
struct Registrar(Registry);

impl Registrar {
    /// The names are constants of this file and each is used once: a test makes them all.
    fn take<T: Clone + prometheus::core::Collector + 'static>(
        &self,
        made: prometheus::Result<T>,
    ) -> T {
        let made = match made {
            Ok(made) => made,
            Err(error) => panic!("a metric is described wrongly: {error}"),
        };
        if let Err(error) = self.0.register(Box::new(made.clone())) {
            panic!("a metric is registered twice: {error}");
        }
        made
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.take(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.take(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.take(IntGauge::new(name, help))
    }

    fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Histogram {
        self.take(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
    }
}

/// From a tenth of a millisecond to about three minutes.
fn seconds() -> Vec<f64> {
    exponential_buckets(0.0001, 4.0, 11).unwrap_or_default()
}

impl Metrics {
    fn new() -> Self {
        let new = Registrar(Registry::new());
        let info = Opts::new("stoad_build_info", "1; the labels say which program runs.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        new.take(IntGauge::with_opts(info)).set(1);
        Self {
            height: new.gauge("stoad_height", "Last committed height."),
            block_execution: new.histogram(
                "stoad_block_execution_seconds",
                "Time of executing a decided block and computing its app hash.",
                seconds(),
            ),
            block_commit: new.histogram(
                "stoad_block_commit_seconds",
                "Time of making a block durable.",
                seconds(),
            ),
            block_txs: new.histogram(
                "stoad_block_txs",
                "Transactions of a block.",
                exponential_buckets(1.0, 4.0, 8).unwrap_or_default(),
            ),
            txs: new.counters(
                "stoad_txs_total",
                "Transactions in blocks, by result: code 0 is success.",
                &["codespace", "code"],
            ),
            gas_used: new.counter("stoad_gas_used_total", "Gas that blocks' transactions used."),
            checks: new.counters(
                "stoad_mempool_checks_total",
                "Transactions checked for the mempool, anew after each block.",
                &["result"],
            ),
            proposals: new.counters(
                "stoad_proposals_total",
                "Proposed blocks that this node looked at.",
                &["result"],
            ),
            validator_updates: new.counter(
                "stoad_validator_updates_total",
                "Changes of validators' voting power that blocks gave.",
            ),
            snapshots: new.counter("stoad_snapshots_total", "Snapshots made by this process."),
            snapshot_height: new
                .gauge("stoad_snapshot_height", "Height of the last snapshot made."),
            snapshot_seconds: new.histogram(
                "stoad_snapshot_seconds",
                "Time of making a snapshot.",
                seconds(),
            ),
            calls: new.counters(
                "stoad_calls_total",
                "Queries and calls answered, by the way they came.",
                &["interface", "result"],
            ),
            connections: new.take(IntGaugeVec::new(
                Opts::new("stoad_connections", "Open connections."),
                &["interface"],
            )),
            store_bytes: new.gauge("stoad_store_bytes", "Bytes of the state's database on disk."),
            store_oldest: new
                .gauge("stoad_store_oldest_height", "Oldest height whose history is kept."),
            registry: new.0,
            last_commit: Mutex::default(),
        }
    }

    /// A block was committed, or a state of this height was found at the start.
    pub fn committed(&self, height: u64) {
        self.height.set(i64::try_from(height).unwrap_or(i64::MAX));
        *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago the last commit was; none since the start: none.
    pub fn since_commit(&self) -> Option<Duration> {
        let last = *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|at| at.elapsed())
    }

    /// Last committed height.
    pub fn height(&self) -> u64 {
        u64::try_from(self.height.get()).unwrap_or_default()
    }

    /// The state at the start: no block was committed by this process yet.
    pub fn opened(&self, height: u64) {
        self.height.set(i64::try_from(height).unwrap_or(i64::MAX));
    }

    /// A decided block was executed.
    pub fn executed(&self, result: &BlockResult, took: Duration) {
        self.block_execution.observe(took.as_secs_f64());
        self.block_txs.observe(result.txs.len() as f64);
        self.validator_updates.inc_by(result.validator_updates.len() as u64);
        for tx in &result.txs {
            self.gas_used.inc_by(tx.gas_used);
            self.txs.with_label_values(&[tx.codespace.as_str(), &tx.code.to_string()]).inc();
        }
    }

    /// A block was made durable.
    pub fn commit_took(&self, took: Duration) {
        self.block_commit.observe(took.as_secs_f64());
    }

    /// A transaction was checked for the mempool.
    pub fn checked(&self, accepted: bool) {
        self.checks.with_label_values(&[result(accepted)]).inc();
    }

    /// A proposed block was looked at.
    pub fn processed(&self, accepted: bool) {
        self.proposals.with_label_values(&[result(accepted)]).inc();
    }

    /// A snapshot was made.
    pub fn snapshot_made(&self, height: u64, took: Duration) {
        self.snapshots.inc();
        self.snapshot_height.set(i64::try_from(height).unwrap_or(i64::MAX));
        self.snapshot_seconds.observe(took.as_secs_f64());
    }

    /// A query or call was answered.
    pub fn called(&self, interface: Interface, good: bool) {
        let result = if good { "ok" } else { "error" };
        self.calls.with_label_values(&[interface.label(), result]).inc();
    }

    /// A connection was opened; it is counted until what is returned is dropped.
    #[must_use]
    pub fn connected(&self, interface: Interface) -> Connected {
        let gauge = self.connections.with_label_values(&[interface.label()]);
        gauge.inc();
        Connected(gauge)
    }

    /// What the store is like at the time of a scrape.
    pub fn store(&self, bytes: u64, oldest: u64) {
        self.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.store_oldest.set(i64::try_from(oldest).unwrap_or(i64::MAX));
    }

    /// All of it in Prometheus' text format.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::warn!(%error, "the metrics cannot be written");
        }
        out
    }

    /// Makes every series that has labels appear before its first event, so that an alert can
    /// tell "none" from "not measured".
    pub fn show_all(&self) {
        self.txs.with_label_values(&["", "0"]);
        for good in [true, false] {
            self.checks.with_label_values(&[result(good)]);
            self.proposals.with_label_values(&[result(good)]);
            for interface in [Interface::Abci, Interface::Grpc, Interface::Rest] {
                let label = if good { "ok" } else { "error" };
                self.calls.with_label_values(&[interface.label(), label]);
                self.connections.with_label_values(&[interface.label()]);
            }
        }
    }
}

fn result(accepted: bool) -> &'static str {
    if accepted {
        "accepted"
    } else {
        "refused"
    }
}
