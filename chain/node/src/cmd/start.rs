//! `stoad start`: the state machine behind its ABCI server, gRPC, REST, and CometBFT beside them.

mod waiting;

use std::{
    path::PathBuf,
    process::{ExitCode, ExitStatus},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{bail, Context, Result};
use stoa_chain::modules::upgrade::Due;
use stoa_genesis::Document;
use tokio::{
    runtime::Runtime,
    signal::unix::{signal, SignalKind},
    sync::mpsc,
};
use tracing::info;

use super::{
    args::{StartArgs, StateSyncArgs},
    genesis,
};
use crate::{
    abci::{Address, Server},
    app::{upgrade, App, Machine, StateSync},
    comet::{Binary, FileSettings, Launch, LogTarget, Rpc, StateSyncSettings, Supervisor},
    config::Config,
    grpc,
    home::Home,
    metrics,
    query::Queries,
    rest,
    services::{self, Services},
    snapshots::{Keeper, Shelf},
    store::Database,
};

/// Threads that accept and answer gRPC and REST; the work itself runs on blocking threads.
const RUNTIME_THREADS: usize = 2;

/// How long those who watch the market have to take what they are told last.
const WATCHERS_GRACE: Duration = Duration::from_secs(1);

/// What ends the node.
enum End {
    /// The operator asked.
    Asked,
    /// CometBFT has ended by itself.
    Engine(ExitStatus),
    /// The next block needs another program.
    Upgrade(Due),
    /// gRPC has failed.
    Grpc(anyhow::Error),
    /// REST has failed.
    Rest(anyhow::Error),
}

/// Runs until a signal, or until a part of the node fails.
pub fn run(home: &Home, args: &StartArgs) -> Result<ExitCode> {
    let config = effective_config(home, args)?;
    let document = genesis::read(&home.genesis())?;
    let machine = open_machine(home, &config, &document)?;
    let (height, _) = machine.head();
    // Before the first block there is no state that could be another program's.
    if let Some(due) = machine.stops_before(height.saturating_add(1)).filter(|_| height > 0) {
        return halt(home, &due);
    }
    let (end, mut ended) = mpsc::channel(4);
    let queries = Arc::new(Queries::new(Arc::clone(&machine)));
    let address = serve_abci(home, &config, app(home, &config, &machine, &queries, &end)?)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .max_blocking_threads(services::MAX_WORKERS + 2)
        .enable_all()
        .build()?;
    let rpc = Rpc::new(&rpc_laddr(home, args)?)?;
    let services = Arc::new(Services::new(queries, rpc.clone(), config.facts()));
    let watchers = services.watchers().clone();
    serve_grpc(&runtime, &config, &services, end.clone())?;
    serve_rest(&runtime, &config, services, end.clone())?;
    serve_metrics(&runtime, &config, &machine, &rpc)?;
    let engine = start_engine(home, &config, args, &address, end.clone())?;
    let genesis_time = document.genesis_time.unix_timestamp();
    runtime.spawn(waiting::watch(rpc, genesis_time, args.state_sync.state_sync_rpc.is_some()));
    runtime.spawn(tell_signal(end));
    let reason = ended.blocking_recv().unwrap_or(End::Asked);
    runtime.block_on(watchers.stop(WATCHERS_GRACE));
    finish(home, &machine, reason, engine)
}

/// The application with its snapshots, which tells the node where it must stop.
fn app(
    home: &Home,
    config: &Config,
    machine: &Arc<Machine>,
    queries: &Arc<Queries>,
    end: &mpsc::Sender<End>,
) -> Result<App> {
    let shelf = Shelf::new(home.snapshots());
    let keeper = Keeper::start(shelf.clone(), config.schedule())?;
    let end = end.clone();
    Ok(App::new(Arc::clone(machine), Arc::clone(queries))
        .with_state_sync(StateSync::new(shelf, keeper))
        .on_halt(move |due| drop(end.blocking_send(End::Upgrade(due)))))
}

fn serve_metrics(
    runtime: &Runtime,
    config: &Config,
    machine: &Arc<Machine>,
    rpc: &Rpc,
) -> Result<()> {
    metrics::get().opened(machine.head().0);
    let Some(address) = config.metrics_address()? else { return Ok(()) };
    let max_age = Duration::from_secs(config.metrics.max_block_age);
    let health = metrics::Health::new(rpc.clone(), max_age);
    let server = metrics::Server::new(Arc::clone(machine), health);
    let listener = runtime.block_on(metrics::bind(address))?;
    info!(%address, "metrics listen");
    runtime.spawn(server.serve(listener));
    Ok(())
}

fn serve_grpc(
    runtime: &Runtime,
    config: &Config,
    services: &Arc<Services>,
    end: mpsc::Sender<End>,
) -> Result<()> {
    let Some(address) = config.grpc_address()? else { return Ok(()) };
    let server = grpc::Server::new(Arc::clone(services), config.grpc.max_connections);
    let listener = runtime.block_on(grpc::bind(address))?;
    runtime.spawn(async move {
        if let Err(error) = server.serve(listener).await {
            let _ = end.send(End::Grpc(error)).await;
        }
    });
    Ok(())
}

fn serve_rest(
    runtime: &Runtime,
    config: &Config,
    services: Arc<Services>,
    end: mpsc::Sender<End>,
) -> Result<()> {
    let Some(address) = config.rest_address()? else { return Ok(()) };
    let options =
        rest::Options { max_connections: config.rest.max_connections, cors: config.rest.cors };
    let server = rest::Server::new(services, options)?;
    let listener = runtime.block_on(rest::bind(address))?;
    runtime.spawn(async move {
        if let Err(error) = server.serve(listener).await {
            let _ = end.send(End::Rest(error)).await;
        }
    });
    Ok(())
}

/// The file's settings under those of the environment and the flags.
fn effective_config(home: &Home, args: &StartArgs) -> Result<Config> {
    let mut config = Config::read(home)?;
    let overrides = [
        (&mut config.abci.laddr, &args.abci_laddr),
        (&mut config.grpc.laddr, &args.grpc_laddr),
        (&mut config.metrics.laddr, &args.metrics_laddr),
        (&mut config.rest.address, &args.rest_address),
        (&mut config.app.min_gas_prices, &args.min_gas_prices),
        (&mut config.cometbft.log_file, &args.cometbft_log_file),
        (&mut config.cometbft.log_level, &args.cometbft_log_level),
    ];
    for (setting, given) in overrides {
        if let Some(given) = given {
            setting.clone_from(given);
        }
    }
    Ok(config)
}

fn open_machine(home: &Home, config: &Config, document: &Document) -> Result<Arc<Machine>> {
    let path = home.database();
    std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    let database = Database::open(&path, config.store_options())
        .with_context(|| path.display().to_string())?;
    info!(height = database.height(), chain = document.chain_id, "state machine opened");
    let genesis_time = document.genesis_block()?.now;
    let options = config.app_options()?;
    Ok(Arc::new(Machine::new(database, &document.chain_id, genesis_time, options)))
}

/// Binds the ABCI server and lets it run for as long as the process does.
fn serve_abci(home: &Home, config: &Config, app: App) -> Result<Address> {
    let server = Server::bind(&config.abci_address(home)?, config.server_options())?;
    let address = server.address()?;
    info!(%address, "ABCI server listens");
    thread::Builder::new().name("abci-accept".to_owned()).spawn(move || server.run(&app))?;
    Ok(address)
}

/// Where CometBFT's RPC is called: the flag's address, else its own config's.
fn rpc_laddr(home: &Home, args: &StartArgs) -> Result<String> {
    if let Some(laddr) = &args.p2p.rpc_laddr {
        return Ok(laddr.clone());
    }
    let settings = FileSettings::read(&home.comet_config())?;
    settings.rpc_laddr().map(str::to_owned).context("config.toml names no rpc.laddr")
}

fn start_engine(
    home: &Home,
    config: &Config,
    args: &StartArgs,
    proxy_app: &Address,
    end: mpsc::Sender<End>,
) -> Result<Option<Supervisor>> {
    if args.abci_only {
        info!("CometBFT is not started: connect one to the ABCI address");
        return Ok(None);
    }
    let named = args.comet.cometbft.clone().or_else(|| config.comet_path());
    let launch = Launch {
        binary: Binary::find(named.as_deref())?,
        home: home.dir().to_owned(),
        proxy_app: proxy_app.clone(),
        p2p: args.p2p.settings(),
        state_sync: state_sync(&args.state_sync)?,
        log_level: Some(config.cometbft.log_level.clone()).filter(|level| !level.is_empty()),
        log: log_target(&config.cometbft.log_file),
    };
    let on_exit = move |status| drop(end.blocking_send(End::Engine(status)));
    Ok(Some(Supervisor::start(&launch, on_exit)?))
}

/// What CometBFT is told of state sync; the hash is asked for whole, for it is all the trust.
fn state_sync(args: &StateSyncArgs) -> Result<Option<StateSyncSettings>> {
    let StateSyncArgs {
        state_sync_rpc: Some(rpc),
        trust_height: Some(height),
        trust_hash: Some(hash),
    } = args
    else {
        return Ok(None);
    };
    if rpc.split(',').filter(|server| !server.trim().is_empty()).count() < 2 {
        bail!("--state-sync-rpc {rpc:?}: name at least two servers, by commas");
    }
    if hash.len() != 64 || hex::decode(hash).is_err() {
        bail!("--trust-hash {hash:?}: expected 64 hex digits");
    }
    Ok(Some(StateSyncSettings {
        rpc_servers: rpc.clone(),
        trust_height: *height,
        trust_hash: hash.to_uppercase(),
    }))
}

fn log_target(file: &str) -> LogTarget {
    match file {
        "" => LogTarget::Stderr,
        file => LogTarget::File(PathBuf::from(file)),
    }
}

/// Reports the first signal that asks the node to stop.
async fn tell_signal(end: mpsc::Sender<End>) {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        tracing::warn!("signals cannot be awaited: the node ends at once when it is told to");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let _ = end.send(End::Asked).await;
}

/// CometBFT stops first, while its requests are still answered; then the process ends, with no
/// commit half made.
fn finish(
    home: &Home,
    machine: &Machine,
    reason: End,
    engine: Option<Supervisor>,
) -> Result<ExitCode> {
    info!("stopping");
    if let Some(engine) = engine {
        match reason {
            // It waits for an answer that never comes, and can lose nothing.
            End::Upgrade(_) => engine.kill(),
            _ => engine.stop(),
        }
    }
    let _held = machine.hold();
    match reason {
        End::Asked => {
            info!(height = machine.head().0, "stopped");
            Ok(ExitCode::SUCCESS)
        }
        End::Upgrade(due) => halt(home, &due),
        End::Engine(status) => bail!("CometBFT ended by itself ({status}); its log says why"),
        End::Grpc(error) => bail!("gRPC failed: {error:#}"),
        End::Rest(error) => bail!("REST failed: {error:#}"),
    }
}

/// Says in one line why another program is needed, and writes it down for cosmovisor.
fn halt(home: &Home, due: &Due) -> Result<ExitCode> {
    let path = home.upgrade_info();
    upgrade::write_info(&path, due).with_context(|| path.display().to_string())?;
    super::tell(&format!("stoad: {due}"));
    Ok(ExitCode::from(upgrade::EXIT_CODE))
}
