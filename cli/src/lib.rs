//! `stoa`: the tenant's and everyone's command line.
//!
//! Data goes to stdout (a table, or JSON with `-o json`), talk to stderr. Exit
//! codes are in [`exit`].

pub mod args;
pub mod bundle;
pub mod certificate;
pub mod close;
pub mod configure;
pub mod context;
pub mod deploy;
pub mod events;
pub mod exit;
pub mod gateway;
pub mod inside;
pub mod json;
pub mod keys;
pub mod layout;
pub mod logs;
pub mod manifest;
pub mod net;
pub mod out;
pub mod provider;
pub mod query;
pub mod screen;
pub mod secret;
pub mod status;
pub mod text;
pub mod token;
pub mod tx;
pub mod update;
pub mod watch;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use context::Context;
use exit::Failure;

/// Parses the arguments, runs the command, tells how it ended.
pub fn main() -> ExitCode {
    stoa_client::install_crypto();
    // clap ends the process itself: 0 for help, 2 for wrong usage.
    let cli = Cli::parse();
    start_log(cli.globals.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return exit::report(&Failure::new(format!("starting: {e}")), cli.globals.output),
    };
    let output = cli.globals.output;
    // The commands' futures are large; they are made once.
    match runtime.block_on(Box::pin(run(cli))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit::report(&failure, output),
    }
}

/// Runs one command.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context::new(&cli.globals)?;
    match cli.command {
        Command::Keys(command) => keys::run(&context, command),
        Command::Tx(command) => tx::run(&context, *command).await,
        Command::Query(command) => query::run(&context, command).await,
        Command::Provider(command) => provider::run(&context, command).await,
        Command::Manifest(command) => manifest::run(&context, command),
        Command::Deploy(arguments) => deploy::run(&context, arguments).await,
        Command::Update(arguments) => update::run(&context, arguments).await,
        Command::Status(arguments) => status::run(&context, arguments).await,
        Command::Net(arguments) => net::run(&context, arguments).await,
        Command::Logs(arguments) => logs::run(&context, arguments).await,
        Command::Events(arguments) => inside::events::run(&context, arguments).await,
        Command::Shell(arguments) => inside::shell::run(&context, arguments).await,
        Command::PortForward(arguments) => inside::forward::run(&context, arguments).await,
        Command::Cp(arguments) => inside::copy::run(&context, arguments).await,
        Command::Restart(arguments) => inside::restart::run(&context, arguments).await,
        Command::Secret(command) => secret::run(&context, command).await,
        Command::Close(arguments) => close::run(&context, arguments).await,
        Command::Market(command) => watch::run(&context, command).await,
        Command::Config(command) => configure::run(&context, command),
        Command::Version => configure::version(&context),
        Command::Completions { shell } => {
            configure::completions(shell);
            Ok(())
        }
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("STOA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // A second start (in tests) is no matter.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(out::is_live())
        .without_time()
        .with_target(false)
        .try_init();
}
