//! What unit tests share: small orders, leases, manifests and observations.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::StreamExt;
use stoa_client::ids::{bid_on, TextId};
use stoa_client::proto::cosmos::base::v1beta1::{Coin, DecCoin};
use stoa_client::proto::deployment::v1::{Deployment, DeploymentState};
use stoa_client::proto::market::v1::{Bid, BidState, Lease, LeaseState, Order, OrderState};
use stoa_client::proto::provider::v1::Provider;
use stoa_client::proto::types::v1::{
    Attribute, Cpu, DeploymentId, GroupResource, GroupSpec, Memory, OrderId, ResourceUnit, Volume,
};
use stoa_client::Address;
use stoa_manifest::{Blob, Manifest, Options};
use stoa_swarm::Shape;

use crate::chain::{LeaseView, Standing, View};
use crate::config::{render, Config};
use crate::reconcile::{ImageEngine, ServiceGoal};
use crate::runtime::{
    Applied, Backend, Check, Connection, ContainerState, EngineEvent, ExecRequest, ExecSession,
    GpuDevice, Health, ImageRef, InstanceKey, InstanceStats, Inventory, LoadedImage, LogPiece,
    LogRequest, Observation, ObservedContainer, ObservedInstance, ObservedNetwork, PortSpec,
    Protocol, RegistryCredentials, RuntimeError, StorageUse, WorkloadSpec,
};
use crate::store::{BlobStore, MAX_CHUNK};

pub(crate) const NOW: u64 = 1_000_000;

/// Writes a program and runs it once: a fork of another test may hold the fresh
/// file open for a moment, and until then nobody can run it.
pub(crate) fn program(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    let run = || std::process::Command::new(path).stdout(std::process::Stdio::null()).status();
    let busy = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ExecutableFileBusy;
    while run().as_ref().is_err_and(busy) {
        std::thread::yield_now();
    }
}

pub(crate) fn tenant() -> String {
    Address::from([1; 20]).to_string()
}

pub(crate) fn me() -> String {
    Address::from([2; 20]).to_string()
}

/// The template's: 4 cores, 8 GiB, 64 GiB. Ports are not sold: claims of
/// them would go to this machine's registry.
pub(crate) fn config() -> Config {
    let mut config: Config = toml::from_str(&render(&[]).unwrap()).unwrap();
    config.ports.range.clear();
    config
}

/// Twice that.
pub(crate) fn machine() -> Inventory {
    Inventory {
        cpu_millis: 8_000,
        memory_bytes: 16 << 30,
        disk_bytes: 128 << 30,
        disk_free_bytes: 100 << 30,
        architecture: "amd64".into(),
        engine_version: "27.0.0".into(),
        storage_quota: false,
        gvisor: false,
        user_namespaces: false,
        gpus: vec![],
    }
}

pub(crate) fn standing() -> Standing {
    let region = Attribute { key: "region".into(), value: "athens".into() };
    Standing {
        provider: Provider {
            owner: me(),
            attributes: vec![region],
            stake: "1000".into(),
            ..Provider::default()
        },
        reputation: 0,
        audits: vec![],
    }
}

pub(crate) fn view() -> View {
    View {
        height: 10,
        time: NOW,
        orders: vec![],
        bids: Default::default(),
        leases: Default::default(),
        standing: standing(),
    }
}

/// One core, 1 GiB, 1 GiB; open for half a minute; a deposit of 500,000.
pub(crate) fn order(dseq: u64) -> Order {
    let unit = ResourceUnit {
        id: 1,
        cpu: Some(Cpu { millicores: 1_000, arch: String::new() }),
        memory: Some(Memory { bytes: 1 << 30 }),
        storage: vec![Volume { name: "default".into(), bytes: 1 << 30, class: "ephemeral".into() }],
        ..ResourceUnit::default()
    };
    let most = DecCoin { denom: "ustoa".into(), amount: "100000000000000000000".into() };
    let resource = GroupResource { unit: Some(unit), count: 1, max_rate: Some(most.clone()) };
    Order {
        id: Some(OrderId { owner: tenant(), dseq, gseq: 1, oseq: 1 }),
        state: OrderState::Open.into(),
        spec: Some(GroupSpec {
            name: "here".into(),
            resources: vec![resource],
            ..GroupSpec::default()
        }),
        max_rate: Some(most),
        opened_at: NOW,
        closes_at: NOW + 30,
        match_at: NOW + 30,
        bid_deposit: Some(Coin { denom: "ustoa".into(), amount: "500000".into() }),
        ..Order::default()
    }
}

