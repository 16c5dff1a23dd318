//! All parts together: start, readiness, end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use stoa_client::gateway::GatewayAddress;
use stoa_client::queue::{QueueOptions, Recovered};
use stoa_client::tls::{self, Identity};
use stoa_client::{Chain, Error, TxQueue};
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{watch, Notify};
use tokio::task::JoinSet;

use crate::bidding::{Bidder, BidderParts, CapacityWatch, Prices, Screener};
use crate::chain::{ChainReads, LiveChain, Watcher};
use crate::config::Config;
use crate::drain;
use crate::fleet::{Fleet, FleetParts, Planes, RemoteBackend};
use crate::gateway::{self, Certificates, GatewayService};
use crate::hosts::{self, Authority};
use crate::ingress::{DataPlane, Ingress};
use crate::metrics::{self, Sources};
use crate::money::{Bookkeeper, Collector, Ledger, LiveHistory};
use crate::nat;
use crate::overlay::{Gatherer, Overlay};
use crate::peers::Peers;
use crate::reconcile::{Board, Parts, Reconciler, Watchdog};
use crate::relay::{Behind, RelayService};
use crate::runtime::DockerBackend;
use crate::secrets::{self, Secrets};
use crate::store::{self, BlobStore, LeaseStore, ManifestStore};
use crate::swarm::{self, Fetcher, FetcherParts, Members, MembersParts, SwarmService};
use crate::transfers::{self, Transfers};

/// Between tries of what the daemon cannot start without.
const RETRY: Duration = Duration::from_secs(3);
/// How long calls under way may take at the end.
const ENDING: Duration = Duration::from_secs(10);
const READY: &str = "ready";

/// Runs until SIGTERM or SIGINT. Workloads go on without it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut ended = std::pin::pin!(end_signal()?);
    let config = Arc::new(config);
    let _lock = lock(&config.data_dir)?;
    store::remove(&config.data_dir.join(READY))?;
    let mut parts = JoinSet::new();
    let started = tokio::select! {
        started = start(Arc::clone(&config), &mut parts) => started?,
        () = &mut ended => return Ok(()),
    };
    announce(&config, &started)?;
    let result = tokio::select! {
        () = &mut ended => Ok(()),
        Some(finished) = parts.join_next() => Err(match finished {
            Ok(Ok(())) => anyhow::anyhow!("a part of the daemon ended by itself"),
            Ok(Err(error)) => error,
            Err(panic) => anyhow::anyhow!("a part of the daemon failed: {panic}"),
        }),
    };
    tracing::info!("ending; workloads go on");
    let _ = store::remove(&config.data_dir.join(READY));
    let _ = started.ending.send(true);
    let drained = async { while parts.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(ENDING, drained).await;
    result
}

/// What is to be told once all runs.
struct Started {
    provider: String,
    ending: watch::Sender<bool>,
}

