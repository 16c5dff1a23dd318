//! `stoad start`: the state machine behind its ABCI server, gRPC, and CometBFT beside them.

use std::{path::PathBuf, process::ExitStatus, sync::Arc, thread};

use anyhow::{bail, Context, Result};
use stoa_genesis::Document;
use tokio::{
    signal::unix::{signal, SignalKind},
    sync::mpsc,
};
use tracing::info;

use super::{args::StartArgs, genesis};
use crate::{
    abci::{Address, Server},
    app::{App, Machine},
    comet::{Binary, FileSettings, Launch, LogTarget, Rpc, Supervisor},
    config::Config,
    grpc,
    home::Home,
    query::Queries,
    store::Database,
};

/// Threads that accept and answer gRPC; the work itself runs on blocking threads.
const RUNTIME_THREADS: usize = 2;

/// What ends the node.
enum End {
    /// The operator asked.
    Asked,
    /// CometBFT has ended by itself.
    Engine(ExitStatus),
    /// gRPC has failed.
    Grpc(anyhow::Error),
}

/// Runs until a signal, or until a part of the node fails.
pub fn run(home: &Home, args: &StartArgs) -> Result<()> {
    let config = effective_config(home, args)?;
    let document = genesis::read(&home.genesis())?;
    let machine = open_machine(home, &config, &document)?;
    let queries = Arc::new(Queries::new(Arc::clone(&machine)));
    let address = serve_abci(home, &config, App::new(machine, Arc::clone(&queries)))?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .max_blocking_threads(grpc::MAX_WORKERS + 2)
        .enable_all()
        .build()?;
    let (end, mut ended) = mpsc::channel(4);
    let rpc = Rpc::new(&rpc_laddr(home, args)?)?;
    if let Some(grpc_address) = config.grpc_address()? {
        let grpc = grpc::Server::new(queries, rpc, config.grpc.max_connections);
        let listener = runtime.block_on(grpc::bind(grpc_address))?;
        let end = end.clone();
        runtime.spawn(async move {
            if let Err(error) = grpc.serve(listener).await {
                let _ = end.send(End::Grpc(error)).await;
            }
        });
    }
    let engine = start_engine(home, &config, args, &address, end.clone())?;
    runtime.spawn(tell_signal(end));
    let reason = ended.blocking_recv().unwrap_or(End::Asked);
    finish(&reason, engine)
}

/// The file's settings under those of the environment and the flags.
fn effective_config(home: &Home, args: &StartArgs) -> Result<Config> {
    let mut config = Config::read(home)?;
    let overrides = [
        (&mut config.abci.laddr, &args.abci_laddr),
        (&mut config.grpc.laddr, &args.grpc_laddr),
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
        log_level: Some(config.cometbft.log_level.clone()).filter(|level| !level.is_empty()),
        log: log_target(&config.cometbft.log_file),
    };
    let on_exit = move |status| drop(end.blocking_send(End::Engine(status)));
    Ok(Some(Supervisor::start(&launch, on_exit)?))
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

/// CometBFT stops first, while its requests are still answered; then the process ends.
fn finish(reason: &End, engine: Option<Supervisor>) -> Result<()> {
    info!("stopping");
    if let Some(engine) = engine {
        engine.stop();
    }
    match reason {
        End::Asked => Ok(()),
        End::Engine(status) => bail!("CometBFT ended by itself ({status}); its log says why"),
        End::Grpc(error) => bail!("gRPC failed: {error:#}"),
    }
}