/// The provider's bid on it, with the order's id as text.
pub(crate) fn bid(order: &Order) -> (String, Bid) {
    let order = order.id.clone().unwrap();
    let bid =
        Bid { id: Some(bid_on(&order, &me())), state: BidState::Open.into(), ..Bid::default() };
    (order.text(), bid)
}

pub(crate) fn lease_view(order: &Order) -> LeaseView {
    let id = bid_on(order.id.as_ref().unwrap(), &me());
    let lease =
        Lease { id: Some(id.clone()), state: LeaseState::Pending.into(), ..Lease::default() };
    LeaseView {
        name: id.text(),
        lease,
        spec: order.spec.clone().unwrap(),
        deployment: deployment(id.dseq, &[0; 32]),
        id,
    }
}

pub(crate) fn deployment(dseq: u64, version: &[u8]) -> Deployment {
    Deployment {
        id: Some(DeploymentId { owner: tenant(), dseq }),
        state: DeploymentState::Active.into(),
        version: version.to_vec(),
        ..Deployment::default()
    }
}

pub(crate) fn manifest(sdl: &str) -> Manifest {
    stoa_manifest::parse(sdl, &Options::default()).unwrap().manifest
}

/// A service `api` that lets `web` into so many ports.
pub(crate) fn wide_sdl(ports: usize) -> String {
    let ports: String = (0..ports)
        .map(|number| format!("      - {{port: {}, to: [{{service: web}}]}}\n", 1_000 + number))
        .collect();
    format!(
        r#"
version: "2.0"
services:
  web: {{image: nginx, expose: [{{port: 80, to: [{{global: true}}]}}]}}
  api:
    image: api
    expose:
{ports}
profiles:
  compute: {{one: {{resources: {{cpu: {{units: 1}}, memory: {{size: 64Mi}}, storage: {{size: 64Mi}}}}}}}}
  placement: {{here: {{pricing: {{one: {{denom: ustoa, amount: 1}}}}}}}}
deployment:
  web: {{here: {{profile: one, count: 1}}}}
  api: {{here: {{profile: one, count: 1}}}}
"#
    )
}

/// A manifest that [`order`] is the order of.
pub(crate) fn one_service_sdl(image: &str) -> String {
    format!(
        r#"
version: "2.0"
services:
  web:
    image: "{image}"
    expose:
      - {{port: 8080, to: [{{service: web}}]}}
      - {{port: 80, to: [{{global: true}}]}}
profiles:
  compute: {{web: {{resources: {{cpu: {{units: 1}}, memory: {{size: 1Gi}}, storage: {{size: 1Gi}}}}}}}}
  placement: {{here: {{pricing: {{web: {{denom: ustoa, amount: 1}}}}}}}}
deployment: {{web: {{here: {{profile: web, count: 1}}}}}}
"#
    )
}

pub(crate) fn one_service_manifest(image: &str) -> Manifest {
    manifest(&one_service_sdl(image))
}

/// The hashes of a blob, as a tenant sends them before it.
pub(crate) fn hashes_of(bytes: &[u8]) -> Vec<u8> {
    let shape = Shape::new(bytes.len() as u64).unwrap();
    let mut hashes = vec![0; shape.outboard_bytes() as usize];
    stoa_swarm::verify::outboard(shape, bytes, hashes.as_mut_slice()).unwrap();
    hashes
}