async fn start(
    config: Arc<Config>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Started> {
    let key = config.secret_key()?;
    let provider = key.address().to_string();
    let root = load_root(&config, &provider)?;
    let listener = TcpListener::bind(config.gateway.listen)
        .await
        .with_context(|| format!("gateway.listen {}", config.gateway.listen))?;
    let stores = Stores::open(&config)?;
    let engine = Arc::new(connect_engine(&config, &provider).await?);
    tokio::spawn(Arc::clone(&engine).keep_egress());
    let planes = Arc::<Planes>::default();
    let backend = open_fleet(&config, &provider, engine, Arc::clone(&planes))?;
    if let Err(error) = DataPlane::new(&config).ensure().await {
        tracing::error!("{error:#}; it is tried again");
    }
    let chain = connect_chain(&config).await?;
    let reads: Arc<dyn ChainReads> =
        Arc::new(LiveChain::new(&config.client(), &chain, &provider, (&config.chain).into())?);
    check_registered(reads.as_ref(), &root).await?;

    let options =
        QueueOptions { journal: Some(config.data_dir.join("queue")), ..QueueOptions::default() };
    let (queue, recovered) = TxQueue::open(chain.clone(), key, options).await?;
    tell_recovered(recovered.as_ref());

    let timing = &config.timing;
    let (watcher, views) = Watcher::new(
        Arc::clone(&reads),
        chain.hints().subscribe(),
        Duration::from_secs(timing.poll_seconds),
        Duration::from_secs(timing.stall_seconds),
    );
    let (measuring, capacity) = CapacityWatch::new(Arc::clone(&config), backend.clone());
    let prices = Arc::new(Prices::new(&config)?);
    let (bidder, bids) = Bidder::open(BidderParts {
        config: Arc::clone(&config),
        queue: queue.clone(),
        views: views.clone(),
        capacity: capacity.clone(),
        prices: Arc::clone(&prices),
        journal: config.data_dir.join("bids.json"),
    })?;
    let screener = Screener {
        config: Arc::clone(&config),
        prices,
        capacity: capacity.clone(),
        status: bids.clone(),
    };
    let fleet = Arc::clone(&backend);
    let posted_fleet = Arc::clone(&backend);
    let transfers_file = config.data_dir.join(transfers::FILE);
    let transfers = Arc::new(Transfers::open(&transfers_file));
    let board = Arc::new(Board::new(Arc::clone(&transfers)));
    let wake = Arc::new(Notify::new());
    let (posted, kept_leases) = (Arc::clone(&board), Arc::clone(&stores.leases));
    let peers = Arc::new(Peers::new(Arc::clone(&reads), &provider, root.clone()));
    let secrets =
        Secrets::open(&config.data_dir, chain.chain_id(), &provider, &root, Some(peers.clone()))?;
    let secrets = Arc::new(secrets);
    let fetcher = secrets::Fetcher {
        secrets: Arc::clone(&secrets),
        reads: Arc::clone(&reads),
        views: views.clone(),
        manifests: stores.manifests.clone(),
        wake: wake.clone(),
    };
    let behind = behind(&config, &peers)?;
    let relay = RelayService::open(&config.peering, &config.data_dir)?;
    let members = Arc::new(Members::new(MembersParts {
        own: provider.clone(),
        reads: Arc::clone(&reads),
        views: views.clone(),
        peers: Arc::clone(&peers),
        manifests: stores.manifests.clone(),
        blobs: stores.blobs.clone(),
        leases: stores.leases.clone(),
        keep_seconds: config.storage.keep_seconds,
    }));
    let swarm = swarm::engine(&provider, &members);
    let swarm_fetcher = Fetcher::new(FetcherParts {
        swarm: swarm.clone(),
        members,
        views: views.clone(),
        manifests: stores.manifests.clone(),
        blobs: stores.blobs.clone(),
        board: board.clone(),
        wake: wake.clone(),
        max_deployment_bytes: config.storage.max_deployment_bytes.0,
    });
    let overlay = Overlay::open(Arc::clone(&config), &provider, root.clone(), peers, planes)?;
    let overlay = Arc::new(overlay);
    let posted_overlay = Arc::clone(&overlay);
    let gatherer =
        Gatherer::new(Arc::clone(&overlay), Arc::clone(&reads), views.clone(), wake.clone());
    let watchdog = Watchdog::new(
        backend.clone(),
        Arc::clone(&stores.leases),
        wake.clone(),
        Duration::from_secs(timing.storage_check_seconds),
    );
    let reconciler = Reconciler::new(
        Parts {
            config: Arc::clone(&config),
            reads: Arc::clone(&reads),
            queue: queue.clone(),
            backend: backend.clone(),
            image_engine: backend.clone(),
            manifests: stores.manifests.clone(),
            blobs: stores.blobs.clone(),
            leases: stores.leases,
            board: board.clone(),
            overlay: Arc::clone(&overlay),
            secrets: Arc::clone(&secrets),
            wake: wake.clone(),
        },
        views.clone(),
        Ingress::start(&config)?,
    );
    let events = crate::events::listen(backend.clone(), board.clone());
    let (money_reads, measured) = (Arc::clone(&reads), capacity.clone());
    let service = GatewayService::new(Arc::new(gateway::Context {
        config: Arc::clone(&config),
        provider: provider.clone(),
        reads,
        views: views.clone(),
        capacity,
        screener: Arc::new(screener),
        backend,
        manifests: stores.manifests,
        blobs: stores.blobs,
        board,
        overlay,
        secrets,
        wake,
        raw: relay
            .into_iter()
            .map(|relay| relay as Arc<dyn gateway::RawService>)
            .chain([Arc::new(SwarmService(swarm)) as _])
            .collect(),
    }));
    let certificates = Certificates::issue(root, &provider, &config.gateway.host_uri)?;

    let monitor = match config.metrics_listen()? {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address);
            Some(listener.await.with_context(|| format!("metrics.listen {address}"))?)
        }
    };
    let (ending, ends) = watch::channel(false);
    let ledger = Ledger::open(&config.ledger_path(), chain.chain_id(), &provider)?;
    let ledger = Arc::new(ledger);
    let history = Arc::new(LiveHistory::new(chain, &provider));
    let (bookkeeper, books) = Bookkeeper::new(Arc::clone(&ledger), history, &provider);
    let (collector, purse) =
        Collector::new(Arc::clone(&config), queue.clone(), views.clone(), money_reads);
    let sources = Arc::new(Sources {
        config: Arc::clone(&config),
        provider: provider.clone(),
        views: views.clone(),
        capacity: measured,
        bids,
        books,
        purse,
        ledger,
        leases: kept_leases,
        board: posted,
        overlay: posted_overlay,
        machines: Box::new(move || posted_fleet.report()),
    });
    let mut part = |future: futures::future::BoxFuture<'static, anyhow::Result<()>>| {
        let mut ends = ends.clone();
        tasks.spawn(async move {
            tokio::select! {
                result = future => result,
                _ = ends.wait_for(|end| *end) => Ok(()),
            }
        });
    };
    part(Box::pin(quiet(fleet.run())));
    part(Box::pin(quiet(watcher.run())));
    part(Box::pin(quiet(measuring.run())));
    part(Box::pin(bidder.run()));
    part(Box::pin(quiet(reconciler.run())));
    part(Box::pin(quiet(watchdog.run())));
    part(Box::pin(quiet(transfers::keep(transfers, transfers_file))));
    part(Box::pin(quiet(swarm_fetcher.run())));
    part(Box::pin(quiet(gatherer.run())));
    part(Box::pin(quiet(fetcher.run())));
    if let Some(behind) = behind {
        part(Box::pin(quiet(behind.run())));
    }
    part(Box::pin(quiet(events)));
    part(Box::pin(quiet(drain::close_in_time(
        queue.clone(),
        views.clone(),
        config.data_dir.clone(),
    ))));
    if let Some(listener) = monitor {
        part(Box::pin(metrics::serve(listener, sources)));
    }
    part(Box::pin(quiet(collector.run())));
    part(Box::pin(bookkeeper.run()));
    if config.peering.map_port {
        let port = GatewayAddress::parse(&config.gateway.host_uri)?.port;
        let wish = nat::Wish::new(port, config.gateway.listen);
        let (told, ends) = (watch::channel(None).0, ends.clone());
        // It takes the mapping away when the daemon ends.
        tasks.spawn(async move {
            nat::keep(wish, told, ends).await;
            Ok(())
        });
    }
    let mut ends = ends;
    tasks.spawn(async move {
        let ending = async move { drop(ends.wait_for(|end| *end).await) };
        gateway::serve(listener, certificates, service, ending).await
    });
    first_view(views).await;
    Ok(Started { provider, ending })
}

