//! Several providers' parts over real TLS, on a chain that is a few maps.

mod uploads;
mod ways;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoa_client::ids::{bid_on, TextId};
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::provider::v1::Provider;
use stoa_client::tls::provider_root;
use stoa_client::Address;
use stoa_manifest::{Blob, Manifest};
use stoa_swarm::{Access, Rights, Swarm};
use tokio::net::TcpListener;
use tokio::sync::{watch, Notify};

use super::{engine, Fetcher, FetcherParts, Members, MembersParts, SwarmService};
use crate::bidding::{BidStatus, Capacity, Prices, Screener};
use crate::chain::fake::FakeChain;
use crate::chain::{LeaseView, View};
use crate::config::Storage;
use crate::gateway::{self, Certificates, GatewayService, RawService};
use crate::peers::Peers;
use crate::reconcile::Board;
use crate::relay::RelayService;
use crate::store::{BlobStore, LeaseStore, ManifestStore};
use crate::tests_support::{
    config, deployment, lease_view, machine, one_service_manifest, order, overlay, tenant, upload,
    view, FakeEngine,
};

const LONG: Duration = Duration::from_secs(60);

/// The chain, and what the tenant has.
struct Market {
    chain: Arc<FakeChain>,
    image: Vec<u8>,
    blob: Blob,
    manifest: Manifest,
}

/// How a provider is set up.
struct Setup {
    /// Where its gateway listens.
    listen: &'static str,
    /// What the chain says of that; without it, the same.
    host_uri: Option<String>,
    /// It has a lease of the deployment.
    leased: bool,
    /// It is a relay at this port.
    relay: Option<u16>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { listen: "127.0.0.1:0", host_uri: None, leased: true, relay: None }
    }
}

/// One provider's parts.
struct Site {
    address: String,
    /// Where its gateway listens.
    gateway: SocketAddr,
    peers: Arc<Peers>,
    swarm: Swarm,
    members: Arc<Members>,
    manifests: Arc<ManifestStore>,
    blobs: Arc<BlobStore>,
    leases: Arc<LeaseStore>,
    board: Arc<Board>,
    wake: Arc<Notify>,
    views: watch::Sender<Option<Arc<View>>>,
    lease: LeaseView,
    _dir: tempfile::TempDir,
}

impl Market {
    fn open() -> Self {
        stoa_client::install_crypto();
        let image: Vec<u8> = (0..2_500_000_u32).map(|i| (i % 241) as u8).collect();
        let blob = Blob { root: blake3::hash(&image), bytes: image.len() as u64 };
        let manifest = one_service_manifest(&blob.to_string());
        Self { chain: Arc::default(), image, blob, manifest }
    }

    fn version(&self) -> String {
        hex::encode(self.manifest.version())
    }

    fn deployment(&self) -> String {
        format!("{}/1", tenant())
    }

    /// A provider with a live lease of the deployment.
    async fn site(&self, number: u8) -> Site {
        let site = self.blind_site(number).await;
        site.see(true);
        site
    }

    /// One that has not looked at the chain yet.
    async fn blind_site(&self, number: u8) -> Site {
        self.set_up(number, Setup::default()).await
    }

