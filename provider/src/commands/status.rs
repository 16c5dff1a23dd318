//! `stoa-provider status`: what the daemon says of itself through its
//! gateway, its leases and bids on chain, and the ledger's sums.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use comfy_table::Table;
use serde_json::{json, Value};
use stoa_client::gateway;
use stoa_client::ids::TextId;
use stoa_client::money::{show_coin, show_dec_coin};
use stoa_client::proto::gateway::v1::{Payload, Resources, StatusRequest, StatusResponse};
use stoa_client::proto::market::v1::{Bid, BidState, Lease};
use stoa_client::Chain;
use stoa_tunnel::control::Status as PlaneStatus;
use stoa_tunnel::overlay::TunnelState;

use crate::chain::{ChainReads, LiveChain};
use crate::config::Config;
use crate::drain::{self, Drain};
use crate::money::{Earnings, Filter, Ledger};
use crate::transfers;

/// How `status` answers.
#[derive(Debug, Clone, Args)]
pub struct StatusArguments {
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}

pub(super) async fn run(config: Config, arguments: &StatusArguments) -> anyhow::Result<()> {
    let provider = config.key_store().show(&config.key.name)?.address;
    let chain = Chain::connect(&config.client()).await?;
    let reads = LiveChain::new(&config.client(), &chain, &provider, (&config.chain).into())?;
    let record = reads.provider().await?.provider.unwrap_or_default();
    let daemon = match gateway::connect(&record, None).await {
        Ok(mut client) => match client.status(StatusRequest {}).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(gateway::error_of(&status).to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    let (leases, bids, balances) =
        tokio::try_join!(reads.own_leases(), reads.own_bids(), reads.balances())?;
    let told = Told {
        provider,
        host_uri: record.host_uri,
        daemon,
        leases,
        bids,
        balances: balances.iter().map(show_coin).collect(),
        earnings: earnings(&config),
        drain: drain::read(&config.data_dir)?,
        payloads: payloads(&config),
        plane: super::plane::ask(&config).await,
    };
    match arguments.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&told.as_json())?),
        Output::Table => told.print(),
    }
    Ok(())
}

/// All that is told.
struct Told {
    provider: String,
    host_uri: String,
    daemon: Result<StatusResponse, String>,
    leases: Vec<Lease>,
    bids: Vec<Bid>,
    balances: Vec<String>,
    /// None: there is no ledger yet.
    earnings: Option<Earnings>,
    drain: Option<Drain>,
    plane: Result<PlaneStatus, String>,
    /// Of each deployment, as the daemon wrote them down last.
    payloads: Vec<(String, Payload)>,
}

/// What the daemon has of manifests and blobs, and from whom.
fn payloads(config: &Config) -> Vec<(String, Payload)> {
    let known = match transfers::read(&config.data_dir.join(transfers::FILE)) {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!("{}: {error}", transfers::FILE);
            return vec![];
        }
    };
    let of = |deployment: String| {
        let payloads = known.payloads(&deployment);
        payloads.into_iter().map(move |payload| (deployment.clone(), payload))
    };
    known.deployments().into_iter().flat_map(of).collect()
}

fn sources(payload: &Payload) -> String {
    let sources = payload.sources.iter();
    sources.map(|s| format!("{} from {}", s.bytes, s.peer)).collect::<Vec<_>>().join(", ")
}

/// What the ledger says; a daemon that never ran has none.
fn earnings(config: &Config) -> Option<Earnings> {
    let path = config.ledger_path();
    if !path.exists() {
        return None;
    }
    match Ledger::open_to_read(&path).and_then(|ledger| ledger.earnings(&Filter::default())) {
        Ok(earnings) => Some(earnings),
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    }
}

fn lease_name(lease: &Lease) -> String {
    lease.id.as_ref().map(TextId::text).unwrap_or_default()
}

fn rate(lease: &Lease) -> String {
    lease.provider_rate.as_ref().map(show_dec_coin).unwrap_or_default()
}

fn resources(amounts: Option<&Resources>) -> Value {
    let amounts = amounts.copied().unwrap_or_default();
    json!({
        "cpu_millicores": amounts.cpu,
        "memory_bytes": amounts.memory,
        "storage_bytes": amounts.storage,
        "gpus": amounts.gpu,
    })
}