/// The way through a relay, where this provider is behind one.
fn behind(config: &Config, peers: &Arc<Peers>) -> anyhow::Result<Option<Behind>> {
    let Some(relay) = config.peering.relay()? else { return Ok(None) };
    let port = GatewayAddress::parse(&config.gateway.host_uri)?.port;
    Ok(Some(Behind::new(Arc::clone(peers), relay, port, config.gateway.listen)))
}

async fn quiet(part: impl std::future::Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

async fn first_view(mut views: crate::chain::Views) {
    let _ = views.wait_for(Option::is_some).await;
}

struct Stores {
    manifests: Arc<ManifestStore>,
    blobs: Arc<BlobStore>,
    leases: Arc<LeaseStore>,
}

impl Stores {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let dir = |name: &str| config.data_dir.join(name);
        Ok(Self {
            manifests: Arc::new(ManifestStore::open(&dir("manifests"))?),
            blobs: Arc::new(BlobStore::open(&dir("blobs"), config.storage.clone())?),
            leases: Arc::new(LeaseStore::open(&dir("leases"))?),
        })
    }
}

/// One daemon a data directory: two would bid twice.
fn lock(data_dir: &Path) -> anyhow::Result<Flock<fs::File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = data_dir.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{}; run `stoa-provider init` first", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| anyhow::anyhow!("another daemon uses {}", data_dir.display()))
}

