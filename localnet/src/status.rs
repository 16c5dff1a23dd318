//! What a network is at, for people and for programs.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use stoa_client::{query::LeaseFilter, query::QueryClient, rpc::RpcClient};

use crate::{
    keys::TENANT,
    state::{Keys, Running, State},
};

/// A network's state at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The chain's name.
    pub chain_id: String,
    /// Whether somebody keeps it.
    pub up: bool,
    /// Its directory.
    pub dir: String,
    /// The validators.
    pub nodes: Vec<NodeStatus>,
    /// The providers.
    pub providers: Vec<ProviderStatus>,
    /// The funded development keys.
    pub keys: Keys,
    /// Live leases; None where no node tells.
    pub leases: Option<usize>,
}

/// A validator's state.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// CometBFT's RPC.
    pub rpc: String,
    /// gRPC.
    pub grpc: String,
    /// REST.
    pub rest: String,
    /// Whether its process runs.
    pub running: bool,
    /// stoad's process id.
    pub pid: Option<u32>,
    /// The last block's height; None where it does not answer.
    pub height: Option<u64>,
    /// How many nodes it is connected to.
    pub peers: Option<u64>,
}

/// A provider's state.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderStatus {
    /// Its name.
    pub name: String,
    /// Its account.
    pub address: String,
    /// Where tenants reach it.
    pub gateway: String,
    /// Where its workloads are reached.
    pub ingress: String,
    /// What it says of itself.
    pub attributes: Vec<(String, String)>,
    /// Whether control daemon and data plane run.
    pub running: bool,
    /// The control daemon's process id.
    pub pid: Option<u32>,
    /// The data plane's process id.
    pub tunnel_pid: Option<u32>,
}

impl Status {
    /// Asks everybody.
    pub async fn of(state: &State, dir: &Path) -> Self {
        let nodes = state.nodes.iter().map(|node| async {
            let (height, peers) = match RpcClient::new(std::slice::from_ref(&node.rpc)) {
                Ok(rpc) => tokio::join!(height(&rpc), peers(&rpc)),
                Err(_) => (None, None),
            };
            let process = node.process.filter(Running::is_alive);
            NodeStatus {
                name: node.name.clone(),
                rpc: node.rpc.clone(),
                grpc: node.grpc.clone(),
                rest: node.rest.clone(),
                running: process.is_some(),
                pid: process.map(|process| process.pid),
                height,
                peers,
            }
        });
        let (nodes, leases) = tokio::join!(futures::future::join_all(nodes), leases(state));
        Self {
            chain_id: state.chain_id.clone(),
            up: state.is_up(),
            dir: dir.display().to_string(),
            nodes,
            providers: state.providers.iter().map(provider).collect(),
            keys: state.keys.clone(),
            leases,
        }
    }

