//! What can be said on the command line. A flag prevails over its environment variable, which
//! prevails over `config/stoad.toml`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use stoa_genesis::Preset;

use crate::{comet::P2pSettings, config::Pruning};

/// A node of the Stoa network.
#[derive(Debug, Parser)]
#[command(name = "stoad", version, about, propagate_version = true)]
pub struct Cli {
    /// Directory of configuration, keys and data.
    #[arg(long, global = true, env = "STOAD_HOME", default_value_os_t = default_home())]
    pub home: PathBuf,
    /// What is logged, as `info` or `stoad=debug,warn`.
    #[arg(long, global = true, env = "STOAD_LOG", default_value = "info")]
    pub log: String,
    /// Form of the log on stderr.
    #[arg(long, global = true, env = "STOAD_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Form of what is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a home: configuration, keys and a genesis document; nothing is overwritten.
    Init(InitArgs),
    /// Show the node's id, the validator's address and key, and the operator's account.
    Keys(OutputArgs),
    /// Give an account coins in the genesis document.
    AddGenesisAccount(AccountArgs),
    /// Sign this validator's request to be in the genesis document.
    Gentx(GentxArgs),
    /// Make the validators of the genesis document those of the collected requests.
    CollectGentxs(CollectArgs),
    /// Say whether the genesis document can begin a chain.
    ValidateGenesis(ValidateArgs),
    /// Run the node, with its CometBFT.
    Start(Box<StartArgs>),
    /// Show where the node stands, running or not.
    Status(StatusArgs),
    /// Print the state as a genesis document.
    Export(ExportArgs),
    /// Check every invariant of the last committed state; fails if one is broken.
    Invariants,
    /// Look at the node's home, machine and state for what an operator should mend.
    Doctor(DoctorArgs),
    /// Take the last block back, of the state and of CometBFT. For a stopped node.
    Rollback(RollbackArgs),
    /// Forget history that is no longer wanted. For a stopped node.
    Prune(PruneArgs),
    /// List, make and delete the snapshots from which other nodes join.
    #[command(subcommand)]
    Snapshots(SnapshotsCommand),
    /// Show the versions of stoad and its CometBFT.
    Version(VersionArgs),
}

/// Where the CometBFT program is.
#[derive(Debug, Args)]
pub struct CometArgs {
    /// The cometbft program; else the one that stoad.toml names, else the first in PATH.
    #[arg(long, env = "COMETBFT", value_name = "PATH")]
    pub cometbft: Option<PathBuf>,
}

/// The same for commands that read no stoad.toml.
#[derive(Debug, Args)]
pub struct UnsetCometArgs {
    /// The cometbft program; else the first in PATH.
    #[arg(long, env = "COMETBFT", value_name = "PATH")]
    pub cometbft: Option<PathBuf>,
}

/// Addresses and peers; what is not given stays as config.toml says.
#[derive(Debug, Args)]
pub struct P2pArgs {
    /// Where peers connect, tcp://HOST:PORT.
    #[arg(long, env = "STOAD_P2P_LADDR")]
    pub p2p_laddr: Option<String>,
    /// Where RPC clients connect, tcp://HOST:PORT.
    #[arg(long, env = "STOAD_RPC_LADDR")]
    pub rpc_laddr: Option<String>,
    /// Peers to stay connected to: ID@HOST:PORT, by commas.
    #[arg(long, env = "STOAD_PERSISTENT_PEERS")]
    pub persistent_peers: Option<String>,
    /// Nodes to ask for peers: ID@HOST:PORT, by commas.
    #[arg(long, env = "STOAD_SEEDS")]
    pub seeds: Option<String>,
    /// Address that peers are told, HOST:PORT.
    #[arg(long, env = "STOAD_EXTERNAL_ADDRESS")]
    pub external_address: Option<String>,
}

impl P2pArgs {
    /// As CometBFT's settings.
    pub fn settings(&self) -> P2pSettings {
        P2pSettings {
            p2p_laddr: self.p2p_laddr.clone(),
            rpc_laddr: self.rpc_laddr.clone(),
            persistent_peers: self.persistent_peers.clone(),
            seeds: self.seeds.clone(),
            external_address: self.external_address.clone(),
        }
    }
}