/// Brings a blob as a tenant does.
pub(crate) fn upload(store: &Arc<BlobStore>, bytes: &[u8]) {
    let blob = Blob { root: blake3::hash(bytes), bytes: bytes.len() as u64 };
    let mut upload = store.begin(&blob, &format!("{}/1", tenant())).unwrap().unwrap();
    let hashes = hashes_of(bytes);
    if !hashes.is_empty() {
        upload.hashes(0, &hashes).unwrap();
    }
    for (number, part) in bytes.chunks(MAX_CHUNK).enumerate() {
        upload.push((number * MAX_CHUNK) as u64, part).unwrap();
    }
    assert!(upload.finish().unwrap().complete);
}

pub(crate) fn image(digit: char) -> LoadedImage {
    let id = format!("sha256:{}", digit.to_string().repeat(64));
    LoadedImage { id, read_only_root: false, bytes: 1 }
}

/// So many instances with an environment that tells versions apart.
pub(crate) fn service_goal(name: &str, count: u32, version: &str) -> ServiceGoal {
    let lease = lease_view(&order(1)).name;
    let spec = |index| WorkloadSpec {
        key: InstanceKey { lease: lease.clone(), service: name.into(), index },
        image: ImageRef { id: image('a').id, source: "nginx".into() },
        command: vec![],
        args: vec![],
        env: vec![format!("VERSION={version}")],
        secrets: vec![],
        cpu_millis: 100,
        memory_bytes: 1 << 26,
        ephemeral_bytes: 1 << 26,
        volumes: vec![],
        ports: vec![PortSpec { port: 80, protocol: Protocol::Tcp }],
        read_only_root: false,
        gpu: None,
        network: Default::default(),
        manifest_version: version.into(),
        generation: 1,
    };
    ServiceGoal { name: name.into(), instances: (0..count).map(spec).collect() }
}

/// An instance that runs as its spec says since a moment (Unix seconds).
pub(crate) fn observed(spec: &WorkloadSpec, since: u64) -> ObservedInstance {
    let started = time::OffsetDateTime::from_unix_timestamp(since as i64).unwrap();
    let started = started.format(&time::format_description::well_known::Rfc3339).unwrap();
    let container = |name: &str, netns: Option<&str>| ObservedContainer {
        id: name.into(),
        name: name.into(),
        state: ContainerState::Running,
        health: Health::Unchecked,
        pid: Some(1),
        started_at: Some(started.clone()),
        finished_at: None,
        exit_code: 0,
        out_of_memory: false,
        restarts: 0,
        spec_hash: spec.hash(),
        shape: spec.shape(),
        limits: spec.limits(),
        probe_port: spec.probe_port(),
        manifest_version: spec.manifest_version.clone(),
        generation: 1,
        image: spec.image.clone(),
        netns: netns.map(Into::into),
    };
    ObservedInstance {
        workload: Some(container("workload", None)),
        link: Some(container("link", Some("/run/netns/x"))),
        network: Some(ObservedNetwork {
            id: "n".into(),
            name: "net".into(),
            link_address: Some([10, 0, 0, 2].into()),
            workload_address: Some([10, 0, 0, 3].into()),
            prefix: 28,
            virtual_addresses: vec![[10, 0, 0, 4].into()],
        }),
        egress: spec.network.egress.then(Default::default),
        answers: None,
        place: Default::default(),
    }
}

