//! Runs workloads. [`Backend`] is the boundary: inventory, apply and remove,
//! observe. [`DockerBackend`] does it with one Docker engine.
//!
//! What holds everywhere here:
//! - The engine is the only memory: names follow from what an object is for,
//!   labels carry the full ids, and nothing is written to disk.
//! - Every call can be repeated, and continued after a death between any two
//!   steps.
//! - [`RuntimeError::Unknown`] ("cannot observe") is never taken for
//!   "absent".
//! - Objects are scoped by provider id; others' are never touched.

mod apply;
mod archive;
mod bundle;
mod checks;
mod config;
mod container;
mod data;
mod disk;
mod egress;
mod engine;
mod error;
pub mod firewall;
mod gpu;
pub mod image;
mod inside;
mod inventory;
pub mod names;
mod network;
mod observe;
mod pause;
mod place;
mod probe;
mod remove;
mod secret_env;
mod spec;
mod storage;
mod streams;
mod subnet;
mod turns;
mod volumes;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use apply::Applied;
pub use checks::{Check, Verdict};
pub use config::{Deadlines, EgressLimits, ImageLimits, RuntimeConfig};
pub use container::WORKLOAD_CAPABILITIES;
pub use error::RuntimeError;
pub use firewall::{Firewall, FirewallChoice};
pub use gpu::{GpuDevice, GpuNaming};
pub use image::{ImageBlob, LoadedImage, RegistryCredentials};
pub use inside::{
    Connection, ExecInput, ExecOutput, ExecRequest, ExecSession, DIAL_DEADLINE, MAX_PATH,
};
pub use inventory::Inventory;
pub use names::{InstanceKey, InstanceNames, Names};
pub use observe::{
    ContainerState, Health, Observation, ObservedContainer, ObservedInstance, ObservedNetwork,
};
pub use place::{Machine, Need, Place, Placed};
pub use secret_env::SecretVariable;
pub use spec::{
    GpuModel, GpuRequest, ImageRef, Limits, NetworkSpec, PortSpec, Protocol, VolumeClass,
    VolumeSpec, WorkloadSpec,
};
pub use storage::StorageUse;
pub use streams::{EngineEvent, InstanceStats, LogPiece, LogRequest};
pub use subnet::{AddressPool, Block};
pub use volumes::{VolumePlace, VolumePlaces};

use container::HostFacts;
use probe::Prober;

/// What a provider needs of the place where workloads run.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What the machine has.
    async fn inventory(&self) -> Result<Inventory, RuntimeError>;

    /// Each machine by itself. What runs on one machine has one.
    async fn machines(&self) -> Result<Vec<Machine>, RuntimeError> {
        Ok(vec![Machine::alone(self.inventory().await?)])
    }

    /// Gives each of a lease's instances a machine, where it has none; to be
    /// called before its images are loaded and it is applied.
    async fn place(&self, _needs: &[Need]) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Makes an instance run as its spec says; does nothing where it does.
    /// An instance of another spec is stopped and replaced.
    async fn apply(&self, spec: &WorkloadSpec) -> Result<Applied, RuntimeError>;

    /// Stops an instance without removing it; nothing restarts it but
    /// [`Backend::apply`].
    async fn stop(&self, key: &InstanceKey) -> Result<(), RuntimeError>;

    /// Stops and starts an instance's workload.
    async fn restart(&self, key: &InstanceKey) -> Result<(), RuntimeError>;

    /// Removes an instance; its lease's persistent volumes stay.
    async fn remove_instance(&self, key: &InstanceKey) -> Result<(), RuntimeError>;

    /// Removes all of a lease: containers, networks, volumes. Only for a
    /// lease that the chain positively says is closed.
    async fn remove_lease(&self, lease: &str) -> Result<(), RuntimeError>;

    /// Everything of this provider's.
    async fn observe(&self) -> Result<Observation, RuntimeError>;

    /// One instance, more cheaply than all.
    async fn observe_instance(&self, key: &InstanceKey) -> Result<ObservedInstance, RuntimeError>;

    /// A workload's output.
    fn logs(
        &self,
        key: &InstanceKey,
        request: LogRequest,
    ) -> BoxStream<'static, Result<LogPiece, RuntimeError>>;

    /// Begins a command in a running instance.
    async fn exec(
        &self,
        key: &InstanceKey,
        request: ExecRequest,
    ) -> Result<ExecSession, RuntimeError>;

    /// A file or directory of an instance, as a tar stream.
    fn read_files(
        &self,
        key: &InstanceKey,
        path: &str,
    ) -> BoxStream<'static, Result<Bytes, RuntimeError>>;

    /// Unpacks a tar stream into a directory of an instance.
    async fn write_files(
        &self,
        key: &InstanceKey,
        path: &str,
        tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<(), RuntimeError>;

    /// Connects to a TCP port of an instance.
    async fn dial(&self, key: &InstanceKey, port: u16)
        -> Result<Box<dyn Connection>, RuntimeError>;

    /// What a running instance uses.
    async fn stats(&self, key: &InstanceKey) -> Result<InstanceStats, RuntimeError>;

    /// What all instances have written against their limits: ephemeral
    /// storage and persistent volumes.
    async fn storage(&self) -> Result<Vec<StorageUse>, RuntimeError>;

    /// Hints that something changed.
    fn events(&self) -> BoxStream<'static, Result<EngineEvent, RuntimeError>>;

    /// Whether the machine is fit, in the operator's words.
    async fn checks(&self) -> Result<Vec<Check>, RuntimeError>;
}