/// `-o`.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The node's name for people.
    pub moniker: String,
    /// Name of the chain.
    #[arg(long)]
    pub chain_id: String,
    /// Settings that the chain begins with: devnet or mainnet.
    #[arg(long, default_value = "mainnet")]
    pub preset: Preset,
    /// When the chain begins (RFC 3339); else now.
    #[arg(long, value_name = "TIME")]
    pub genesis_time: Option<String>,
    /// Time from block to block in milliseconds.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub block_time_ms: u64,
    /// Settings for several nodes on one machine: loopback peers, small caches, no REST unless
    /// its address is given.
    #[arg(long)]
    pub local: bool,
    /// Where gRPC listens, IP:PORT.
    #[arg(long, env = "STOAD_GRPC_LADDR")]
    pub grpc_laddr: Option<String>,
    /// Where REST listens, IP:PORT; empty: no REST.
    #[arg(long, env = "STOAD_REST_ADDRESS")]
    pub rest_address: Option<String>,
    /// Addresses and peers, written to config.toml.
    #[command(flatten)]
    pub p2p: P2pArgs,
    /// CometBFT.
    #[command(flatten)]
    pub comet: UnsetCometArgs,
}

/// Of `add-genesis-account`.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// The account's address, stoa1...
    pub address: String,
    /// Its coins, as 1000000ustoa,500uusd.
    pub coins: String,
    /// Those of its coins that come free later: by --vesting-end, evenly from --vesting-start
    /// to it, or never.
    #[arg(long, value_name = "COINS")]
    pub vesting_amount: Option<String>,
    /// When they begin to come free, in Unix seconds.
    #[arg(long, value_name = "TIME")]
    pub vesting_start: Option<u64>,
    /// When all are free, in Unix seconds.
    #[arg(long, value_name = "TIME", requires = "vesting_amount")]
    pub vesting_end: Option<u64>,
    /// They never come free; they can still be delegated.
    #[arg(long, requires = "vesting_amount", conflicts_with = "vesting_end")]
    pub vesting_locked: bool,
    /// A period in seconds and what comes free at its end, as 2592000:500000ustoa; the first
    /// begins at --vesting-start, each further one after the one before. Together they are all
    /// that vests. Repeatable.
    #[arg(
        long = "vesting-period",
        value_name = "SECONDS:COINS",
        requires = "vesting_start",
        conflicts_with_all = ["vesting_amount", "vesting_end", "vesting_locked"]
    )]
    pub vesting_periods: Vec<String>,
}

/// Of `gentx`.
#[derive(Debug, Args)]
pub struct GentxArgs {
    /// What the operator delegates to its validator, as 1000000ustoa, which is one vote.
    #[arg(long, value_name = "COIN")]
    pub amount: String,
    /// The validator's part of its delegators' rewards, as 0.1.
    #[arg(long, default_value = "0.1", value_name = "PART")]
    pub commission_rate: String,
    /// Most that the commission ever is.
    #[arg(long, default_value = "0.2", value_name = "PART")]
    pub commission_max_rate: String,
    /// Most by which the commission changes in a day.
    #[arg(long, default_value = "0.01", value_name = "PART")]
    pub commission_max_change_rate: String,
    /// What the operator promises to keep delegated; with less the validator is jailed.
    #[arg(long, default_value = "1ustoa", value_name = "COIN")]
    pub min_self_delegation: String,
    /// The validator's name; else the home's moniker.
    #[arg(long)]
    pub moniker: Option<String>,
    /// HOST:PORT under which peers reach this node.
    #[arg(long)]
    pub peer: Option<String>,
    /// File with the operator's secp256k1 key in hex; else the home's operator.key.
    #[arg(long, value_name = "FILE")]
    pub operator_key: Option<PathBuf>,
    /// Where to write it; else the home's config/gentx directory. `-` is stdout.
    #[arg(long, value_name = "FILE")]
    pub output_document: Option<PathBuf>,
}

/// Of `collect-gentxs`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// Directory with the requests; else the home's config/gentx.
    #[arg(long, value_name = "DIR")]
    pub gentx_dir: Option<PathBuf>,
}

/// Of `validate-genesis`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The document; else the home's.
    pub file: Option<PathBuf>,
}

