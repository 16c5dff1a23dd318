//! The command line as a whole. Each command's own arguments stand with it.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use stoa_client::keys::Backend;

use crate::{
    close::CloseArgs,
    configure::ConfigCommand,
    deploy::DeployArgs,
    inside::{
        copy::CopyArgs, events::EventsArgs, forward::ForwardArgs, restart::RestartArgs,
        shell::ShellArgs,
    },
    keys::KeysCommand,
    logs::LogsArgs,
    manifest::ManifestCommand,
    net::NetArgs,
    provider::ProviderCommand,
    query::QueryCommand,
    secret::SecretCommand,
    status::StatusArgs,
    tx::TxCommand,
    update::UpdateArgs,
    watch::MarketCommand,
};

const AFTER: &str = "\
Settings: flags over the environment (STOA_RPC, STOA_GRPC, STOA_KEY, …) over <home>/config.toml.
Exit codes: 0 done, 1 error, 2 wrong usage, 3 refused by the chain or a provider, 4 not found,
5 not in time or no match, 6 nobody answered.";

/// Deploy on Stoa's open market for compute, and everything around it.
#[derive(Debug, Parser)]
#[command(name = "stoa", version, after_help = AFTER, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Configuration, keys and deployments [default: ~/.stoa] [env: STOA_HOME]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// The chain that the node must be of
    #[arg(long, global = true, value_name = "ID")]
    pub chain_id: Option<String>,
    /// CometBFT RPC addresses, comma-separated
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    pub node: Option<Vec<String>>,
    /// gRPC addresses, comma-separated
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    pub grpc: Option<Vec<String>>,
    /// Fee for a unit of gas, such as 0.0025ustoa
    #[arg(long, global = true, value_name = "PRICE")]
    pub gas_price: Option<String>,
    /// Where the keyring is
    #[arg(long, global = true, value_name = "DIR")]
    pub keyring_dir: Option<PathBuf>,
    /// `file` (encrypted) or `test` (in the clear; local networks only)
    #[arg(long, global = true, value_name = "BACKEND")]
    pub keyring_backend: Option<Backend>,
    /// Name or address of the key that signs
    #[arg(long, global = true, value_name = "KEY")]
    pub from: Option<String>,
    /// What stdout carries
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub output: Output,
    /// Say more on stderr; twice for most
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What stdout carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keys: make, recover, list, show, export, import, delete
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Send a transaction
    Tx(Box<TxCommand>),
    /// Read the chain
    #[command(subcommand, alias = "q")]
    Query(QueryCommand),
    /// Register and run a provider's account
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Check and show SDL files
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Deploy an SDL file: from the file to the URL
    Deploy(DeployArgs),
    /// Bring a running deployment to a new version of its file
    Update(UpdateArgs),
    /// What a deployment is doing, on the chain and at its providers
    Status(StatusArgs),
    /// How a deployment's services are connected, and by which tunnels
    Net(NetArgs),
    /// What a deployment's services print
    Logs(LogsArgs),
    /// What happened to a deployment at its providers
    Events(EventsArgs),
    /// A shell, or a command, in a running instance
    #[command(visible_alias = "exec")]
    Shell(ShellArgs),
    /// Let ports here lead to ports of an instance
    PortForward(ForwardArgs),
    /// Copy files into an instance, or out of it
    Cp(CopyArgs),
    /// Stop and start a service
    Restart(RestartArgs),
    /// Values that the file names and does not hold
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Close a deployment; shows what was paid and what came back
    Close(CloseArgs),
    /// Follow the market
    #[command(subcommand)]
    Market(MarketCommand),
    /// Write and show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Version of this command
    Version,
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_code_2_and_help_0() {
        let code = |args: &[&str]| Cli::try_parse_from(args).unwrap_err().exit_code();
        assert_eq!(code(&["stoa"]), 2);
        assert_eq!(code(&["stoa", "deploy"]), 2);
        assert_eq!(code(&["stoa", "query", "tx"]), 2);
        assert_eq!(code(&["stoa", "-o", "yaml", "version"]), 2);
        assert_eq!(code(&["stoa", "port-forward", "7", "web"]), 2);
        assert_eq!(code(&["stoa", "provider", "token", "x", "--scope", "all"]), 2);
        assert_eq!(code(&["stoa", "--help"]), 0);
    }

    #[test]
    fn a_command_stands_after_two_dashes_and_has_its_own_flags() {
        let cli = Cli::try_parse_from(["stoa", "exec", "7", "web", "--", "ls", "-o", "x"]).unwrap();
        let Command::Shell(args) = cli.command else { panic!("not a shell") };
        assert_eq!(args.command, ["ls", "-o", "x"]);
        assert_eq!(cli.globals.output, Output::Text);
        let cli = Cli::try_parse_from(["stoa", "shell", "7"]).unwrap();
        assert!(matches!(cli.command, Command::Shell(args) if args.service.is_empty()));
    }

    #[test]
    fn globals_stand_anywhere() {
        let cli = Cli::try_parse_from([
            "stoa",
            "keys",
            "list",
            "--keyring-backend",
            "test",
            "-o",
            "json",
        ])
        .unwrap();
        assert_eq!(cli.globals.keyring_backend, Some(Backend::Test));
        assert_eq!(cli.globals.output, Output::Json);
        let cli =
            Cli::try_parse_from(["stoa", "--node", "http://a:1,http://b:2", "version"]).unwrap();
        assert_eq!(cli.globals.node.unwrap().len(), 2);
    }
}
