//! The operator's commands. Data goes to stdout, talk to stderr.

mod args;
mod doctor;
mod genesis;
mod init;
pub(crate) mod inspect;
mod keys;
mod prune;
mod rollback;
mod snapshots;
mod start;
mod status;

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result};
use args::Command;
pub use args::{Cli, LogFormat};

use crate::home::Home;

/// Runs a command and says how the process ends: 0 for success, 1 where a look found something
/// wrong, 3 where the node needs another program for its next block.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let home = Home::new(&cli.home).context("the home directory")?;
    match &cli.command {
        Command::Init(args) => init::run(&home, args)?,
        Command::Keys(args) => keys::run(&home, args.output)?,
        Command::AddGenesisAccount(args) => genesis::add_account(&home, args)?,
        Command::Gentx(args) => genesis::gentx(&home, args)?,
        Command::CollectGentxs(args) => genesis::collect(&home, args)?,
        Command::ValidateGenesis(args) => genesis::validate(&home, args)?,
        Command::Start(args) => return start::run(&home, args),
        Command::Status(args) => status::run(&home, args)?,
        Command::Export(args) => inspect::export(&home, args)?,
        Command::Invariants => return inspect::invariants(&home).map(verdict),
        Command::Doctor(args) => return doctor::run(&home, args).map(verdict),
        Command::Rollback(args) => rollback::run(&home, args)?,
        Command::Prune(args) => prune::run(&home, args)?,
        Command::Snapshots(command) => snapshots::run(&home, command)?,
        Command::Version(args) => status::version(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(good: bool) -> ExitCode {
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Writes data to stdout; a reader that has seen enough is no error.
fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("stdout"),
    }
}

/// Tells a person something that is no data.
fn tell(text: &str) {
    // Nobody can be told that telling failed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints fields as lines or as JSON.
fn print_fields(output: args::Output, fields: &serde_json::Value) -> Result<()> {
    match (output, fields) {
        (args::Output::Text, serde_json::Value::Object(fields)) => {
            for (name, value) in fields {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                print(&format!("{name}: {value}"))?;
            }
            Ok(())
        }
        _ => print(&serde_json::to_string_pretty(fields)?),
    }
}
