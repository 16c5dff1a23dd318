//! `stoa-tunnel`: the provider's data plane. Runs as root beside the
//! provider's daemon, because it enters network namespaces.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use stoa_tunnel::{Config, ForwardLimits, IngressLimits};
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Carries requests from the internet to workloads.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
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
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let forward_limits = forward_limits(&arguments);
    let config = Config {
        listen: arguments.listen,
        control: arguments.control,
        state: arguments.state,
        limits: IngressLimits {
            connections: arguments.max_connections,
            connections_per_client: arguments.max_client_connections.max(1),
            ..IngressLimits::default()
        },
        forward_limits,
    };
    if let Err(error) = use_all_descriptors() {
        tracing::warn!("the limit of open files cannot be raised: {error}");
    }
    let (end, ending) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending; requests under way may finish");
        let _ = end.send(true);
    });
    stoa_tunnel::run(config, ending).await.context("the data plane cannot go on")
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