/// An engine that is a map: what is applied runs at once.
#[derive(Default)]
pub(crate) struct FakeEngine {
    pub(crate) seen: Mutex<Observation>,
    /// Nothing can be observed or done.
    pub(crate) cut: AtomicBool,
    pub(crate) applied: AtomicUsize,
    /// How often everything was looked at.
    pub(crate) observed: AtomicUsize,
    pub(crate) loaded: AtomicUsize,
    /// What its machine has.
    pub(crate) gpus: Mutex<Vec<GpuDevice>>,
    /// So many removals of leases are refused.
    pub(crate) stuck: AtomicUsize,
    pub(crate) storage: Mutex<Vec<StorageUse>>,
    /// Where tar streams were unpacked, and their bytes.
    pub(crate) written: Mutex<Vec<(String, Vec<u8>)>>,
    /// What each reading of a log gives, in order.
    pub(crate) logs: Mutex<Vec<Vec<LogPiece>>>,
    /// What was asked for.
    pub(crate) logs_asked: Mutex<Vec<LogRequest>>,
    pub(crate) restarted: Mutex<Vec<InstanceKey>>,
    /// What was handed over to be joined, and how often.
    pub(crate) overlay: Mutex<(Option<stoa_tunnel::overlay::OverlayTable>, usize)>,
    /// Archives for volumes that are at the engine, by BLAKE3 root.
    pub(crate) data: Mutex<std::collections::BTreeSet<String>>,
}

impl FakeEngine {
    fn look(&self) -> Result<MutexGuard<'_, Observation>, RuntimeError> {
        if self.cut.load(Ordering::SeqCst) {
            let during = "a test".into();
            return Err(RuntimeError::Unknown { during, cause: "the engine is cut".into() });
        }
        Ok(self.seen.lock().unwrap())
    }

    pub(crate) fn instances(&self) -> Vec<InstanceKey> {
        self.seen.lock().unwrap().instances.keys().cloned().collect()
    }
}

#[async_trait]
impl Backend for FakeEngine {
    async fn inventory(&self) -> Result<Inventory, RuntimeError> {
        Ok(Inventory { gpus: self.gpus.lock().unwrap().clone(), ..machine() })
    }

    async fn apply(&self, spec: &WorkloadSpec) -> Result<Applied, RuntimeError> {
        let mut seen = self.look()?;
        for volume in &spec.volumes {
            let here = |root: &String| self.data.lock().unwrap().contains(root);
            if let Some(blob) = volume.data.clone().filter(|root| !here(root)) {
                let (instance, volume) = (spec.key.to_string(), volume.name.clone());
                return Err(RuntimeError::DataMissing { instance, volume, blob });
            }
        }
        self.applied.fetch_add(1, Ordering::SeqCst);
        seen.instances.insert(spec.key.clone(), observed(spec, NOW));
        Ok(Applied::Created)
    }

    async fn stop(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let mut seen = self.look()?;
        let workload = seen.instances.get_mut(key).and_then(|instance| instance.workload.as_mut());
        workload.unwrap().state = ContainerState::Exited;
        Ok(())
    }

    async fn restart(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        drop(self.look()?);
        self.restarted.lock().unwrap().push(key.clone());
        Ok(())
    }

    async fn remove_instance(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        self.look()?.instances.remove(key);
        Ok(())
    }

