//! `stoa-provider status`: what the daemon says of itself through its
//! gateway, and its leases on chain.

use clap::{Args, ValueEnum};
use comfy_table::Table;
use serde_json::{json, Value};
use stoa_client::gateway;
use stoa_client::ids::TextId;
use stoa_client::money::show_dec_coin;
use stoa_client::proto::gateway::v1::{Resources, StatusRequest, StatusResponse};
use stoa_client::proto::market::v1::{Bid, Lease};
use stoa_client::Chain;

use crate::chain::{ChainReads, LiveChain};
use crate::config::Config;

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
    let reads = LiveChain::new(&config.client(), &chain, &provider)?;
    let record = reads.provider().await?.provider.unwrap_or_default();
    let daemon = match gateway::connect(&record, None).await {
        Ok(mut client) => match client.status(StatusRequest {}).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(gateway::error_of(&status).to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    let (leases, bids) = tokio::try_join!(reads.own_leases(), reads.own_bids())?;
    match arguments.output {
        Output::Json => {
            let all = as_json(&provider, &record.host_uri, &daemon, &leases, &bids);
            println!("{}", serde_json::to_string_pretty(&all)?);
        }
        Output::Table => print_tables(&provider, &record.host_uri, &daemon, &leases),
    }
    Ok(())
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

fn as_json(
    provider: &str,
    host_uri: &str,
    daemon: &Result<StatusResponse, String>,
    leases: &[Lease],
    bids: &[Bid],
) -> Value {
    let daemon = match daemon {
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
    let leases: Vec<Value> = leases
        .iter()
        .map(|lease| {
            json!({
                "lease": lease_name(lease),
                "state": lease.state().as_str_name(),
                "provider_rate": rate(lease),
                "started_at": lease.started_at,
            })
        })
        .collect();
    let bids: Vec<Value> = bids
        .iter()
        .map(|bid| {
            json!({
                "bid": bid.id.as_ref().map(TextId::text),
                "state": bid.state().as_str_name(),
                "rate": bid.rate.as_ref().map(show_dec_coin),
            })
        })
        .collect();
    json!({
        "provider": provider,
        "host_uri": host_uri,
        "daemon": daemon,
        "leases": leases,
        "bids": bids,
    })
}

fn print_tables(
    provider: &str,
    host_uri: &str,
    daemon: &Result<StatusResponse, String>,
    leases: &[Lease],
) {
    println!("{provider} at {host_uri}");
    match daemon {
        Ok(status) => print_daemon(status),
        Err(error) => println!("the daemon does not answer: {error}"),
    }
    if leases.is_empty() {
        println!("no live lease");
        return;
    }
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(["lease", "state", "a second"]);
    for lease in leases {
        let state = lease.state().as_str_name().trim_start_matches("LEASE_STATE_").to_lowercase();
        table.add_row([lease_name(lease), state, rate(lease)]);
    }
    println!("{table}");
}

fn print_daemon(status: &StatusResponse) {
    println!(
        "version {}, chain {}, height {}, {} leases",
        status.version, status.chain_id, status.height, status.leases
    );
    const GIBIBYTE: f64 = (1_u64 << 30) as f64;
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
    table.set_header(["", "cpu", "memory GiB", "storage GiB"]);
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
