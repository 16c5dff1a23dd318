//! `stoad`, the node of the Stoa network.

use std::{backtrace::Backtrace, io::IsTerminal, process::ExitCode};

use clap::Parser;
use stoad::cmd::{self, Cli, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = start_log(&cli) {
        eprintln!("stoad: --log {:?}: {error}", cli.log);
        return ExitCode::from(2);
    }
    abort_on_panic();
    rehearse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::warn!("another TLS provider than ring is installed");
    }
    match cmd::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stoad: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to stderr: stdout is for data.
fn start_log(cli: &Cli) -> Result<(), tracing_subscriber::filter::ParseError> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&cli.log)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match cli.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Lets a development build play the program of an upgrade that is only rehearsed: the plan's
/// name stands in the environment, and its migration leaves a record. A release cannot.
fn rehearse() {
    #[cfg(debug_assertions)]
    if let Ok(name) = std::env::var("STOAD_REHEARSED_UPGRADE") {
        stoad::rehearsal::begin(name);
    }
}

/// A panic in any thread ends the whole process: half a node would sign blocks that it has not
/// executed. After the restart CometBFT replays from the last committed height.
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::force_capture();
        tracing::error!(%panic, %backtrace, "stoad met a fault in itself and stops");
        std::process::abort();
    }));
}
