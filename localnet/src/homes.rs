//! The validators' homes, made as operators make them: each inits its own and signs a request to
//! be in the genesis document, and everybody collects the same requests.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use stoa_chain::types::{Address, Amount, Coins, Dec, Denom};
use stoa_genesis::{Document, Preset};
use time::OffsetDateTime;

use crate::{
    keys::FUNDS,
    options::Options,
    ports::Ports,
    process::Program,
    state::{private_dir, write_file, Keys, Node},
};

/// What CometBFT logs: each block, and what goes wrong.
const COMET_LOG_LEVEL: &str = "state:info,*:error";

/// What each operator delegates to its validator: ten votes.
const STAKE: &str = "10000000ustoa";

/// A validator that was made, with what the genesis document needs of it.
struct Made {
    node: Node,
    operator: String,
    p2p: u16,
}

/// Makes the homes of all validators below `nodes/`.
///
/// # Errors
/// If one of stoad's commands fails, or the disk refuses.
pub fn make(options: &Options, ports: &mut Ports, keys: &Keys) -> Result<Vec<Node>> {
    let stoad = Stoad(options.programs.path("stoad"), options.programs.cometbft.clone());
    let indexes = 0..options.validators;
    let made =
        indexes.map(|index| init(&stoad, options, ports, index)).collect::<Result<Vec<_>>>()?;
    let genesis = genesis(options, keys, &made)?;
    let requests = options.dir.join("gentx");
    private_dir(&requests)?;
    for Made { node, p2p, .. } in &made {
        write_file(&node.home.join("config/genesis.json"), genesis.as_bytes(), 0o644)?;
        let request = requests.join(format!("{}.json", node.name)).display().to_string();
        let peer = format!("127.0.0.1:{p2p}");
        let arguments = ["--amount", STAKE, "--peer", &peer, "--output-document", &request];
        stoad.run(&node.home, &[&["gentx"], &arguments[..]].concat())?;
    }
    let requests = requests.display().to_string();
    for Made { node, .. } in &made {
        stoad.run(&node.home, &["collect-gentxs", "--gentx-dir", &requests])?;
    }
    Ok(made.into_iter().map(|made| made.node).collect())
}

/// How a node is run.
pub fn program(options: &Options, node: &Node) -> Program {
    let mut args: Vec<OsString> = vec!["start".into(), "--home".into(), node.home.clone().into()];
    let mut flag = |name: &str, value: OsString| args.extend([name.into(), value]);
    flag("--cometbft", options.programs.cometbft.clone().into());
    flag("--cometbft-log-file", comet_log(&options.dir, &node.name).into());
    flag("--cometbft-log-level", COMET_LOG_LEVEL.into());
    Program {
        name: node.name.clone(),
        path: options.programs.path("stoad"),
        args,
        env: vec![],
        log: log(&options.dir, &node.name),
    }
}

/// Where a program's log goes.
pub fn log(dir: &Path, name: &str) -> PathBuf {
    dir.join("logs").join(format!("{name}.log"))
}

/// Where the log of a node's CometBFT goes.
pub fn comet_log(dir: &Path, node: &str) -> PathBuf {
    dir.join("logs").join(format!("{node}.cometbft.log"))
}

fn init(stoad: &Stoad, options: &Options, ports: &mut Ports, index: usize) -> Result<Made> {
    #[derive(Deserialize)]
    struct Printed {
        node_id: String,
        operator_address: String,
    }
    let name = format!("node{index}");
    let home = options.dir.join("nodes").join(&name);
    let (p2p, rpc, grpc) = (ports.free()?, ports.free()?, ports.free()?);
    let rest = ports.free()?;
    let block_ms = options.block_time.as_millis().to_string();
    let local = |port: u16| format!("tcp://127.0.0.1:{port}");
    let (p2p_laddr, rpc_laddr) = (local(p2p), local(rpc));
    let grpc_laddr = format!("127.0.0.1:{grpc}");
    let rest_address = format!("127.0.0.1:{rest}");
    let arguments = [
        "init",
        &name,
        "--local",
        "--preset",
        "devnet",
        "--chain-id",
        &options.chain_id,
        "--block-time-ms",
        &block_ms,
        "--p2p-laddr",
        &p2p_laddr,
        "--rpc-laddr",
        &rpc_laddr,
        "--grpc-laddr",
        &grpc_laddr,
        "--rest-address",
        &rest_address,
    ];
    let printed = stoad.run(&home, &arguments)?;
    let printed: Printed = serde_json::from_str(&printed).context("what `stoad init` printed")?;
    let node = Node {
        rpc: format!("http://127.0.0.1:{rpc}"),
        grpc: format!("http://{grpc_laddr}"),
        rest: format!("http://{rest_address}"),
        peer: format!("{}@127.0.0.1:{p2p}", printed.node_id),
        name,
        home,
        process: None,
    };
    Ok(Made { node, operator: printed.operator_address, p2p })
}

/// The genesis document without validators: the funds of the development keys and the operators.
fn genesis(options: &Options, keys: &Keys, made: &[Made]) -> Result<String> {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0)?;
    let mut document = Document::new(&options.chain_id, now, Preset::Devnet);
    document.app_state.slashing.params.signed_blocks_window = options.downtime_window;
    if let Some(seconds) = options.lease_start_deadline {
        document.app_state.market.params.lease_start_deadline = seconds;
    }
    // The pool gets the market's takes alone, so that they can be held against it.
    document.app_state.distribution.params.community_tax = Dec::ZERO;
    for key in &keys.funded {
        let coin = stoa_client::money::parse_coin(&key.funds)?;
        fund(&mut document, &key.address, coin.amount.parse()?)?;
    }
    for made in made {
        fund(&mut document, &made.operator, FUNDS)?;
    }
    Ok(document.to_json()?)
}

fn fund(document: &mut Document, address: &str, amount: u128) -> Result<()> {
    let address: Address = address.parse()?;
    let mut coins = Coins::new();
    coins.set(Denom::stake(), Amount::from_raw(amount));
    Ok(document.add_account(address, coins)?)
}

/// stoad's short commands, and the CometBFT that they need.
struct Stoad(PathBuf, PathBuf);

impl Stoad {
    /// Runs a command on a home to its end, and returns what it printed.
    fn run(&self, home: &Path, args: &[&str]) -> Result<String> {
        let told = || format!("`stoad {} --home {}`", args.join(" "), home.display());
        private_dir(home.parent().unwrap_or(home))?;
        let mut command = Command::new(&self.0);
        command.args(args).arg("--home").arg(home).env("COMETBFT", &self.1);
        let output = command.output().with_context(told)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}\n{}", told(), output.status, said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
