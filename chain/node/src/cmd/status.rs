//! `stoad status` and `stoad version`.

use anyhow::{Context, Result};
use serde_json::{json, Value};

use super::{
    args::{StatusArgs, VersionArgs},
    inspect, print_fields,
};
use crate::{
    comet::{Binary, FileSettings, Rpc},
    home::Home,
};

/// Shows where the node stands: its engine's word if it runs, the database's in any case.
pub fn run(home: &Home, args: &StatusArgs) -> Result<()> {
    let laddr = match &args.rpc_laddr {
        Some(laddr) => laddr.clone(),
        None => FileSettings::read(&home.comet_config())?
            .rpc_laddr()
            .context("config.toml names no rpc.laddr")?
            .to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { Rpc::new(&laddr)?.status().await });
    let (running, engine) = match answer {
        Ok(status) => (true, engine_fields(&status)),
        Err(error) => (false, json!({ "error": error.to_string() })),
    };
    let state = match inspect::open(home) {
        Ok(snapshot) => json!({
            "height": snapshot.height(),
            "app_hash": hex::encode_upper(snapshot.app_hash()),
            "time": snapshot.time(),
            "oldest_height": snapshot.oldest(),
        }),
        Err(error) => json!({ "error": format!("{error:#}") }),
    };
    print_fields(args.output, &json!({ "running": running, "engine": engine, "state": state }))
}

fn engine_fields(status: &tendermint_rpc::endpoint::status::Response) -> Value {
    let (node, sync) = (&status.node_info, &status.sync_info);
    json!({
        "node_id": node.id.to_string(),
        "moniker": node.moniker.to_string(),
        "chain_id": node.network.to_string(),
        "version": node.version.to_string(),
        "height": sync.latest_block_height.value(),
        "block_hash": sync.latest_block_hash.to_string(),
        "app_hash": sync.latest_app_hash.to_string(),
        "time": sync.latest_block_time.to_rfc3339(),
        "catching_up": sync.catching_up,
        "validator_address": status.validator_info.address.to_string(),
        "voting_power": status.validator_info.power.value(),
    })
}

/// Shows the versions.
pub fn version(args: &VersionArgs) -> Result<()> {
    let comet = match Binary::find(args.comet.cometbft.as_deref()) {
        Ok(binary) => binary.version().to_owned(),
        Err(error) => error.to_string(),
    };
    let fields = json!({
        "stoad": env!("CARGO_PKG_VERSION"),
        "app_version": stoa_genesis::presets::APP_VERSION,
        "abci": "0.38",
        "cometbft": comet,
    });
    print_fields(args.output, &fields)
}
