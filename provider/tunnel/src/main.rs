//! `stoa-tunnel`: the provider's data plane. Runs as root beside the
//! provider's daemon, because it enters network namespaces.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use stoa_tunnel::hop::{self, RelayConfig};
use stoa_tunnel::{Config, ForwardLimits, IngressLimits};
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Carries requests from the internet to workloads.
#[derive(Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    /// Where HTTP is served.
    #[arg(long, env = "STOA_TUNNEL_LISTEN", default_value = "0.0.0.0:80")]
    listen: SocketAddr,
    /// The unix socket on which the provider's daemon pushes routes.
    #[arg(long, env = "STOA_TUNNEL_CONTROL", default_value = "/run/stoa/tunnel.sock")]
    control: PathBuf,
    /// The directory in which the last routes are kept.
    #[arg(long, env = "STOA_TUNNEL_STATE", default_value = "/var/lib/stoa/tunnel")]
    state: PathBuf,
    /// Client connections open at a time.
    #[arg(long, env = "STOA_TUNNEL_CONNECTIONS", default_value_t = IngressLimits::default().connections)]
    max_connections: usize,
    /// Of these, from one address.
    #[arg(long, env = "STOA_TUNNEL_CLIENT_CONNECTIONS", default_value_t = IngressLimits::default().connections_per_client)]
    max_client_connections: usize,
    /// Connections open at a time through one forwarded TCP port.
    #[arg(long, env = "STOA_TUNNEL_PORT_CONNECTIONS", default_value_t = ForwardLimits::default().connections_per_port)]
    max_port_connections: usize,
    /// Flows at a time through one forwarded UDP port.
    #[arg(long, env = "STOA_TUNNEL_PORT_FLOWS", default_value_t = ForwardLimits::default().flows_per_port)]
    max_port_flows: usize,
    /// Seconds after which a UDP flow that the workload has answered ends
    /// without a datagram.
    #[arg(long, env = "STOA_TUNNEL_FLOW_IDLE", default_value_t = ForwardLimits::default().answered_idle.as_secs())]
    flow_idle_seconds: u64,
}

/// What else it can be.
#[derive(Subcommand)]
enum Other {
    /// Joins the front data plane's connections with this machine's
    /// instances; started by the agent of a machine.
    Relay(RelayArguments),
    /// Answers names and dials for this machine's instances, without an
    /// ingress; started by the agent of a machine.
    Links(LinksArguments),
}

#[derive(Args)]
struct LinksArguments {
    /// The unix socket on which the agent pushes what is to be joined.
    #[arg(long)]
    control: PathBuf,
    /// The directory in which the last of it is kept.
    #[arg(long)]
    state: PathBuf,
}

#[derive(Args)]
struct RelayArguments {
    /// Where the front data plane connects.
    #[arg(long)]
    listen: SocketAddr,
    /// This machine's certificate and key, PEM.
    #[arg(long)]
    identity: PathBuf,
    /// The certificate of the authority for the provider's machines, PEM.
    #[arg(long)]
    authority: PathBuf,
    /// The directory in which the agent keeps the table of instances.
    #[arg(long)]
    state: PathBuf,
    /// Connections open at a time.
    #[arg(long, default_value_t = 8192)]
    max_connections: usize,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
    match serve(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Operators want the causes in one line, not a stack.
            eprintln!("stoa-tunnel: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> anyhow::Result<()> {
    anyhow::ensure!(arguments.max_connections > 0, "--max-connections must be at least 1");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.other {
        Some(Other::Relay(relay)) => runtime.block_on(run_relay(relay)),
        Some(Other::Links(links)) => runtime.block_on(run_links(links)),
        None => runtime.block_on(run(arguments)),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let forward_limits = forward_limits(&arguments);
    let config = Config {
        listen: Some(arguments.listen),
        control: arguments.control,
        state: arguments.state,
        limits: IngressLimits {
            connections: arguments.max_connections,
            connections_per_client: arguments.max_client_connections.max(1),
            ..IngressLimits::default()
        },
        forward_limits,
    };
    run_plane(config).await
}

async fn run_links(arguments: LinksArguments) -> anyhow::Result<()> {
    let config = Config {
        listen: None,
        control: arguments.control,
        state: arguments.state,
        limits: IngressLimits::default(),
        forward_limits: ForwardLimits::default(),
    };
    run_plane(config).await
}

async fn run_plane(config: Config) -> anyhow::Result<()> {
    if let Err(error) = use_all_descriptors() {
        tracing::warn!("the limit of open files cannot be raised: {error}");
    }
    stoa_tunnel::run(config, end_signal()?).await.context("the data plane cannot go on")
}

async fn run_relay(arguments: RelayArguments) -> anyhow::Result<()> {
    let config = RelayConfig {
        listen: arguments.listen,
        identity: arguments.identity,
        authority: arguments.authority,
        state: arguments.state,
        connections: arguments.max_connections,
    };
    hop::run(config, end_signal()?).await.context("the relay cannot go on")
}

/// Becomes true at SIGTERM or SIGINT.
fn end_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (end, ending) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending; what is under way may finish");
        let _ = end.send(true);
    });
    Ok(ending)
}

fn forward_limits(arguments: &Arguments) -> ForwardLimits {
    let usual = ForwardLimits::default();
    ForwardLimits {
        connections_per_port: arguments.max_port_connections.max(1),
        flows_per_port: arguments.max_port_flows.max(1),
        answered_idle: Duration::from_secs(arguments.flow_idle_seconds.max(1)),
        unanswered_idle: usual
            .unanswered_idle
            .min(Duration::from_secs(arguments.flow_idle_seconds)),
        ..usual
    }
}

/// Each connection and flow takes a descriptor or two; the usual soft limit
/// of 1,024 is for programs that still use `select`.
fn use_all_descriptors() -> nix::Result<()> {
    use nix::sys::resource::{getrlimit, setrlimit, Resource};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}
