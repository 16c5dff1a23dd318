//! The parts, put together from the ground up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use stoa_client::gateway::GatewayAddress;
use stoa_client::queue::QueueOptions;
use stoa_client::tls::Identity;
use stoa_client::{Chain, TxQueue};
use stoa_swarm::Swarm;
use tokio::net::TcpListener;
use tokio::sync::{watch, Notify};
use tokio::task::JoinSet;

use super::chain::{check_registered, connect_chain, load_root, tell_recovered};
use super::machines::{connect_engine, open_fleet};
use super::parts::Parts;
use crate::bidding::{BidStatus, Bidder, BidderParts, Capacity, CapacityWatch, Prices, Screener};
use crate::chain::{ChainReads, LiveChain, Views, Watcher};
use crate::config::Config;
use crate::drain;
use crate::fleet::{Fleet, Planes};
use crate::gateway::{self, Certificates, GatewayService, RawService};
use crate::ingress::{DataPlane, Ingress};
use crate::metrics::{self, Sources};
use crate::money::{keep_books, Books, Collector, LedgerFile, LiveHistory};
use crate::nat;
use crate::overlay::{Gatherer, Overlay};
use crate::peers::Peers;
use crate::reconcile::{self, Board, Reconciler, Watchdog};
use crate::relay::{Behind, Own, RelayService};
use crate::secrets::{self, Secrets};
use crate::store::{BlobStore, LeaseStore, ManifestStore};
use crate::swarm::{self, Fetcher, FetcherParts, Members, MembersParts, SwarmService};
use crate::transfers::{self, Transfers};

/// What is to be told once all runs.
pub(super) struct Started {
    pub(super) provider: String,
    pub(super) ending: watch::Sender<bool>,
}

/// What all parts stand on.
struct Ground {
    config: Arc<Config>,
    provider: String,
    root: Identity,
    stores: Stores,
    fleet: Arc<Fleet>,
    planes: Arc<Planes>,
    chain: Chain,
    reads: Arc<dyn ChainReads>,
    queue: TxQueue,
    views: Views,
}

/// What selling is told by.
struct Market {
    capacity: watch::Receiver<Option<Capacity>>,
    bids: watch::Receiver<BidStatus>,
    screener: Arc<Screener>,
}

/// What workloads, tenants and other providers meet in.
struct Shared {
    board: Arc<Board>,
    wake: Arc<Notify>,
    secrets: Arc<Secrets>,
    overlay: Arc<Overlay>,
    swarm: Swarm,
    /// What speaks protocols of its own on the gateway's port.
    raw: Vec<Arc<dyn RawService>>,
}