/// One Docker engine on this machine.
pub struct DockerBackend {
    docker: bollard::Docker,
    config: RuntimeConfig,
    names: Names,
    engine_major: u64,
    host: HostFacts,
    /// Made when the first port is dialled.
    dialer: std::sync::OnceLock<stoa_tunnel::netns::Dialer>,
    /// Held from the choice of a GPU until its container is there.
    choosing_gpus: tokio::sync::Mutex<()>,
    prober: Prober,
    firewall: Firewall,
    /// Held while rules are looked at, with what was found last.
    walls: tokio::sync::Mutex<Option<egress::Walls>>,
    /// Instances whose volumes are being filled.
    turns: turns::Turns,
}

impl DockerBackend {
    /// Connects to the engine and learns its version. Works on Engine 20.10
    /// (API 1.41) and on current ones.
    pub async fn connect(mut config: RuntimeConfig) -> Result<Self, RuntimeError> {
        config.validate()?;
        config.open_files_limit = config.open_files_limit.min(own_open_files_limit());
        let docker = engine::connect(&config.socket, config.deadlines.query).await?;
        let names = Names::new(&config.provider_id);
        let host = HostFacts { cores: 1, storage_quota: false };
        let firewall = Firewall::new(&config);
        let mut backend = Self {
            docker,
            config,
            names,
            engine_major: 0,
            host,
            dialer: std::sync::OnceLock::new(),
            choosing_gpus: tokio::sync::Mutex::default(),
            prober: Prober::start(),
            firewall,
            walls: tokio::sync::Mutex::default(),
            turns: turns::Turns::default(),
        };
        let inventory = backend.read_inventory().await?;
        backend.engine_major =
            inventory.engine_version.split('.').next().and_then(|v| v.parse().ok()).unwrap_or(0);
        backend.host = HostFacts {
            cores: (inventory.cpu_millis / 1000).max(1),
            storage_quota: inventory.storage_quota,
        };
        Ok(backend)
    }

    /// This provider's names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Removes everything of this provider's from the engine: containers,
    /// networks, volumes, image names. For a provider that is given up, and
    /// for tests.
    pub async fn purge(&self) -> Result<(), RuntimeError> {
        self.remove_labelled(&self.provider_filter(), &self.names.own_prefix()).await?;
        self.remove_all_images().await?;
        match self.config.firewall {
            Some(_) => self.firewall.remove().await.map_err(RuntimeError::Setup),
            None => Ok(()),
        }
    }

    /// See [`DockerBackend::remove_unused_images`]; takes any ids.
    pub async fn collect_images<'a>(
        &self,
        keep: impl IntoIterator<Item = &'a str>,
    ) -> Result<usize, RuntimeError> {
        let keep: BTreeSet<String> = keep.into_iter().map(String::from).collect();
        self.remove_unused_images(&keep).await
    }

    async fn bounded<T>(
        &self,
        during: impl Into<String>,
        deadline: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, RuntimeError> {
        engine::bounded(during, deadline, call).await
    }
}

/// This process's hard limit. An engine that runs under the same one and may
/// not raise it (in a container or a confined machine) refuses to start a
/// workload with more.
fn own_open_files_limit() -> i64 {
    use nix::sys::resource::{getrlimit, Resource};
    let hard = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    i64::try_from(hard).unwrap_or(i64::MAX)
}

#[async_trait]
impl Backend for DockerBackend {
    async fn inventory(&self) -> Result<Inventory, RuntimeError> {
        self.read_inventory().await
    }

    async fn apply(&self, spec: &WorkloadSpec) -> Result<Applied, RuntimeError> {
        self.apply_instance(spec).await
    }

    async fn stop(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        self.stop_container(&self.names.instance(key).workload).await
    }

    async fn restart(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let name = self.names.instance(key).workload;
        self.stop_container(&name).await?;
        self.start_container(&name).await
    }

    async fn remove_instance(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        self.remove_one(key).await
    }

    async fn remove_lease(&self, lease: &str) -> Result<(), RuntimeError> {
        let filter = self.label_filter(&[(names::label::LEASE, lease)]);
        self.remove_labelled(&filter, &self.names.lease_prefix(lease)).await
    }

    async fn observe(&self) -> Result<Observation, RuntimeError> {
        self.observe_all().await
    }

    async fn observe_instance(&self, key: &InstanceKey) -> Result<ObservedInstance, RuntimeError> {
        self.observe_one(key).await
    }

    fn logs(
        &self,
        key: &InstanceKey,
        request: LogRequest,
    ) -> BoxStream<'static, Result<LogPiece, RuntimeError>> {
        self.stream_logs(key, request)
    }

    async fn exec(
        &self,
        key: &InstanceKey,
        request: ExecRequest,
    ) -> Result<ExecSession, RuntimeError> {
        self.exec_in(key, request).await
    }

    fn read_files(
        &self,
        key: &InstanceKey,
        path: &str,
    ) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        DockerBackend::read_files(self, key, path)
    }

    async fn write_files(
        &self,
        key: &InstanceKey,
        path: &str,
        tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<(), RuntimeError> {
        DockerBackend::write_files(self, key, path, tar).await
    }

    async fn dial(
        &self,
        key: &InstanceKey,
        port: u16,
    ) -> Result<Box<dyn Connection>, RuntimeError> {
        self.dial_port(key, port).await
    }

    async fn stats(&self, key: &InstanceKey) -> Result<InstanceStats, RuntimeError> {
        self.read_stats(key).await
    }

    async fn storage(&self) -> Result<Vec<StorageUse>, RuntimeError> {
        self.measure_storage().await
    }

    fn events(&self) -> BoxStream<'static, Result<EngineEvent, RuntimeError>> {
        self.stream_events()
    }

    async fn checks(&self) -> Result<Vec<Check>, RuntimeError> {
        self.run_checks().await
    }
}
