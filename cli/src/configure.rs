//! `stoa config`, `stoa version`, `stoa completions`.

use std::os::unix::fs::DirBuilderExt;

use clap::{CommandFactory, Subcommand};
use serde_json::json;
use stoa_client::config::Settings;

use crate::{args::Cli, context::Context, exit::Failure, out};

/// The configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write <home>/config.toml from the flags given
    Init {
        /// Write over one that is there
        #[arg(long)]
        force: bool,
    },
    /// Show what is in force
    Show,
}

/// Runs `stoa config`.
pub fn run(context: &Context, command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Init { force } => init(context, force),
        ConfigCommand::Show => show(context),
    }
}

fn settings(context: &Context) -> Settings {
    let config = context.config.clone();
    Settings {
        chain_id: config.chain_id,
        rpc: Some(config.rpc),
        grpc: Some(config.grpc),
        gas_price: Some(config.gas_price),
        keyring_dir: Some(config.keyring_dir),
        keyring_backend: Some(config.keyring_backend),
        key: config.key,
    }
}

fn init(context: &Context, force: bool) -> Result<(), Failure> {
    let home = &context.config.home;
    let path = home.join("config.toml");
    let io = |e: std::io::Error| Failure::new(format!("{}: {e}", path.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(io)?;
    if path.exists() && !force {
        return Err(Failure::new(format!(
            "{} is there already; --force writes over it",
            path.display()
        )));
    }
    let text = settings(context).to_toml()?;
    let head = "# Settings of `stoa`. Flags and STOA_… variables come first.\n";
    let temporary = home.join(".config.toml.new");
    std::fs::write(&temporary, format!("{head}{text}")).map_err(io)?;
    std::fs::rename(&temporary, &path).map_err(io)?;
    out::step(&format!("wrote {}", path.display()));
    Ok(())
}

fn show(context: &Context) -> Result<(), Failure> {
    let settings = settings(context);
    if context.is_json() {
        return out::print_json(&settings);
    }
    out::print_lines(&settings.to_toml()?);
    Ok(())
}

/// `stoa version`: needs no node.
pub fn version(context: &Context) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if context.is_json() {
        return out::print_json(&json!({ "name": "stoa", "version": version }));
    }
    out::print_lines(&format!("stoa {version}"));
    Ok(())
}

/// `stoa completions SHELL`.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "stoa", &mut std::io::stdout());
}