/// Puts all together; nothing runs by itself before all is there.
pub(super) async fn start(
    config: Arc<Config>,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<Started> {
    let mut parts = Parts::default();
    let (ground, listener) = lay(config, &mut parts).await?;
    let market = open_market(&ground, &mut parts)?;
    let shared = open_shared(&ground, &mut parts)?;
    run_workloads(&ground, &shared, &mut parts)?;
    open_books(&ground, &market, &shared, &mut parts).await?;
    let host_uri = &ground.config.gateway.host_uri;
    let certificates = Certificates::issue(ground.root.clone(), &ground.provider, host_uri)?;
    let (ending, ends) = watch::channel(false);
    parts.begin(tasks, &ends);
    map_port(&ground.config, tasks, &ends)?;
    let (provider, views) = (ground.provider.clone(), ground.views.clone());
    let service = serve_tenants(ground, market, shared);
    let mut ends = ends;
    tasks.spawn(async move {
        let ending = async move { drop(ends.wait_for(|end| *end).await) };
        gateway::serve(listener, certificates, service, ending).await
    });
    first_view(views).await;
    Ok(Started { provider, ending })
}

/// Waits for engine and chain.
async fn lay(config: Arc<Config>, parts: &mut Parts) -> anyhow::Result<(Ground, TcpListener)> {
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
    let fleet = open_fleet(&config, &provider, engine, Arc::clone(&planes))?;
    parts.quiet(Arc::clone(&fleet).run());
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
    let (watcher, views) = Watcher::new(
        Arc::clone(&reads),
        chain.hints().subscribe(),
        Duration::from_secs(config.timing.poll_seconds),
        Duration::from_secs(config.timing.stall_seconds),
    );
    parts.quiet(watcher.run());
    let ground =
        Ground { config, provider, root, stores, fleet, planes, chain, reads, queue, views };
    Ok((ground, listener))
}

fn open_market(ground: &Ground, parts: &mut Parts) -> anyhow::Result<Market> {
    let config = &ground.config;
    let fleet = &ground.fleet;
    let (measuring, capacity) =
        CapacityWatch::new(Arc::clone(config), fleet.clone(), fleet.freed());
    parts.quiet(measuring.run());
    let prices = Arc::new(Prices::new(config)?);
    let (bidder, bids) = Bidder::open(BidderParts {
        config: Arc::clone(config),
        queue: ground.queue.clone(),
        views: ground.views.clone(),
        capacity: capacity.clone(),
        prices: Arc::clone(&prices),
        journal: config.data_dir.join("bids.json"),
    })?;
    parts.add(bidder.run());
    let closing =
        drain::close_in_time(ground.queue.clone(), ground.views.clone(), config.data_dir.clone());
    parts.quiet(closing);
    let screener = Screener {
        config: Arc::clone(config),
        prices,
        capacity: capacity.clone(),
        status: bids.clone(),
    };
    Ok(Market { capacity, bids, screener: Arc::new(screener) })
}

fn open_shared(ground: &Ground, parts: &mut Parts) -> anyhow::Result<Shared> {
    let Ground { config, provider, root, stores, reads, views, .. } = ground;
    let transfers_file = config.data_dir.join(transfers::FILE);
    let transfers = Arc::new(Transfers::open(&transfers_file));
    let board = Arc::new(Board::new(Arc::clone(&transfers)));
    parts.quiet(transfers::keep(transfers, transfers_file));
    let wake = Arc::new(Notify::new());
    let peers = Arc::new(Peers::new(Arc::clone(reads), provider, root.clone()));
    let (dir, chain_id) = (&config.data_dir, ground.chain.chain_id());
    let secrets = Secrets::open(dir, chain_id, provider, root, Some(peers.clone()))?;
    let secrets = Arc::new(secrets);
    let fetcher = secrets::Fetcher {
        secrets: Arc::clone(&secrets),
        reads: Arc::clone(reads),
        views: views.clone(),
        manifests: stores.manifests.clone(),
        wake: wake.clone(),
    };
    parts.quiet(fetcher.run());
    if let Some(behind) = behind(config, &peers)? {
        parts.quiet(behind.run());
    }
    let relay = RelayService::open(&config.peering, dir)?;
    let swarm = open_swarm(ground, &peers, &board, &wake, parts);
    let raw = relay
        .into_iter()
        .map(|relay| relay as Arc<dyn RawService>)
        .chain([Arc::new(SwarmService(swarm.clone())) as _])
        .collect();
    let planes = Arc::clone(&ground.planes);
    let overlay = Overlay::open(Arc::clone(config), provider, root.clone(), peers, planes)?;
    let overlay = Arc::new(overlay);
    let gatherer =
        Gatherer::new(Arc::clone(&overlay), Arc::clone(reads), views.clone(), wake.clone());
    parts.quiet(gatherer.run());
    Ok(Shared { board, wake, secrets, overlay, swarm, raw })
}

fn open_swarm(
    ground: &Ground,
    peers: &Arc<Peers>,
    board: &Arc<Board>,
    wake: &Arc<Notify>,
    parts: &mut Parts,
) -> Swarm {
    let Ground { config, provider, stores, reads, views, .. } = ground;
    let members = Arc::new(Members::new(MembersParts {
        own: provider.clone(),
        reads: Arc::clone(reads),
        views: views.clone(),
        peers: Arc::clone(peers),
        manifests: stores.manifests.clone(),
        blobs: stores.blobs.clone(),
        leases: stores.leases.clone(),
        keep_seconds: config.storage.keep_seconds,
    }));
    let swarm = swarm::engine(provider, &members);
    let fetcher = Fetcher::new(FetcherParts {
        swarm: swarm.clone(),
        members,
        views: views.clone(),
        manifests: stores.manifests.clone(),
        blobs: stores.blobs.clone(),
        board: Arc::clone(board),
        wake: Arc::clone(wake),
        max_deployment_bytes: config.storage.max_deployment_bytes.0,
    });
    parts.quiet(fetcher.run());
    swarm
}

fn run_workloads(ground: &Ground, shared: &Shared, parts: &mut Parts) -> anyhow::Result<()> {
    let Ground { config, stores, fleet, views, .. } = ground;
    let watchdog = Watchdog::new(
        fleet.clone(),
        Arc::clone(&stores.leases),
        shared.wake.clone(),
        Duration::from_secs(config.timing.storage_check_seconds),
    );
    parts.quiet(watchdog.run());
    let reconciler = Reconciler::new(
        reconcile::Parts {
            config: Arc::clone(config),
            reads: Arc::clone(&ground.reads),
            queue: ground.queue.clone(),
            backend: fleet.clone(),
            image_engine: fleet.clone(),
            manifests: stores.manifests.clone(),
            blobs: stores.blobs.clone(),
            leases: stores.leases.clone(),
            board: shared.board.clone(),
            overlay: Arc::clone(&shared.overlay),
            secrets: Arc::clone(&shared.secrets),
            wake: shared.wake.clone(),
        },
        views.clone(),
        Ingress::start(config)?,
    );
    parts.quiet(reconciler.run());
    parts.quiet(crate::events::listen(fleet.clone(), shared.board.clone()));
    Ok(())
}

/// Money, and what monitoring reads of all of it.
async fn open_books(
    ground: &Ground,
    market: &Market,
    shared: &Shared,
    parts: &mut Parts,
) -> anyhow::Result<()> {
    let Ground { config, provider, chain, views, .. } = ground;
    let monitor = match config.metrics_listen()? {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address);
            Some(listener.await.with_context(|| format!("metrics.listen {address}"))?)
        }
    };
    let file = LedgerFile {
        path: config.ledger_path(),
        chain_id: chain.chain_id().into(),
        provider: provider.clone(),
    };
    file.check()?;
    let history = Arc::new(LiveHistory::new(chain.clone(), provider));
    let (written, books) = watch::channel(Books::default());
    parts.add(keep_books(file, history, written));
    let (collector, purse) = Collector::new(
        Arc::clone(config),
        ground.queue.clone(),
        views.clone(),
        Arc::clone(&ground.reads),
    );
    parts.quiet(collector.run());
    let Some(listener) = monitor else { return Ok(()) };
    let fleet = Arc::clone(&ground.fleet);
    let sources = Sources {
        config: Arc::clone(config),
        provider: provider.clone(),
        views: views.clone(),
        capacity: market.capacity.clone(),
        bids: market.bids.clone(),
        books,
        purse,
        leases: ground.stores.leases.clone(),
        board: shared.board.clone(),
        overlay: shared.overlay.clone(),
        machines: Box::new(move || fleet.report()),
    };
    parts.add(metrics::serve(listener, Arc::new(sources)));
    Ok(())
}

