//! The daemon's loop with everything that it needs, and the leases.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use stoa_client::convert::group_to_proto;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::keys::{new_mnemonic, recover, Algorithm};
use stoa_client::proto::deployment::v1::{Deployment, DeploymentState};
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::proto::market::v1::{Lease, LeaseState};
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_client::query::QueryClient;
use stoa_client::queue::QueueOptions;
use stoa_client::rpc::RpcClient;
use stoa_client::{Address, Chain, TxQueue};
use stoa_manifest::{Blob, Manifest, Parsed};
use stoa_provider::chain::{ChainReads, LeaseView, Standing, View};
use stoa_provider::config::{render, Config, Storage};
use stoa_provider::ingress::Ingress;
use stoa_provider::overlay::Overlay;
use stoa_provider::peers::Peers;
use stoa_provider::reconcile::{services, Board, Parts, Reconciler};
use stoa_provider::runtime::{DockerBackend, InstanceKey, LoadedImage, WorkloadSpec};
use stoa_provider::secrets::Secrets;
use stoa_provider::store::{BlobStore, LeaseStore, ManifestStore, MAX_CHUNK};
use stoa_tunnel::netns::Dialer;
use tokio::sync::{watch, Notify};
use tokio::task::JoinHandle;

use crate::engine;
use crate::nowhere::Nowhere;
use crate::POLL;

/// Where the demo's page listens.
pub const PORT: u16 = 8080;
const SERVICE: &str = "web";
const GROUP: &str = "here";
const DEADLINE: Duration = Duration::from_secs(900);
/// In the simulated engine's containers too.
pub const IMAGE: &str = "registry.invalid/page:1";

/// Leases that differ in nothing but their number, each with a manifest.
pub struct Fleet {
    manifests: Vec<Manifest>,
    leases: Vec<LeaseView>,
    image: Option<(Blob, Vec<u8>)>,
}

impl Fleet {
    pub fn of_blob(number: usize, image: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(image).with_context(|| {
            format!("{}: `make images` makes the demo's images", image.display())
        })?;
        let blob = Blob { root: blake3::hash(&bytes), bytes: bytes.len() as u64 };
        Ok(Self { image: Some((blob, bytes)), ..Self::of(number, &blob.to_string()) })
    }

    pub fn of_registry(number: usize) -> Self {
        Self::of(number, IMAGE)
    }

    fn of(number: usize, image: &str) -> Self {
        let read: Vec<Parsed> = (0..number).map(|index| read(index, image)).collect();
        let leases = read.iter().enumerate().map(|(index, one)| lease(index, one)).collect();
        let manifests = read.into_iter().map(|one| one.manifest).collect();
        Self { manifests, leases, image: None }
    }

    pub fn key(&self, index: usize) -> InstanceKey {
        InstanceKey { lease: self.leases[index].name.clone(), service: SERVICE.into(), index: 0 }
    }

    /// What the daemon makes of a lease whose image has this id.
    pub fn spec(&self, index: usize, image_id: &str) -> WorkloadSpec {
        let manifest = &self.manifests[index];
        let image = LoadedImage { id: image_id.into(), read_only_root: false, bytes: 1 };
        let images = BTreeMap::from([(IMAGE.to_string(), image)]);
        let version =
            manifest.version().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lease = &self.leases[index].name;
        let services = services(lease, &version, &manifest.groups[0], &images, &[]);
        services.expect("it can be run")[0].instances[0].clone()
    }

    /// The first so many, as the chain shows them.
    fn view(&self, number: usize) -> Arc<View> {
        let leases = self.leases.iter().take(number);
        Arc::new(View {
            height: 1,
            time: 1,
            orders: vec![],
            bids: BTreeMap::new(),
            leases: leases.map(|lease| (lease.name.clone(), lease.clone())).collect(),
            standing: Standing::default(),
        })
    }
}

/// Different in each, as tenants' manifests are.
fn read(index: usize, image: &str) -> Parsed {
    let sdl = format!(
        r#"
version: "2.0"
services:
  {SERVICE}:
    image: "{image}"
    env: ["NUMBER={index}"]
    expose: [{{port: {PORT}, as: 80, to: [{{global: true}}]}}]
profiles:
  compute: {{web: {{resources: {{cpu: {{units: 100m}}, memory: {{size: 16Mi}}, storage: {{size: 16Mi}}}}}}}}
  placement: {{{GROUP}: {{pricing: {{web: {{denom: ustoa, amount: 1}}}}}}}}
deployment: {{{SERVICE}: {{{GROUP}: {{profile: web, count: 1}}}}}}
"#
    );
    stoa_manifest::parse(&sdl, &stoa_manifest::Options::default()).expect("it is one")
}

/// ACTIVE, for no transaction can be sent.
fn lease(index: usize, read: &Parsed) -> LeaseView {
    let owner = Address::from([1; 20]).to_string();
    let provider = Address::from([2; 20]).to_string();
    let dseq = index as u64 + 1;
    let id = BidId { owner: owner.clone(), dseq, gseq: 1, oseq: 1, provider };
    let state = LeaseState::Active.into();
    LeaseView {
        name: id.text(),
        lease: Lease { id: Some(id.clone()), state, ..Lease::default() },
        spec: group_to_proto(&read.groups[0]).expect("it can be ordered"),
        deployment: Deployment {
            id: Some(DeploymentId { owner, dseq }),
            state: DeploymentState::Active.into(),
            version: read.manifest.version().to_vec(),
            ..Deployment::default()
        },
        id,
    }
}