    /// Everything, for people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "chain {} in {} ({})\n\n",
            self.chain_id,
            self.dir,
            if self.up { "up" } else { "down" }
        );
        let mut table = table(&["NODE", "STATE", "HEIGHT", "PEERS", "RPC", "GRPC", "REST"]);
        for node in &self.nodes {
            let count = |count: Option<u64>| count.map_or("-".to_owned(), |n| n.to_string());
            table.add_row([
                &node.name,
                state_word(node.running),
                &count(node.height),
                &count(node.peers),
                &node.rpc,
                &node.grpc,
                &node.rest,
            ]);
        }
        text.push_str(&format!("{table}\n\n"));
        if !self.providers.is_empty() {
            text.push_str(&format!("{}\n\n", self.provider_table()));
        }
        let mut table = self::table(&["KEY", "ADDRESS", "FUNDED WITH"]);
        for key in &self.keys.funded {
            table.add_row([&key.name, &key.address, &key.funds]);
        }
        let dir = self.keys.dir.display();
        text.push_str(&format!("{table}\n--keyring-dir {dir} --keyring-backend test\n\n"));
        let home = crate::client::home(Path::new(&self.dir), TENANT);
        text.push_str(&format!("To deploy on it:  export STOA_HOME={}\n", home.display()));
        text
    }

    fn provider_table(&self) -> comfy_table::Table {
        let mut table = table(&["PROVIDER", "STATE", "GATEWAY", "INGRESS", "ATTRIBUTES"]);
        for provider in &self.providers {
            let pairs = provider.attributes.iter().map(|(key, value)| format!("{key}={value}"));
            table.add_row([
                &provider.name,
                state_word(provider.running),
                &provider.gateway,
                &provider.ingress,
                &pairs.collect::<Vec<_>>().join(" "),
            ]);
        }
        table
    }

    /// The one line of a network in the foreground.
    pub fn to_line(&self) -> String {
        let height = self.nodes.iter().filter_map(|node| node.height).max().unwrap_or(0);
        let peers: Vec<String> = self
            .nodes
            .iter()
            .map(|node| node.peers.map_or("-".to_owned(), |n| n.to_string()))
            .collect();
        let up = |running: usize, of: usize| format!("{running}/{of}");
        let nodes = self.nodes.iter().filter(|node| node.running).count();
        let providers = self.providers.iter().filter(|one| one.running).count();
        let leases = self.leases.map_or("-".to_owned(), |leases| leases.to_string());
        format!(
            "height {height} · nodes {} · peers {} · providers {} · leases {leases}",
            up(nodes, self.nodes.len()),
            peers.join(" "),
            up(providers, self.providers.len()),
        )
    }
}

fn provider(provider: &crate::state::Provider) -> ProviderStatus {
    let process = provider.process.filter(Running::is_alive);
    let tunnel = provider.tunnel.filter(Running::is_alive);
    ProviderStatus {
        name: provider.name.clone(),
        address: provider.address.clone(),
        gateway: provider.gateway.clone(),
        ingress: provider.ingress.clone(),
        attributes: provider.attributes.clone(),
        running: process.is_some() && tunnel.is_some(),
        pid: process.map(|process| process.pid),
        tunnel_pid: tunnel.map(|process| process.pid),
    }
}

async fn height(rpc: &RpcClient) -> Option<u64> {
    rpc.status().await.ok().map(|status| status.latest_height)
}

async fn peers(rpc: &RpcClient) -> Option<u64> {
    let info: Value = rpc.call("net_info", serde_json::json!({})).await.ok()?;
    info.get("n_peers")?.as_str()?.parse().ok()
}

async fn leases(state: &State) -> Option<usize> {
    let filter = LeaseFilter { live: true, ..LeaseFilter::default() };
    let query = QueryClient::new(&state.grpcs()).ok()?;
    query.leases(&filter).await.ok().map(|leases| leases.len())
}

fn state_word(running: bool) -> &'static str {
    if running {
        "running"
    } else {
        "stopped"
    }
}

fn table(head: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(head);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table
}

/// The state of the network in a directory.
///
/// # Errors
/// If there is none.
pub async fn read(dir: &Path) -> Result<Status> {
    let state = State::read(dir)?.with_context(|| {
        format!("{} holds no network; `stoa-localnet up` makes one", dir.display())
    })?;
    Ok(Status::of(&state, dir).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_is_down() {
        let node = |name: &str, height| NodeStatus {
            name: name.to_owned(),
            rpc: String::new(),
            grpc: String::new(),
            rest: String::new(),
            running: height > Some(0),
            pid: None,
            height,
            peers: height.map(|_| 1),
        };
        let status = Status {
            chain_id: "c".into(),
            up: true,
            dir: String::new(),
            nodes: vec![node("a", Some(7)), node("b", None)],
            providers: vec![],
            keys: Keys::default(),
            leases: None,
        };
        let line = status.to_line();
        assert_eq!(line, "height 7 · nodes 1/2 · peers 1 - · providers 0/0 · leases -");
        assert!(status.to_text().contains("NODE"));
    }
}