fn serve_tenants(ground: Ground, market: Market, shared: Shared) -> GatewayService {
    GatewayService::new(Arc::new(gateway::Context {
        config: ground.config,
        provider: ground.provider,
        reads: ground.reads,
        views: ground.views,
        capacity: market.capacity,
        screener: market.screener,
        backend: ground.fleet,
        manifests: ground.stores.manifests,
        blobs: ground.stores.blobs,
        board: shared.board,
        overlay: shared.overlay,
        secrets: shared.secrets,
        swarm: shared.swarm,
        wake: shared.wake,
        raw: shared.raw,
    }))
}

/// Has the router lead the gateway's port here and that of the tunnels, where
/// that is asked for.
fn map_port(
    config: &Config,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    ends: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    if config.peering.map_port {
        let port = GatewayAddress::parse(&config.gateway.host_uri)?.port;
        let wish = nat::Wish::new(port, config.gateway.listen);
        let (told, ends) = (watch::channel(None).0, ends.clone());
        // It takes the mapping away when the daemon ends.
        let until = ends.clone();
        tasks.spawn(async move {
            nat::keep(wish, told, until).await;
            Ok(())
        });
        map_tunnels(config, tasks, ends);
    }
    Ok(())
}

/// Tunnels outlive the daemon: their mapping stays when it ends, and lapses
/// where no daemon renews it.
fn map_tunnels(
    config: &Config,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    mut ends: watch::Receiver<bool>,
) {
    let Some(listen) = config.overlay.listen.first().copied() else { return };
    let external = config.tunnel_endpoints().first().and_then(|told| port_of(told));
    let wish = nat::Wish::new(external.unwrap_or(listen.port()), listen);
    tasks.spawn(async move {
        let (_held, never) = watch::channel(false);
        tokio::select! {
            () = nat::keep(wish, watch::channel(None).0, never) => {}
            _ = ends.wait_for(|end| *end) => {}
        }
        Ok(())
    });
}

fn port_of(endpoint: &str) -> Option<u16> {
    endpoint.rsplit_once(':')?.1.parse().ok()
}

/// The way through a relay, where this provider is behind one.
fn behind(config: &Config, peers: &Arc<Peers>) -> anyhow::Result<Option<Behind>> {
    let Some(relay) = config.peering.relay()? else { return Ok(None) };
    let port = GatewayAddress::parse(&config.gateway.host_uri)?.port;
    let gateway = config.gateway.listen;
    let tunnels = config.overlay.listen.first().copied().context("overlay.listen is empty")?;
    let own = Own { gateway, tunnels };
    Ok(Some(Behind::new(Arc::clone(peers), relay, port, own)))
}

async fn first_view(mut views: Views) {
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