fn load_root(config: &Config, provider: &str) -> anyhow::Result<Identity> {
    let path = config.root_path();
    let root = Identity::load(&path).context("run `stoa-provider init` first")?;
    let name = tls::common_name(root.certificate())?;
    anyhow::ensure!(
        name == provider,
        "{} is a root of {name}, but the key {} is of {provider}",
        path.display(),
        config.key.name
    );
    Ok(root)
}

/// Waits for an engine that is being started.
async fn connect_engine(config: &Config, provider: &str) -> anyhow::Result<DockerBackend> {
    loop {
        match DockerBackend::connect(config.runtime(provider)?).await {
            Ok(backend) => {
                // So that what is reported is how it will be.
                let _ = backend.mind_egress().await;
                report_checks(&backend).await;
                return Ok(backend);
            }
            Err(error) if error.is_unknown() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// This machine and those of the roster as one runtime.
fn open_fleet(
    config: &Arc<Config>,
    provider: &str,
    engine: Arc<DockerBackend>,
    planes: Arc<Planes>,
) -> anyhow::Result<Arc<Fleet>> {
    let authority = Authority::open(&hosts::directory(&config.data_dir), provider)?;
    let certificate = authority.certificate_path();
    let (control, front) = (authority.issue_control()?, authority.issue_front()?);
    let (of, signer) = (provider.to_string(), certificate.clone());
    let connect = move |name: &str, entry: &hosts::HostEntry| {
        let remote = RemoteBackend::new(name, &of, entry, &control, &signer)?;
        Ok(Arc::new(remote) as Arc<dyn crate::fleet::HostEngine>)
    };
    Fleet::open(FleetParts {
        config: Arc::clone(config),
        local: engine,
        connect: Box::new(connect),
        front: (front, certificate),
        planes,
    })
}

/// Says what the machine lacks.
async fn report_checks(backend: &DockerBackend) {
    use crate::runtime::{Backend as _, Verdict};
    match backend.checks().await {
        Ok(checks) => {
            for check in checks {
                match check.verdict {
                    Verdict::Good => tracing::info!("{}: {}", check.name, check.words),
                    Verdict::Warning => tracing::warn!("{}: {}", check.name, check.words),
                }
            }
        }
        Err(error) => tracing::warn!("the machine could not be checked: {error}"),
    }
}

/// Waits for a node that is being started.
async fn connect_chain(config: &Config) -> anyhow::Result<Chain> {
    loop {
        match Chain::connect(&config.client()).await {
            Ok(chain) => return Ok(chain),
            Err(error) if error.is_transient() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Without its record nobody would accept its bids, and with another root
/// nobody its gateway.
async fn check_registered(reads: &dyn ChainReads, root: &Identity) -> anyhow::Result<()> {
    loop {
        let answer = match reads.provider().await {
            Ok(answer) => answer,
            Err(Error::NotFound(_)) => {
                tracing::warn!("this provider is not on chain yet; run `stoa-provider init`");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(error) if error.is_transient() => {
                tracing::warn!("{error}; again in {} s", RETRY.as_secs());
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let record = answer.provider.unwrap_or_default();
        let own = root.certificate();
        anyhow::ensure!(
            record.root_certificate == own || record.earlier_root == own,
            "the root certificate on chain is another than this data directory's; run \
             `stoa-provider init` to put this one there"
        );
        return Ok(());
    }
}

fn tell_recovered(recovered: Option<&Recovered>) {
    let Some(recovered) = recovered else { return };
    let labels = recovered.labels.join(", ");
    let hash = &recovered.hash;
    match &recovered.outcome {
        None => tracing::info!(%hash, "the last run's {labels}: never landed"),
        Some(Ok(height)) => tracing::info!(%hash, height, "the last run's {labels}: landed"),
        Some(Err(refusal)) => tracing::info!(%hash, "the last run's {labels}: {refusal}"),
    }
}

/// One line for people and a file for programs.
fn announce(config: &Config, started: &Started) -> anyhow::Result<()> {
    let ready = serde_json::json!({
        "provider": started.provider,
        "pid": std::process::id(),
        "gateway": config.gateway.listen,
        "ingress": config.ingress.listen,
    });
    store::write(&config.data_dir.join(READY), ready.to_string().as_bytes())?;
    tracing::info!(
        provider = %started.provider,
        gateway = %config.gateway.listen,
        ingress = %config.ingress.listen,
        "ready"
    );
    Ok(())
}

pub(crate) fn end_signal() -> anyhow::Result<impl std::future::Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
