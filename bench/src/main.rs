//! `stoa-bench`: measures the state machine, the store and whole networks,
//! prints one table and writes it to `bench/results/latest.json`.
//!
//! Every figure is taken on this machine in this run; compare ratios, and
//! figures of one run, rather than figures of two machines.

mod accounts;
mod bids;
mod book;
mod finalize;
mod machine;
mod network;
mod node;
mod overlay;
mod program;
mod provider;
mod queries;
mod report;
mod state;
mod store;
mod swarm;
mod sync;
mod timing;
mod tunnel;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use report::Report;

/// Measures Stoa and prints one table.
#[derive(Parser)]
struct Args {
    /// Only figures whose name starts with this; the others stay as the
    /// file has them.
    #[arg(long, default_value = "")]
    only: String,
    /// Leave out the figures that start real networks.
    #[arg(long)]
    no_network: bool,
    /// Leave out the figures that take a Docker engine, and root.
    #[arg(long)]
    no_engine: bool,
    /// Where the figures go.
    #[arg(long, default_value = "bench/results/latest.json")]
    out: PathBuf,
}

type Bench = (&'static str, fn(&mut Report) -> Result<()>);

const MACHINE: &[Bench] = &[
    ("state.create_bid", state::create_bid),
    ("state.create_deployment", state::create_deployment),
    ("state.close_1000_orders", state::close_orders),
    ("state.idle_block", state::idle_block),
    ("finalize.sends", finalize::sends),
    ("finalize.bids", finalize::bids),
    ("store.commit", store::commit),
    ("node.idle_block", node::idle_block),
    ("sync.1m_records", sync::million_records),
    ("node.grpc", queries::grpc),
    ("tunnel.ingress", tunnel::ingress),
    ("tunnel.overlay", overlay::overlay),
    ("provider.memory", provider::memory),
    ("swarm.verified", swarm::verified),
    ("swarm.trade", swarm::trade),
];

/// What takes a Docker engine.
const ENGINE: &[Bench] = &[
    ("provider.lease_to_answer", provider::lease_to_answer),
    ("provider.adopt", provider::adoption),
];

const NETWORK: &[Bench] = &[
    ("e2e.one_validator", network::one_validator),
    ("e2e.four_validators", network::four_validators),
    ("provider.bid", bids::bids),
];

fn main() -> Result<()> {
    let args = Args::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider is installed already");
    }
    let mut report = Report::new()?;
    let network = if args.no_network { &[] } else { NETWORK };
    let engine = if args.no_engine { &[] } else { ENGINE };
    let mut failed = vec![];
    for (name, run) in MACHINE.iter().chain(engine).chain(network) {
        if name.starts_with(&args.only) || args.only.starts_with(name) {
            eprintln!("measuring {name} ...");
            // What one figure lacks must not lose the others.
            if let Err(error) = run(&mut report) {
                eprintln!("{name} failed: {error:#}");
                failed.push(*name);
            }
        }
    }
    println!("{}", report.table());
    if !args.only.is_empty() {
        report.keep_others_of(&args.out)?;
    }
    report.write(&args.out)?;
    eprintln!("written to {}", args.out.display());
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