/// A run of the loop; dropping it is as good as a kill.
pub struct Daemon {
    board: Arc<Board>,
    wake: Arc<Notify>,
    views: watch::Sender<Option<Arc<View>>>,
    dialer: Dialer,
    task: JoinHandle<()>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Daemon {
    /// With all manifests and the image here, and so many of the leases.
    pub async fn start(
        dir: &Path,
        backend: DockerBackend,
        fleet: &Fleet,
        number: usize,
    ) -> anyhow::Result<Self> {
        let mut config: Config = toml::from_str(&render(&[])?)?;
        config.data_dir = dir.into();
        config.ingress.tunnel_binary = Some("/bin/false".into());
        config.timing.settle_seconds = 0;
        let config = Arc::new(config);
        let manifests = Arc::new(ManifestStore::open(&dir.join("manifests"))?);
        for (manifest, lease) in fleet.manifests.iter().zip(&fleet.leases) {
            let of = deployment_of(&lease.id).text();
            manifests.put(&of, &manifest.canonical_json(), manifest.clone())?;
        }
        let blobs = Arc::new(BlobStore::open(&dir.join("blobs"), Storage::default())?);
        if let Some((blob, bytes)) = &fleet.image {
            upload(&blobs, blob, bytes)?;
        }
        let (views, receiver) = watch::channel(Some(fleet.view(number)));
        let backend = Arc::new(backend);
        let root = stoa_client::tls::provider_root(engine::PROVIDER, 30)?;
        let reads: Arc<dyn ChainReads> = Arc::new(Nowhere);
        let peers = Arc::new(Peers::new(Arc::clone(&reads), engine::PROVIDER, root.clone()));
        let secrets = Secrets::open(dir, "measure", engine::PROVIDER, &root, None)?;
        let parts = Parts {
            config: Arc::clone(&config),
            secrets: Arc::new(secrets),
            overlay: Arc::new(Overlay::open(
                Arc::clone(&config),
                engine::PROVIDER,
                root,
                peers,
                Arc::default(),
            )?),
            reads,
            queue: queue().await?,
            backend: backend.clone(),
            image_engine: backend,
            manifests,
            blobs,
            leases: Arc::new(LeaseStore::open(&dir.join("leases"))?),
            board: Arc::default(),
            wake: Arc::default(),
        };
        let (board, wake) = (parts.board.clone(), parts.wake.clone());
        wake.notify_one();
        let reconciler = Reconciler::new(parts, receiver, Ingress::start(&config)?);
        let task = tokio::spawn(reconciler.run());
        Ok(Self { board, wake, views, dialer: Dialer::start()?, task })
    }

    /// From now on the chain has so many of the leases.
    pub fn show(&self, fleet: &Fleet, number: usize) {
        self.views.send_replace(Some(fleet.view(number)));
    }

    pub async fn look_again(&self) {
        self.wake.notify_one();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    pub async fn until_answers(
        &self,
        backend: &DockerBackend,
        key: &InstanceKey,
    ) -> anyhow::Result<()> {
        let answered = async {
            while !crate::answers(&self.dialer, backend, key).await {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, answered).await.context("it never answered")
    }

    pub async fn until_all_run(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let runs = |lease: &LeaseView| {
            self.board.get(&lease.name).is_some_and(|s| s.phase() == LeasePhase::Running)
        };
        let all = async {
            while !fleet.leases.iter().all(runs) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(DEADLINE, all).await.context("not all of them came to run")
    }
}

/// One that reaches nobody, and is not asked to.
async fn queue() -> anyhow::Result<TxQueue> {
    let nowhere = ["http://127.0.0.1:1".to_string()];
    let chain = Chain::new(
        "measure-1".into(),
        RpcClient::new(&nowhere)?,
        QueryClient::new(&nowhere)?,
        "1ustoa".parse()?,
    );
    let key = recover(&new_mnemonic()?, "", Algorithm::Ed25519)?;
    Ok(TxQueue::open(chain, key, QueueOptions::default()).await?.0)
}

/// Brings the image as a tenant does.
fn upload(blobs: &Arc<BlobStore>, blob: &Blob, bytes: &[u8]) -> anyhow::Result<()> {
    let Some(mut upload) = blobs.begin(blob, "measured/1")? else { return Ok(()) };
    let shape = upload.holding().shape();
    let mut hashes = vec![0; usize::try_from(shape.outboard_bytes())?];
    stoa_swarm::verify::outboard(shape, bytes, hashes.as_mut_slice())?;
    for (number, part) in hashes.chunks(MAX_CHUNK).enumerate() {
        upload.hashes((number * MAX_CHUNK) as u64, part)?;
    }
    for (number, part) in bytes.chunks(MAX_CHUNK).enumerate() {
        upload.push((number * MAX_CHUNK) as u64, part)?;
    }
    upload.finish()?;
    Ok(())
}