fn state_of(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

impl Told {
    /// Whole units by lease.
    fn earned(&self) -> BTreeMap<&str, String> {
        let lines = self.earnings.iter().flat_map(|earnings| &earnings.leases);
        lines.map(|l| (l.lease.as_str(), format!("{}{}", l.earned, l.denom))).collect()
    }

    fn as_json(&self) -> Value {
        let daemon = match &self.daemon {
            Ok(status) => json!({
                "version": status.version,
                "chain_id": status.chain_id,
                "height": status.height,
                "leases": status.leases,
                "available": resources(status.available.as_ref()),
                "total": resources(status.total.as_ref()),
            }),
            Err(error) => json!({ "error": error }),
        };
        let earned = self.earned();
        let leases = self.leases.iter().map(|lease| {
            json!({
                "lease": lease_name(lease),
                "state": lease.state().as_str_name(),
                "provider_rate": rate(lease),
                "started_at": lease.started_at,
                "earned": earned.get(lease_name(lease).as_str()),
            })
        });
        let bids = self.bids.iter().map(|bid| {
            json!({
                "bid": bid.id.as_ref().map(TextId::text),
                "state": bid.state().as_str_name(),
                "rate": bid.rate.as_ref().map(show_dec_coin),
            })
        });
        json!({
            "provider": self.provider,
            "host_uri": self.host_uri,
            "daemon": daemon,
            "drain": self.drain,
            "data_plane": match &self.plane {
                Ok(status) => json!({
                    "status": status,
                    "problems": super::plane::problems(status),
                }),
                Err(error) => json!({ "error": error }),
            },
            "balances": self.balances,
            "earned": self.earnings.as_ref().map(|earnings| &earnings.total),
            "ledger_height": self.earnings.as_ref().map(|earnings| earnings.height),
            "payloads": self.payloads.iter().map(payload_as_json).collect::<Vec<_>>(),
            "leases": leases.collect::<Vec<_>>(),
            "bids": bids.collect::<Vec<_>>(),
        })
    }

    fn print(&self) {
        println!("{} at {}", self.provider, self.host_uri);
        match &self.daemon {
            Ok(status) => print_daemon(status),
            Err(error) => println!("the daemon does not answer: {error}"),
        }
        match self.drain {
            None => {}
            Some(Drain { close_by: None, .. }) => println!("draining: no new orders"),
            Some(Drain { close_by: Some(by), .. }) => {
                println!("draining: no new orders, leases closed by {}", super::drain::shown(by));
            }
        }
        self.print_plane();
        println!("balance {}", self.balances.join(", "));
        if let Some(earnings) = &self.earnings {
            let total: Vec<String> =
                earnings.total.iter().map(|(denom, sum)| format!("{sum}{denom}")).collect();
            println!("earned {} (booked to block {})", total.join(", "), earnings.height);
        }
        self.print_leases();
        self.print_bids();
        self.print_payloads();
    }

    fn print_plane(&self) {
        match &self.plane {
            Err(error) => println!("the data plane does not answer: {error}"),
            Ok(status) => {
                let up = status.tunnels.iter().filter(|one| one.state == TunnelState::Up).count();
                println!(
                    "data plane: {} host names, {} ports, {} tunnel ends ({up} up)",
                    status.hosts,
                    status.listening,
                    status.tunnels.len()
                );
                for problem in super::plane::problems(status) {
                    println!("  {problem}");
                }
            }
        }
    }

    fn print_payloads(&self) {
        if self.payloads.is_empty() {
            return;
        }
        let mut table = table(&["deployment", "payload", "here", "of bytes", "from"]);
        for (deployment, payload) in &self.payloads {
            let name = format!("{} {}…", payload.kind, payload.root.get(..8).unwrap_or_default());
            let here = match payload.complete {
                true => "all".to_string(),
                false => payload.have.to_string(),
            };
            table.add_row([
                deployment.clone(),
                name,
                here,
                payload.size.to_string(),
                sources(payload),
            ]);
        }
        println!("{table}");
    }

    fn print_leases(&self) {
        if self.leases.is_empty() {
            println!("no live lease");
            return;
        }
        let earned = self.earned();
        let mut table = table(&["lease", "state", "a second", "earned"]);
        for lease in &self.leases {
            let name = lease_name(lease);
            let sum = earned.get(name.as_str()).cloned().unwrap_or_default();
            let state = state_of(lease.state().as_str_name(), "LEASE_STATE_");
            table.add_row([name, state, rate(lease), sum]);
        }
        println!("{table}");
    }

    fn print_bids(&self) {
        let open: Vec<&Bid> = self.bids.iter().filter(|b| b.state() == BidState::Open).collect();
        if open.is_empty() {
            println!("no open bid");
            return;
        }
        let mut table = table(&["bid", "a second"]);
        for bid in open {
            let name = bid.id.as_ref().map(TextId::text).unwrap_or_default();
            // A sealed one has no rate to show.
            let rate = bid.rate.as_ref().map(show_dec_coin).unwrap_or_default();
            let sealed = !bid.commitment.is_empty() && !bid.revealed;
            table.add_row([name, if sealed { "sealed".into() } else { rate }]);
        }
        println!("{table}");
    }
}

fn payload_as_json((deployment, payload): &(String, Payload)) -> Value {
    let sources = payload.sources.iter();
    let sources: Vec<Value> =
        sources.map(|s| json!({ "peer": s.peer, "bytes": s.bytes })).collect();
    json!({
        "deployment": deployment,
        "kind": payload.kind,
        "root": payload.root,
        "size": payload.size,
        "have": payload.have,
        "complete": payload.complete,
        "sources": sources,
    })
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(header.iter().copied());
    table
}

fn print_daemon(status: &StatusResponse) {
    println!(
        "version {}, chain {}, height {}, {} leases",
        status.version, status.chain_id, status.height, status.leases
    );
    const GIBIBYTE: f64 = (1_u64 << 30) as f64;
    let mut table = table(&["", "cpu", "memory GiB", "storage GiB"]);
    for (name, amounts) in [("free", status.available), ("total", status.total)] {
        let amounts = amounts.unwrap_or_default();
        table.add_row([
            name.to_string(),
            format!("{:.1}", amounts.cpu as f64 / 1000.0),
            format!("{:.1}", amounts.memory as f64 / GIBIBYTE),
            format!("{:.1}", amounts.storage as f64 / GIBIBYTE),
        ]);
    }
    println!("{table}");
}
