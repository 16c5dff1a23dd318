//! The command line.

mod agent;
mod daemon;
mod doctor;
mod drain;
mod earnings;
mod features;
mod firewall;
mod hosts;
mod init;
mod plane;
mod status;
mod withdraw;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, Overrides};

pub use agent::AgentCommand;
pub use doctor::DoctorArguments;
pub use drain::DrainArguments;
pub use earnings::EarningsArguments;
pub use hosts::HostsCommand;
pub use init::InitArguments;
pub use status::StatusArguments;

/// Sells a machine's capacity on Stoa's market: bids, runs workloads in
/// Docker, serves tenants, collects payment.
#[derive(Debug, Parser)]
#[command(name = "stoa-provider", version, about)]
pub struct Arguments {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// The settings' file.
    #[arg(
        long,
        env = "STOA_PROVIDER_CONFIG",
        default_value = "/etc/stoa/provider.toml",
        global = true
    )]
    pub config: PathBuf,
    #[command(flatten)]
    pub overrides: Overrides,
    /// Form of the log on stderr.
    #[arg(long, env = "STOA_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    pub log: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes the settings' file, the root certificate, and registers the
    /// provider on chain (or brings its record up to date).
    Init(InitArguments),
    /// Runs the daemon until SIGTERM; workloads go on without it.
    Run,
    /// What the daemon says of itself, and its leases on chain.
    Status(StatusArguments),
    /// Looks at everything that a provider needs, and says what helps. The
    /// exit code is 1 where something is wrong.
    Doctor(DoctorArguments),
    /// Fetches what live leases have earned, now.
    Withdraw,
    /// What leases earned, by the daemon's ledger.
    Earnings(EarningsArguments),
    /// Empties the provider: no new orders, and leases closed by a time
    /// where one is named. It lasts over restarts.
    Drain(DrainArguments),
    /// Installs, removes or shows the rules of this machine's firewall that
    /// keep workloads in. The daemon installs them by itself.
    #[command(subcommand)]
    Firewall(firewall::Action),
    /// The provider's other machines.
    #[command(subcommand)]
    Hosts(HostsCommand),
    /// What another machine of the provider runs.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Prints the version.
    Version,
}

impl Globals {
    /// File, environment and flags together.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.config, &self.overrides)
    }
}

/// Logs to stderr; `RUST_LOG` chooses what.
pub fn start_logging(arguments: &Arguments) {
    let daemon =
        matches!(arguments.command, Command::Run | Command::Agent(AgentCommand::Run { .. }));
    let usual = if daemon { "info,stoa_provider=info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.globals.log {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

/// Does what was asked for.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let globals = arguments.globals;
    match arguments.command {
        Command::Init(init) => init::run(&globals, &init).await,
        Command::Run => Box::pin(daemon::run(globals.load()?)).await,
        Command::Status(status) => status::run(globals.load()?, &status).await,
        Command::Doctor(doctor) => match doctor::run(&globals, &doctor).await? {
            true => Ok(()),
            false => anyhow::bail!("something is wrong, and told above"),
        },
        Command::Withdraw => withdraw::run(globals.load()?).await,
        Command::Earnings(earnings) => earnings::run(&globals.load()?, &earnings),
        Command::Drain(drain) => drain::run(&globals.load()?, &drain),
        Command::Firewall(action) => firewall::run(&globals.load()?, action).await,
        Command::Hosts(command) => hosts::run(&globals.load()?, command),
        Command::Agent(command) => agent::run(command).await,
        Command::Version => {
            println!("stoa-provider {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}