    async fn set_up(&self, number: u8, setup: Setup) -> Site {
        let address = Address::from([number; 20]).to_string();
        let listener = TcpListener::bind(setup.listen).await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let host_uri = setup.host_uri.unwrap_or_else(|| format!("https://{gateway}"));
        let root = provider_root(&address, 30).unwrap();
        let record = Provider {
            owner: address.clone(),
            host_uri: host_uri.clone(),
            root_certificate: root.certificate().to_vec(),
            ..Provider::default()
        };
        let lease = self.lease_of(&address);
        self.chain.change(|state| {
            state.other_providers.insert(address.clone(), record);
            if setup.leased {
                state.other_leases.push(lease.lease.clone());
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let manifests = Arc::new(ManifestStore::open(&path("m")).unwrap());
        let blobs = Arc::new(BlobStore::open(&path("b"), Storage::default()).unwrap());
        let leases = Arc::new(LeaseStore::open(&path("l")).unwrap());
        let (board, wake) = (Arc::new(Board::default()), Arc::new(Notify::new()));
        let (views, seen) = watch::channel(None);
        let peers = Arc::new(Peers::new(self.chain.clone(), &address, root.clone()));
        let members = Arc::new(Members::new(MembersParts {
            own: address.clone(),
            reads: self.chain.clone(),
            views: seen.clone(),
            peers: peers.clone(),
            manifests: manifests.clone(),
            blobs: blobs.clone(),
            leases: leases.clone(),
            keep_seconds: 3600,
        }));
        let swarm = engine(&address, &members);
        let fetcher = Fetcher::new(FetcherParts {
            swarm: swarm.clone(),
            members: members.clone(),
            views: seen.clone(),
            manifests: manifests.clone(),
            blobs: blobs.clone(),
            board: board.clone(),
            wake: wake.clone(),
            max_deployment_bytes: 1 << 30,
        });
        tokio::spawn(fetcher.run());
        let mut config = config();
        config.data_dir = dir.path().into();
        if let Some(port) = setup.relay {
            config.peering.relay_ports = format!("{port}-{port}");
        }
        let relay = RelayService::open(&config.peering, dir.path()).unwrap();
        let relay = relay.into_iter().map(|relay| relay as Arc<dyn RawService>);
        let secrets = crate::tests_support::secrets(dir.path(), &root);
        let context = gateway::Context {
            overlay: overlay(&config, self.chain.clone()),
            config: Arc::new(config),
            provider: address.clone(),
            reads: self.chain.clone(),
            views: seen,
            capacity: watch::channel(None).1,
            screener: Arc::new(screener()),
            backend: Arc::new(FakeEngine::default()),
            manifests: manifests.clone(),
            blobs: blobs.clone(),
            board: board.clone(),
            wake: wake.clone(),
            secrets,
            swarm: swarm.clone(),
            raw: relay.chain([Arc::new(SwarmService(swarm.clone())) as _]).collect(),
        };
        let certificates = Certificates::issue(root, &address, &host_uri).unwrap();
        let service = GatewayService::new(Arc::new(context));
        tokio::spawn(gateway::serve(listener, certificates, service, std::future::pending()));
        Site {
            address,
            gateway,
            peers,
            swarm,
            members,
            manifests,
            blobs,
            leases,
            board,
            wake,
            views,
            lease,
            _dir: dir,
        }
    }

    fn lease_of(&self, provider: &str) -> LeaseView {
        let mut lease = lease_view(&order(1));
        lease.id = bid_on(&order(1).id.unwrap(), provider);
        lease.name = lease.id.text();
        lease.lease.id = Some(lease.id.clone());
        lease.spec.resources[0].unit.as_mut().unwrap().endpoints = vec![Default::default()];
        lease.deployment = deployment(1, &self.manifest.version());
        lease.deployment.manifest_root = self.manifest.root().as_bytes().to_vec();
        lease
    }

    /// As a tenant's upload leaves it.
    fn give(&self, site: &Site) {
        let bytes = self.manifest.canonical_json();
        site.manifests.put(&self.deployment(), &bytes, self.manifest.clone()).unwrap();
        upload(&site.blobs, &self.image);
    }

    fn close_lease(&self, site: &Site, closed_at: u64) {
        site.leases.update(&site.lease.name, |r| r.accepted = Some(self.version())).unwrap();
        self.chain.change(|state| {
            let lease = state.other_leases.iter_mut().find(|lease| lease.id == site.lease.lease.id);
            let lease = lease.unwrap();
            lease.set_state(LeaseState::Closed);
            lease.closed_at = closed_at;
        });
        site.see(false);
    }
}

impl Site {
    /// What the watcher sees.
    fn see(&self, live: bool) {
        let leases = BTreeMap::from([(self.lease.name.clone(), self.lease.clone())]);
        let leases = if live { leases } else { BTreeMap::new() };
        self.views.send_replace(Some(Arc::new(View { leases, ..view() })));
    }

    /// Waits until all is here, and says which bytes.
    async fn complete(&self, market: &Market) {
        let complete = async {
            while self.blobs.path_of(&market.blob).is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, complete).await.unwrap_or_else(|_| {
            panic!(
                "{:?} {:?}",
                self.swarm.progress(&market.deployment()),
                self.swarm.peers(&market.deployment())
            )
        });
        let path = self.blobs.path_of(&market.blob).unwrap();
        assert!(std::fs::read(path).unwrap() == market.image);
        let stored = self.manifests.get(&market.deployment(), &market.version()).unwrap().unwrap();
        assert_eq!(stored.manifest, market.manifest);
    }

    async fn rights(&self, market: &Market, peer: &Site) -> Option<Rights> {
        self.members.rights(&market.deployment(), &peer.address).await
    }
}

fn screener() -> Screener {
    let capacity = Capacity::new(&config(), &machine());
    Screener {
        config: Arc::new(config()),
        prices: Arc::new(Prices::new(&config()).unwrap()),
        capacity: watch::channel(Some(capacity)).1,
        status: watch::channel(BidStatus::default()).1,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn what_a_tenant_gives_one_provider_reaches_the_others_and_wakes_them() {
    let market = Market::open();
    let (a, b, c) = (market.site(11).await, market.site(12).await, market.site(13).await);
    // They look before it is there: who waits is told.
    market.give(&a);
    for site in [&b, &c] {
        site.complete(&market).await;
        tokio::time::timeout(LONG, site.wake.notified()).await.unwrap();
        let told = async {
            loop {
                let payloads = site.board.transfers().payloads(&market.deployment());
                let all_told = payloads.iter().all(|payload| {
                    let sum: u64 = payload.sources.iter().map(|source| source.bytes).sum();
                    payload.complete && sum == payload.size
                });
                if payloads.len() == 2 && all_told {
                    return payloads;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let payloads = tokio::time::timeout(LONG, told).await.unwrap();
        assert_eq!(payloads[0].kind, "manifest");
        let others = [&a.address, &b.address, &c.address];
        for source in payloads.iter().flat_map(|payload| &payload.sources) {
            assert!(others.contains(&&source.peer) && source.peer != site.address);
        }
    }
}

#[tokio::test]
async fn a_provider_whose_lease_closed_serves_a_successor_for_a_day_and_fetches_no_more() {
    let market = Market::open();
    let a = market.site(21).await;
    market.give(&a);
    market.close_lease(&a, now());
    let b = market.site(22).await;
    assert_eq!(b.rights(&market, &a).await, Some(Rights { may_fetch: false }));
    assert_eq!(a.rights(&market, &b).await, Some(Rights { may_fetch: true }));
    b.complete(&market).await;
    assert!(a.swarm.progress(&market.deployment()).iter().all(|progress| !progress.wanted));

    // Longer ago, it is a stranger, as is one that never had a lease.
    let (c, d) = (market.site(23).await, market.site(24).await);
    market.close_lease(&d, now() - 7200);
    assert_eq!(c.rights(&market, &d).await, None);
    assert_eq!(d.rights(&market, &c).await, None);
    assert_eq!(c.members.rights(&market.deployment(), &tenant()).await, None);
    assert_eq!(c.members.rights("stoa1nobody/9", &b.address).await, None);
}

#[tokio::test]
async fn a_chain_that_cannot_be_observed_lets_nobody_new_in() {
    let market = Market::open();
    let (a, b) = (market.site(31).await, market.site(32).await);
    assert!(a.rights(&market, &b).await.is_some());
    market.chain.set_unreachable(true);
    let c = a.members.rights(&format!("{}/2", tenant()), &b.address).await;
    assert_eq!(c, None);
}

#[tokio::test]
async fn a_manifest_whose_version_is_another_than_the_chains_is_not_taken() {
    let market = Market::open();
    let a = market.site(41).await;
    market.give(&a);
    let mut b = market.blind_site(42).await;
    // The chain's root is of this manifest, and its version of none.
    b.lease.deployment.version = vec![7; 32];
    b.see(true);
    let dropped = async {
        loop {
            let fetched = b.swarm.counters().bytes_received();
            let forgotten = b.swarm.progress(&market.deployment()).is_empty();
            if fetched > 0 && forgotten {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, dropped).await.unwrap();
    assert!(b.manifests.list().unwrap().is_empty());
}
