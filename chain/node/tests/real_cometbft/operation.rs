//! The operator's commands on a real node: metrics, health, doctor, snapshots, prune, rollback.

use std::collections::BTreeSet;

use serde_json::Value;
use stoa_chain::types::Address;

use crate::{
    node::{app_hash_after, http_get, include, Node, CHAIN},
    wallet::Wallet,
};

/// Names in a table of docs/metrics.md.
fn documented(prefix: &str) -> BTreeSet<String> {
    let page = include_str!("../../../../docs/metrics.md");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = page.split(|c| !is_part(c)).filter(|word| word.starts_with(prefix));
    words.map(str::to_owned).collect()
}

fn grade(findings: &Value, check: &str) -> String {
    let all = findings.as_array().unwrap();
    let found = all.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no check {check}: {findings}"))["grade"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_say_what_the_documents_say() {
    let mut wallet = Wallet::new(CHAIN, 3);
    let mut node = Node::new(&wallet);
    let engine_metrics = format!("127.0.0.1:{}", Node::bare().rpc.rsplit(':').next().unwrap());
    node.env.push(("CMT_INSTRUMENTATION_PROMETHEUS", "true".to_owned()));
    node.env.push(("CMT_INSTRUMENTATION_PROMETHEUS_LISTEN_ADDR", engine_metrics.clone()));
    node.start();
    node.wait_for_height(3);
    let channel = node.channel().await;
    include(&channel, wallet.send(Address::new([9; 20]), 5)).await;

    let (status, body) = http_get(&format!("http://{}/metrics", node.metrics)).await;
    let text = body.as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    for name in documented("stoad_") {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} is not exported");
    }
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("stoad_height") >= 3.0);
    assert!(value("stoad_block_commit_seconds_count") >= 3.0);
    assert_eq!(value("stoad_txs_total{code=\"0\",codespace=\"\"}"), 1.0);
    assert!(value("stoad_connections{interface=\"abci\"}") >= 4.0);
    let (_, body) = http_get(&format!("http://{engine_metrics}/metrics")).await;
    let text = body.as_str().unwrap();
    // Some series appear with their first event alone: catching up, a missed block, a peer.
    let late = ["validator_missed_blocks", "statesync_syncing", "blocksync_syncing", "p2p_peers"];
    let is_late = |name: &String| late.iter().any(|end| name.ends_with(end));
    let missing: Vec<_> = documented("cometbft_")
        .into_iter()
        .filter(|name| !text.contains(name.as_str()) && !is_late(name))
        .collect();
    assert!(missing.is_empty(), "CometBFT has no {missing:?}");

    let (status, health) = http_get(&format!("http://{}/health", node.metrics)).await;
    assert_eq!((status, &health["healthy"]), (200, &Value::Bool(true)), "{health}");
    let (status, _) = http_get(&format!("http://{}/other", node.metrics)).await;
    assert_eq!(status, 404);
    let findings = node.json(&["doctor", "-o", "json"]);
    for check in ["home", "secrets", "config.toml", "genesis", "cometbft", "signer", "database"] {
        assert_eq!(grade(&findings, check), "\"OK\"", "{findings}");
    }
    for check in ["program", "ports"] {
        assert_eq!(grade(&findings, check), "\"OK\"", "{findings}");
    }
    node.stop();
    let log = node.log();
    assert!(log.contains("stopped"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_node_executes_the_block_again_and_history_can_be_pruned() {
    let mut wallet = Wallet::new(CHAIN, 4);
    let mut node = Node::new(&wallet);
    node.start();
    node.wait_for_height(3);
    let channel = node.channel().await;
    let at = include(&channel, wallet.send(Address::new([9; 20]), 5)).await;
    node.wait_for_height(u64::try_from(at).unwrap() + 2);
    let refused = node.command(&["rollback"]).output().unwrap();
    assert!(!refused.status.success(), "a running node is left alone");
    node.stop();

    let state = |node: &Node| {
        let state = node.status()["state"].clone();
        (state["height"].as_u64().unwrap(), state["app_hash"].clone())
    };
    let (height, _) = state(&node);
    let exported = node.json(&["snapshots", "export", "-o", "json"]);
    assert_eq!(exported["height"], height);
    node.run(&["rollback"]);
    assert_eq!(state(&node).0, height - 1);
    node.run(&["invariants"]);
    let listed = node.json(&["snapshots", "list", "-o", "json"]);
    assert_eq!(listed, Value::Array(vec![]), "a snapshot of what was taken back is gone");
    // The block itself stays, so there is nothing more to take back.
    node.run(&["rollback"]);
    let (back, hash) = state(&node);
    assert_eq!(back, height - 1);
    node.start();
    node.wait_for_height(height + 2);
    let channel = node.channel().await;
    assert_eq!(app_hash_after(&channel, back).await, hash, "the chain agrees");
    node.stop();

    node.run(&["snapshots", "export"]);
    let (height, hash) = state(&node);
    let gone = node.command(&["snapshots", "delete", "1"]).output().unwrap();
    assert!(!gone.status.success());
    node.run(&["snapshots", "delete", &height.to_string()]);
    node.run(&["prune", "--keep", "2"]);
    let status = node.status();
    assert_eq!(status["state"]["oldest_height"], height - 1);
    assert_eq!(state(&node), (height, hash));
    node.run(&["doctor"]);
    node.start();
    node.wait_for_height(height + 2);
    node.stop();
}

#[test]
fn a_real_networks_home_asks_for_fees_and_measures_a_devnets_takes_any() {
    let file = |node: &Node, name: &str| {
        std::fs::read_to_string(node.home.path().join("config").join(name)).unwrap()
    };
    let mainnet = Node::bare();
    mainnet.run(&["init", "val", "--chain-id", CHAIN]);
    assert!(file(&mainnet, "stoad.toml").contains("min_gas_prices = \"0.0025ustoa\""));
    assert!(file(&mainnet, "config.toml").contains("prometheus = true"));
    let devnet = Node::bare();
    devnet.run(&["init", "val", "--chain-id", CHAIN, "--preset", "devnet", "--local"]);
    assert!(file(&devnet, "stoad.toml").contains("min_gas_prices = \"\""));
    assert!(file(&devnet, "config.toml").contains("prometheus = false"));
}