    async fn remove_lease(&self, lease: &str) -> Result<(), RuntimeError> {
        let mut seen = self.look()?;
        let less = |left: usize| left.checked_sub(1);
        if self.stuck.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            let (during, message) = ("removing".into(), "device or resource busy".into());
            return Err(RuntimeError::Refused { during, status: 500, message });
        }
        seen.instances.retain(|key, _| key.lease != lease);
        Ok(())
    }

    async fn observe(&self) -> Result<Observation, RuntimeError> {
        self.observed.fetch_add(1, Ordering::SeqCst);
        Ok(self.look()?.clone())
    }

    async fn observe_instance(&self, key: &InstanceKey) -> Result<ObservedInstance, RuntimeError> {
        Ok(self.look()?.instances.get(key).cloned().unwrap_or_default())
    }

    fn logs(
        &self,
        _key: &InstanceKey,
        request: LogRequest,
    ) -> BoxStream<'static, Result<LogPiece, RuntimeError>> {
        self.logs_asked.lock().unwrap().push(request);
        let mut logs = self.logs.lock().unwrap();
        let pieces = if logs.is_empty() { vec![] } else { logs.remove(0) };
        stream::iter(pieces.into_iter().map(Ok)).boxed()
    }

    async fn exec(
        &self,
        key: &InstanceKey,
        request: ExecRequest,
    ) -> Result<ExecSession, RuntimeError> {
        drop(self.look()?);
        Ok(crate::tests_inside::exec(key, request))
    }

    fn read_files(
        &self,
        key: &InstanceKey,
        path: &str,
    ) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        crate::tests_inside::read_files(key, path)
    }

    async fn write_files(
        &self,
        _key: &InstanceKey,
        path: &str,
        mut tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<(), RuntimeError> {
        let mut bytes = vec![];
        while let Some(piece) = tar.next().await {
            let piece = piece.map_err(|e| RuntimeError::Setup(e.to_string()))?;
            bytes.extend_from_slice(&piece);
        }
        self.written.lock().unwrap().push((path.into(), bytes));
        Ok(())
    }

    async fn dial(
        &self,
        _key: &InstanceKey,
        port: u16,
    ) -> Result<Box<dyn Connection>, RuntimeError> {
        drop(self.look()?);
        crate::tests_inside::dial(port)
    }

    async fn stats(&self, _key: &InstanceKey) -> Result<InstanceStats, RuntimeError> {
        Ok(InstanceStats::default())
    }

    async fn storage(&self) -> Result<Vec<StorageUse>, RuntimeError> {
        drop(self.look()?);
        Ok(self.storage.lock().unwrap().clone())
    }

    fn events(&self) -> BoxStream<'static, Result<EngineEvent, RuntimeError>> {
        stream::pending().boxed()
    }

    async fn checks(&self) -> Result<Vec<Check>, RuntimeError> {
        Ok(vec![])
    }
}

#[async_trait]
impl ImageEngine for FakeEngine {
    async fn find(&self, _at: &InstanceKey, id: &str) -> Result<Option<LoadedImage>, RuntimeError> {
        drop(self.look()?);
        Ok((id == image('a').id).then(|| image('a')))
    }

    async fn load(
        &self,
        _at: &InstanceKey,
        path: PathBuf,
        _blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        drop(self.look()?);
        assert!(path.exists());
        self.loaded.fetch_add(1, Ordering::SeqCst);
        Ok(image('a'))
    }

    async fn load_data(
        &self,
        _at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        drop(self.look()?);
        assert!(path.exists());
        self.data.lock().unwrap().insert(blob.root.to_hex().to_string());
        Ok(image('d'))
    }

    async fn pull(
        &self,
        _at: &InstanceKey,
        reference: &str,
        _credentials: Option<RegistryCredentials>,
    ) -> Result<LoadedImage, RuntimeError> {
        drop(self.look()?);
        if reference.ends_with("/missing") {
            let (image, problem) = (reference.into(), "nobody has it".into());
            return Err(RuntimeError::Pull { image, problem });
        }
        self.loaded.fetch_add(1, Ordering::SeqCst);
        Ok(image('a'))
    }

    async fn collect(&self, _keep: Vec<String>) -> Result<usize, RuntimeError> {
        Ok(0)
    }
}

/// An overlay that joins nothing.
pub(crate) fn overlay(
    config: &Config,
    chain: Arc<crate::chain::fake::FakeChain>,
) -> Arc<crate::overlay::Overlay> {
    let root = stoa_client::tls::provider_root(&me(), 30).expect("a root");
    let peers = Arc::new(crate::peers::Peers::new(chain, &me(), root.clone()));
    let config = Arc::new(config.clone());
    let overlay = crate::overlay::Overlay::open(config, &me(), root, peers, Arc::default());
    Arc::new(overlay.expect("a state"))
}

/// Secrets of this provider, without others.
pub(crate) fn secrets(
    directory: &std::path::Path,
    root: &stoa_client::tls::Identity,
) -> Arc<crate::secrets::Secrets> {
    let chain = config().chain.id;
    Arc::new(crate::secrets::Secrets::open(directory, &chain, &me(), root, None).expect("secrets"))
}
