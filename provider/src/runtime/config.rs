//! How this provider uses the engine.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::firewall::FirewallChoice;
use super::gpu::GpuNaming;
use super::subnet::{AddressPool, Block};
use super::volumes::{VolumePlace, VolumePlaces};
use super::RuntimeError;

/// The longest provider id (a bech32 address is 43 characters).
pub const MAX_PROVIDER_ID: usize = 128;

/// Settings of the Docker backend. Everything but the provider's id has a
/// default that fits one machine.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// The provider's id (its chain address): scopes names, labels and tags,
    /// for several providers may share one engine.
    pub provider_id: String,
    /// The engine's unix socket.
    pub socket: PathBuf,
    /// Where the workloads' /28 networks come from.
    pub pool: AddressPool,
    /// Which of the engine's runtimes runs workloads; its own default where
    /// none is named.
    pub runtime: Option<String>,
    /// Processes and threads a workload may have.
    pub pids_limit: i64,
    /// Open files a workload's process may have; lowered to this process's
    /// own hard limit.
    pub open_files_limit: i64,
    /// Size of one log file of a container, and how many are kept.
    pub log_file_megabytes: u32,
    pub log_files: u32,
    /// How long a container may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Deadlines of engine calls.
    pub deadlines: Deadlines,
    /// Bounds on image tarballs.
    pub image_limits: ImageLimits,
    /// Where volumes of a class of persistent storage lie.
    pub volume_places: VolumePlaces,
    /// What GPUs are, where their own names do not say it.
    pub gpu_names: Vec<GpuNaming>,
    /// Which program sets the host's rules; `None`: no rules are set, and so
    /// no workload reaches the internet.
    pub firewall: Option<FirewallChoice>,
    /// What workloads may do on the internet.
    pub egress: EgressLimits,
}

/// Bounds on what a workload does on the internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressLimits {
    /// Of one workload, each way, in millions of bits a second; 0: no limit.
    pub megabits: u32,
    /// Of one workload at a time; 0: no limit.
    pub connections: u32,
    /// Networks that workloads do not reach, besides all that are not public.
    pub deny: Vec<Block>,
}

/// Azure's own services for a machine, its metadata among them.
const AZURE_WIRE_SERVER: &str = "168.63.129.16/32";

impl Default for EgressLimits {
    fn default() -> Self {
        let deny = AZURE_WIRE_SERVER.parse().into_iter().collect();
        Self { megabits: 1000, connections: 8192, deny }
    }
}

/// How long the engine may take, by kind of call.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Inspections and lists.
    pub query: Duration,
    /// Creating, starting and removing.
    pub change: Duration,
    /// Loading and pulling an image.
    pub image: Duration,
    /// Measuring disk use, which walks the volumes.
    pub measure: Duration,
}

/// Bounds on an image tarball; see [`super::archive`].
#[derive(Debug, Clone, Copy)]
pub struct ImageLimits {
    /// Bytes of the tarball.
    pub archive_bytes: u64,
    /// Bytes of all layers once unpacked.
    pub unpacked_bytes: u64,
    /// Entries of the tarball.
    pub entries: usize,
    /// Layers of the image.
    pub layers: usize,
    /// Bytes of one JSON document in it.
    pub document_bytes: u64,
}

const GIBIBYTE: u64 = 1 << 30;

impl Default for ImageLimits {
    fn default() -> Self {
        Self {
            archive_bytes: 16 * GIBIBYTE,
            unpacked_bytes: 32 * GIBIBYTE,
            entries: 4096,
            layers: 127,
            document_bytes: 4 << 20,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            query: Duration::from_secs(20),
            change: Duration::from_secs(60),
            image: Duration::from_secs(1800),
            measure: Duration::from_secs(120),
        }
    }
}

impl RuntimeConfig {
    /// The defaults for one provider.
    pub fn new(provider_id: impl Into<String>) -> Self {
        Self {
            provider_id: provider_id.into(),
            socket: PathBuf::from("/var/run/docker.sock"),
            pool: AddressPool::default(),
            runtime: None,
            pids_limit: 1024,
            open_files_limit: 65_536,
            log_file_megabytes: 10,
            log_files: 3,
            stop_grace: Duration::from_secs(10),
            deadlines: Deadlines::default(),
            image_limits: ImageLimits::default(),
            volume_places: VolumePlaces::new(),
            gpu_names: vec![],
            firewall: Some(FirewallChoice::Auto),
            egress: EgressLimits::default(),
        }
    }

    /// Refuses settings that could not work.
    pub(crate) fn validate(&self) -> Result<(), RuntimeError> {
        let id = &self.provider_id;
        if id.is_empty() || id.len() > MAX_PROVIDER_ID || !id.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(RuntimeError::Setup(format!(
                "provider id {id:?} must be 1 to {MAX_PROVIDER_ID} printable characters"
            )));
        }
        if self.pids_limit < 16 || self.open_files_limit < 64 {
            return Err(RuntimeError::Setup(
                "pids_limit must be at least 16 and open_files_limit at least 64".into(),
            ));
        }
        if self.log_file_megabytes == 0 || self.log_files == 0 {
            return Err(RuntimeError::Setup("log rotation needs at least 1 file of 1 MB".into()));
        }
        for (class, place) in &self.volume_places {
            let VolumePlace::Directory { directory } = place else { continue };
            if !directory.is_absolute() {
                return Err(RuntimeError::Setup(format!(
                    "volumes of the class {class}: {} is no absolute path",
                    directory.display()
                )));
            }
        }
        Ok(())
    }
}