/// Of `start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Do not start CometBFT; another process connects to the ABCI address.
    #[arg(long)]
    pub abci_only: bool,
    /// Where the ABCI server listens: unix:///PATH or tcp://HOST:PORT.
    #[arg(long, env = "STOAD_ABCI_LADDR")]
    pub abci_laddr: Option<String>,
    /// Where gRPC listens, IP:PORT; empty: no gRPC.
    #[arg(long, env = "STOAD_GRPC_LADDR")]
    pub grpc_laddr: Option<String>,
    /// Where /metrics and /health listen, IP:PORT; empty: nowhere.
    #[arg(long, env = "STOAD_METRICS_LADDR")]
    pub metrics_laddr: Option<String>,
    /// Where REST listens, IP:PORT; empty: no REST.
    #[arg(long, env = "STOAD_REST_ADDRESS")]
    pub rest_address: Option<String>,
    /// Least gas prices of the pool, as 0.025ustoa.
    #[arg(long, env = "STOAD_MIN_GAS_PRICES")]
    pub min_gas_prices: Option<String>,
    /// File to which CometBFT's log is appended.
    #[arg(long, env = "STOAD_COMETBFT_LOG_FILE", value_name = "FILE")]
    pub cometbft_log_file: Option<String>,
    /// CometBFT's log level.
    #[arg(long, env = "STOAD_COMETBFT_LOG_LEVEL", value_name = "LEVEL")]
    pub cometbft_log_level: Option<String>,
    /// State sync.
    #[command(flatten)]
    pub state_sync: StateSyncArgs,
    /// Addresses and peers.
    #[command(flatten)]
    pub p2p: P2pArgs,
    /// CometBFT.
    #[command(flatten)]
    pub comet: CometArgs,
}

/// From where a new node takes the state of a height, instead of executing every block.
#[derive(Debug, Args)]
pub struct StateSyncArgs {
    /// RPC servers of two nodes or more, by commas, as http://HOST:26657: they show the headers
    /// that the state is checked against.
    #[arg(
        long,
        env = "STOAD_STATE_SYNC_RPC",
        value_name = "URLS",
        requires_all = ["trust_height", "trust_hash"]
    )]
    pub state_sync_rpc: Option<String>,
    /// Height of a block that you trust, below the newest snapshots.
    #[arg(long, env = "STOAD_TRUST_HEIGHT", requires = "state_sync_rpc")]
    pub trust_height: Option<u64>,
    /// That block's hash, learned from someone you trust.
    #[arg(long, env = "STOAD_TRUST_HASH", requires = "state_sync_rpc")]
    pub trust_hash: Option<String>,
}

/// Of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// CometBFT.
    #[command(flatten)]
    pub comet: CometArgs,
}

/// Of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Remove the block itself too, so that it is fetched from peers again.
    #[arg(long)]
    pub hard: bool,
    /// CometBFT.
    #[command(flatten)]
    pub comet: CometArgs,
}

/// Of `prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// How much history stays; else what stoad.toml says.
    #[arg(long, value_enum, conflicts_with = "keep")]
    pub pruning: Option<Pruning>,
    /// How many of the last heights stay, at least 1.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub keep: Option<u64>,
}

/// Of `snapshots`.
#[derive(Debug, Subcommand)]
pub enum SnapshotsCommand {
    /// Show which snapshots there are.
    List(OutputArgs),
    /// Make one of the last committed state; the node may run.
    Export(OutputArgs),
    /// Delete one.
    Delete {
        /// Its height.
        height: u64,
    },
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// RPC address of the node; else config.toml's.
    #[arg(long, env = "STOAD_RPC_LADDR")]
    pub rpc_laddr: Option<String>,
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value = "json")]
    pub output: Output,
}

/// Of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A kept height; else the last one.
    #[arg(long)]
    pub height: Option<u64>,
}

/// Of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// CometBFT.
    #[command(flatten)]
    pub comet: UnsetCometArgs,
}

fn default_home() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    home.join(".stoad")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn only_commands_that_read_stoad_toml_name_it_for_finding_cometbft() {
        let mut cli = Cli::command();
        cli.build();
        let reading = ["start", "rollback", "doctor"].map(|name| (name, true));
        for (name, reads) in [("init", false), ("version", false)].into_iter().chain(reading) {
            let command = cli.find_subcommand_mut(name).unwrap();
            let flag = command.get_arguments().find(|flag| flag.get_id() == "cometbft").unwrap();
            let help = flag.get_help().unwrap().to_string();
            assert_eq!(help.contains("stoad.toml"), reads, "{name}: {help}");
        }
    }
}
