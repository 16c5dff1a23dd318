//! A node's home, and its process while it runs.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

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

use crate::wallet::Wallet;

pub const CHAIN: &str = "stoa-real";
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Node {
    pub home: tempfile::TempDir,
    pub p2p: String,
    pub rpc: String,
    pub grpc: String,
    pub metrics: String,
    /// For each start, over what the files say.
    pub env: Vec<(&'static str, String)>,
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

/// An address on which nobody listens. Its port is not one of those that the kernel gives to
/// outgoing connections, which would take it before the node does, and is given once.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // So that programs that run beside this one begin elsewhere.
    let offset = u16::try_from(std::process::id() % 400).unwrap() * 50;
    loop {
        let port = 10_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Waits until `look` finds something.
pub fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Node {
    /// A node with free ports, whose home is not made yet.
    pub fn bare() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            p2p: free_address(),
            rpc: free_address(),
            grpc: free_address(),
            metrics: free_address(),
            env: Vec::new(),
            process: None,
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoad"));
        command.arg("--home").arg(self.home.path()).args(args);
        command
    }

    /// Runs a command to its end; it must succeed.
    pub fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "stoad {args:?}: {said}");
        output
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.run(args).stdout).unwrap()
    }

    /// Makes the home.
    pub fn init(&self) {
        let (p2p, rpc) = (format!("tcp://{}", self.p2p), format!("tcp://{}", self.rpc));
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
            &self.grpc,
        ];
        self.run(&init);
        let again = self.command(&init).output().unwrap();
        assert!(!again.status.success(), "a home is made once");
    }

    /// A home of a chain with one validator and a funded wallet.
    pub fn new(wallet: &Wallet) -> Self {
        let node = Self::bare();
        node.init();
        node.begin_chain(wallet, |_| ());
        node
    }

    /// Makes this node the chain's one validator; `edit` changes the genesis document first.
    pub fn begin_chain(&self, wallet: &Wallet, edit: impl FnOnce(&mut Value)) {
        let keys = self.json(&["keys", "-o", "json"]);
        let operator = keys["operator_address"].as_str().unwrap();
        let path = self.home.path().join("config/genesis.json");
        let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut document);
        fs::write(&path, serde_json::to_vec(&document).unwrap()).unwrap();
        self.run(&["add-genesis-account", &wallet.address().to_string(), "1000000ustoa"]);
        self.run(&["add-genesis-account", operator, "20000000ustoa"]);
        assert!(!self.command(&["validate-genesis"]).status().unwrap().success());
        self.run(&["gentx", "--amount", "10000000ustoa"]);
        self.run(&["collect-gentxs"]);
        self.run(&["validate-genesis"]);
    }

    /// Replaces a line of a configuration file.
    pub fn configure(&self, file: &str, from: &str, to: &str) {
        let path = self.home.path().join("config").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    fn start_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(&["start"]);
        let log = self.home.path().join("comet.log");
        let out = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("stoad.log"))
            .unwrap();
        let (p2p, rpc) = (format!("tcp://{}", self.p2p), format!("tcp://{}", self.rpc));
        command.arg("--cometbft-log-file").arg(log);
        command.args(["--p2p-laddr", &p2p, "--rpc-laddr", &rpc, "--grpc-laddr", &self.grpc]);
        command.args(["--metrics-laddr", &self.metrics]).args(args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(out);
        command
    }

    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    pub fn start_with(&mut self, args: &[&str]) {
        self.process = Some(self.start_command(args).spawn().unwrap());
    }

    /// Runs until the node ends by itself.
    pub fn run_to_end(&mut self) -> ExitStatus {
        self.start();
        self.wait_for_end()
    }

    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut process = self.process.take().unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                let _ = process.kill();
                panic!("the node does not end; it says:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("stoad.log")).unwrap_or_default()
    }

    pub fn status(&self) -> Value {
        self.json(&["status", "--rpc-laddr", &format!("tcp://{}", self.rpc)])
    }

    pub fn height(&self) -> u64 {
        self.status()["engine"]["height"].as_u64().unwrap_or_default()
    }

    pub fn wait_for_height(&self, height: u64) {
        self.wait_for_height_within(height, PATIENCE);
    }

    /// Waits for many blocks.
    pub fn wait_for_height_within(&self, height: u64, patience: Duration) {
        let begun = Instant::now();
        while self.height() < height {
            assert!(
                begun.elapsed() < patience,
                "no height {height}; stoad says:\n{}\nCometBFT says:\n{}",
                self.log(),
                fs::read_to_string(self.home.path().join("comet.log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Calls CometBFT's RPC.
    pub async fn call(&self, path: &str) -> Value {
        http_get(&format!("http://{}/{path}", self.rpc)).await.1
    }

    /// kill -9; returns once its CometBFT is gone as well.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        await_some("the end of a killed stoad's CometBFT", || {
            (!engine_lives(self.home.path())).then_some(())
        });
    }

    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(process.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(process.wait().unwrap().success(), "an asked stop is no failure");
        assert!(!engine_lives(self.home.path()));
    }

    pub async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.grpc);
        tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }
}

/// Status and JSON body of an answer; null where it is no JSON.
pub async fn http_get(url: &str) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Whether a process has this home on its command line.
pub fn engine_lives(home: &Path) -> bool {
    let home = home.to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()).any(|line| {
        let line = String::from_utf8_lossy(&line);
        line.contains("--proxy_app") && line.contains(&home)
    })
}

pub async fn balance(channel: &Channel, of: Address) -> String {
    let request = QueryBalanceRequest { address: of.to_string(), denom: "ustoa".to_owned() };
    let response = QueryClient::new(channel.clone()).balance(request).await.unwrap();
    response.into_inner().balance.unwrap().amount
}

/// Sends a transaction and waits until a block has it; returns that block's height.
pub async fn include(channel: &Channel, tx_bytes: Vec<u8>) -> i64 {
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
pub async fn app_hash_after(channel: &Channel, height: u64) -> String {
    let height = i64::try_from(height).unwrap() + 1;
    let request = GetBlockByHeightRequest { height };
    let found = NodeClient::new(channel.clone()).get_block_by_height(request).await.unwrap();
    hex::encode_upper(found.into_inner().block.unwrap().header.unwrap().app_hash)
}
