//! One real node: CometBFT makes blocks, a send is included, and a killed node comes back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common {
    pub mod wallet;
}

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use common::wallet::Wallet;
use cosmos_sdk_proto::cosmos::{
    bank::v1beta1::{query_client::QueryClient, QueryBalanceRequest},
    base::tendermint::v1beta1::{service_client::ServiceClient as NodeClient, *},
    tx::v1beta1::{
        service_client::ServiceClient as TxClient, BroadcastMode, BroadcastTxRequest, GetTxRequest,
    },
};
use serde_json::Value;
use stoa_chain::types::Address;
use tonic::transport::Channel;

const CHAIN: &str = "stoa-real";
const PATIENCE: Duration = Duration::from_secs(60);

/// A node's home, and its process while it runs.
struct Node {
    home: tempfile::TempDir,
    grpc: String,
    process: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Node {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoad"));
        command.arg("--home").arg(self.home.path()).args(args);
        command
    }

    /// Runs a command to its end; it must succeed.
    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "stoad {args:?}: {said}");
        output
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.run(args).stdout).unwrap()
    }

    /// A home of a chain with one validator and a funded wallet.
    fn new(wallet: &Wallet) -> Self {
        let (p2p, rpc, grpc) = (free_port(), free_port(), free_port());
        let grpc = format!("127.0.0.1:{grpc}");
        let node = Self { home: tempfile::tempdir().unwrap(), grpc, process: None };
        let local = |port: u16| format!("tcp://127.0.0.1:{port}");
        let (p2p, rpc) = (local(p2p), local(rpc));
        let init = [
            "init",
            "val",
            "--chain-id",
            CHAIN,
            "--preset",
            "devnet",
            "--local",
            "--block-time-ms",
            "200",
            "--p2p-laddr",
            &p2p,
            "--rpc-laddr",
            &rpc,
            "--grpc-laddr",
            &node.grpc,
        ];
        node.run(&init);
        let again = node.command(&init).output().unwrap();
        assert!(!again.status.success(), "a home is made once");
        let keys = node.json(&["keys", "-o", "json"]);
        let operator = keys["operator_address"].as_str().unwrap();
        node.run(&["add-genesis-account", &wallet.address().to_string(), "1000000ustoa"]);
        node.run(&["add-genesis-account", operator, "1000000ustoa"]);
        assert!(!node.command(&["validate-genesis"]).status().unwrap().success());
        node.run(&["gentx"]);
        node.run(&["collect-gentxs"]);
        node.run(&["validate-genesis"]);
        node
    }

    fn start(&mut self) {
        let log = self.home.path().join("comet.log");
        let out = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("stoad.log"))
            .unwrap();
        let mut command = self.command(&["start", "--cometbft-log-file"]);
        let process = command.arg(log).stdout(Stdio::null()).stderr(out).spawn().unwrap();
        self.process = Some(process);
    }

    fn status(&self) -> Value {
        self.json(&["status"])
    }

    fn height(&self) -> u64 {
        self.status()["engine"]["height"].as_u64().unwrap_or_default()
    }

    fn wait_for_height(&self, height: u64) {
        let log = || std::fs::read_to_string(self.home.path().join("stoad.log")).unwrap();
        let begun = Instant::now();
        while self.height() < height {
            assert!(begun.elapsed() < PATIENCE, "no height {height}; stoad says:\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// kill -9; returns once its CometBFT is gone as well.
    fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        let begun = Instant::now();
        while engine_lives(self.home.path()) {
            assert!(begun.elapsed() < PATIENCE, "CometBFT outlives a killed stoad");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(process.wait().unwrap().success(), "an asked stop is no failure");
        assert!(!engine_lives(self.home.path()));
    }

    async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.grpc);
        tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }
}

/// Whether a process has this home on its command line.
fn engine_lives(home: &Path) -> bool {
    let home = home.to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok()).any(|line| {
        let line = String::from_utf8_lossy(&line);
        line.contains("--proxy_app") && line.contains(&home)
    })
}

async fn balance(channel: &Channel, of: Address) -> String {
    let request = QueryBalanceRequest { address: of.to_string(), denom: "ustoa".to_owned() };
    let response = QueryClient::new(channel.clone()).balance(request).await.unwrap();
    response.into_inner().balance.unwrap().amount
}

/// Sends a transaction and waits until a block has it; returns that block's height.
async fn include(channel: &Channel, tx_bytes: Vec<u8>) -> i64 {
    let mut client = TxClient::new(channel.clone());
    let request = BroadcastTxRequest { tx_bytes, mode: BroadcastMode::Sync.into() };
    let sent = client.broadcast_tx(request).await.unwrap().into_inner().tx_response.unwrap();
    assert_eq!(sent.code, 0, "{}", sent.raw_log);
    let begun = Instant::now();
    loop {
        let request = GetTxRequest { hash: sent.txhash.clone() };
        match client.get_tx(request).await {
            Ok(found) => {
                let found = found.into_inner().tx_response.unwrap();
                assert_eq!(found.code, 0, "{}", found.raw_log);
                assert!(found.timestamp.starts_with("20"), "{}", found.timestamp);
                return found.height;
            }
            Err(error) => assert_eq!(error.code(), tonic::Code::NotFound, "{error}"),
        }
        assert!(begun.elapsed() < PATIENCE, "the transaction is in no block");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The app hash that the block after `height` carries.
async fn app_hash_after(channel: &Channel, height: u64) -> String {
    let height = i64::try_from(height).unwrap() + 1;
    let request = GetBlockByHeightRequest { height };
    let found = NodeClient::new(channel.clone()).get_block_by_height(request).await.unwrap();
    hex::encode_upper(found.into_inner().block.unwrap().header.unwrap().app_hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_makes_blocks_includes_a_send_and_survives_a_kill() {
    let mut wallet = Wallet::new(CHAIN, 7);
    let to = Address::new([9; 20]);
    let mut node = Node::new(&wallet);
    node.start();
    node.wait_for_height(2);
    let channel = node.channel().await;
    let info = NodeClient::new(channel.clone()).get_node_info(GetNodeInfoRequest {}).await;
    let info = info.unwrap().into_inner();
    assert_eq!(info.default_node_info.unwrap().network, CHAIN);
    assert!(info.application_version.unwrap().cosmos_sdk_version.starts_with("v0.50."));
    include(&channel, wallet.send(to, 41)).await;
    assert_eq!(balance(&channel, to).await, "41");

    for round in 0..3 {
        node.kill();
        let left = node.status();
        assert_eq!(left["running"], false);
        let height = left["state"]["height"].as_u64().unwrap();
        let hash = left["state"]["app_hash"].as_str().unwrap().to_owned();
        node.start();
        node.wait_for_height(height + 2);
        let channel = node.channel().await;
        assert_eq!(app_hash_after(&channel, height).await, hash, "the chain agrees");
        include(&channel, wallet.send(to, 1)).await;
        assert_eq!(balance(&channel, to).await, (42 + round).to_string());
    }
    node.stop();
    node.run(&["invariants"]);
    let export: Value = node.json(&["export"]);
    assert_eq!(export["chain_id"], CHAIN);
    let accounts = export["app_state"]["auth"]["accounts"].as_array().unwrap();
    let received = accounts.iter().find(|account| account["address"] == to.to_string()).unwrap();
    assert_eq!(received["balances"]["ustoa"], "44");
    let height = export["initial_height"].as_str().unwrap().parse::<u64>().unwrap() - 1;
    let past = node.json(&["export", "--height", &(height - 1).to_string()]);
    assert_eq!(past["initial_height"], height.to_string());
}
