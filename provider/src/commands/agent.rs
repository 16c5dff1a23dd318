//! `stoa-provider agent`: on each further machine.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::agent::{self, AgentDir, Settings};
use crate::config::{Engine, Workloads};
use crate::hosts::Joined;

#[derive(Debug, Clone, Subcommand)]
pub enum AgentCommand {
    /// Writes settings and makes this machine's key; prints the request that
    /// `stoa-provider hosts add` on the daemon's machine signs.
    Init(AgentInit),
    /// Takes what `stoa-provider hosts add` printed, from standard input.
    Join {
        #[command(flatten)]
        dir: AgentPath,
    },
    /// Serves the control daemon until SIGTERM; workloads go on without it.
    Run {
        #[command(flatten)]
        dir: AgentPath,
    },
}

#[derive(Debug, Clone, Args)]
pub struct AgentPath {
    /// Where settings, key and certificate lie.
    #[arg(long, env = "STOA_AGENT_DIR", default_value = "/var/lib/stoa-agent")]
    pub dir: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub struct AgentInit {
    #[command(flatten)]
    pub dir: AgentPath,
    /// This machine's name: a-z, 0-9 and -.
    #[arg(long)]
    pub name: String,
    /// Where the control daemon connects.
    #[arg(long, default_value = "0.0.0.0:8444")]
    pub listen: SocketAddr,
    /// Where the front data plane connects.
    #[arg(long, default_value = "0.0.0.0:8445")]
    pub relay: SocketAddr,
    /// The engine's socket.
    #[arg(long, default_value = "/var/run/docker.sock")]
    pub socket: PathBuf,
    /// Where workloads' networks come from: private, and free on this machine.
    #[arg(long, default_value = "10.224.0.0/14")]
    pub network_pool: String,
    /// The data plane's program; the one beside this program unless given.
    #[arg(long)]
    pub tunnel_binary: Option<PathBuf>,
}

pub(super) async fn run(command: AgentCommand) -> anyhow::Result<()> {
    match command {
        AgentCommand::Init(arguments) => init(&arguments),
        AgentCommand::Join { dir } => join(&AgentDir::new(&dir.dir)),
        AgentCommand::Run { dir } => agent::run(&AgentDir::new(&dir.dir)).await,
    }
}

fn init(arguments: &AgentInit) -> anyhow::Result<()> {
    let engine = Engine {
        socket: arguments.socket.clone(),
        network_pool: arguments.network_pool.clone(),
        ..Engine::default()
    };
    engine.runtime("any").map_err(|error| anyhow::anyhow!("{error}"))?;
    let settings = Settings {
        name: arguments.name.clone(),
        provider: String::new(),
        listen: arguments.listen,
        relay: arguments.relay,
        tunnel_binary: arguments.tunnel_binary.clone(),
        engine,
        workloads: Workloads::default(),
    };
    match AgentDir::new(&arguments.dir.dir).init(settings)? {
        Some(request) => println!("{}", serde_json::to_string(&request)?),
        None => eprintln!("this machine has joined already; its settings are written"),
    }
    Ok(())
}

fn join(dir: &AgentDir) -> anyhow::Result<()> {
    let joined: Joined = read_document("what `stoa-provider hosts add` printed")?;
    dir.join(&joined)?;
    eprintln!("{} serves {} from now on: `stoa-provider agent run`", joined.name, joined.provider);
    Ok(())
}

/// A JSON document from standard input.
pub(super) fn read_document<T: serde::de::DeserializeOwned>(what: &str) -> anyhow::Result<T> {
    const LONGEST: u64 = 64 << 10;
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    serde_json::from_str(&text).with_context(|| format!("standard input is not {what}"))
}
