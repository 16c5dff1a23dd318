//! What is to run: plain data, nothing of the chain and nothing of the
//! engine in it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::spec_error;
use super::names::InstanceKey;
use super::secret_env::SecretVariable;
use super::RuntimeError;

/// Bounds on a spec, so that no manifest can make an absurd engine call.
pub const MAX_SERVICE_NAME: usize = 63;
pub const MAX_LEASE_ID: usize = 256;
pub const MAX_VOLUMES: usize = 16;
pub const MAX_PORTS: usize = 64;
pub const MAX_STRINGS_BYTES: usize = 1 << 20;
pub const MAX_GPUS: u32 = 100;

/// Less memory than this cannot hold the runtime's own start of a container.
const LEAST_MEMORY_BYTES: u64 = 16 << 20;
/// The engine takes from a hundredth of a core.
pub(super) const LEAST_CPU_MILLIS: u64 = 10;
/// 1,024 shares are one core's weight.
const SHARES_PER_CORE: u64 = 1024;
const LEAST_SHARES: u64 = 2;
const MOST_SHARES: u64 = 262_144;

/// One instance of a service, as the manifest wants it. `Debug` shows
/// neither its environment nor its arguments: tenants keep secrets there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadSpec {
    pub key: InstanceKey,
    pub image: ImageRef,
    /// Replaces the image's entrypoint, and its arguments with it, unless
    /// empty.
    pub command: Vec<String>,
    /// Replaces the image's arguments unless empty.
    pub args: Vec<String>,
    /// `KEY=VALUE`, or `KEY` for an empty value.
    pub env: Vec<String>,
    /// Variables beside those, whose values nobody is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretVariable>,
    /// Thousandths of a core.
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    /// The writable layer and the ephemeral volumes together.
    pub ephemeral_bytes: u64,
    pub volumes: Vec<VolumeSpec>,
    /// The ports that the workload listens on; none is published.
    pub ports: Vec<PortSpec>,
    /// Mounts the image read-only. Only the image's author can know that it
    /// bears that, so it is opt-in: see
    /// [`super::image::READ_ONLY_ROOT_LABEL`].
    pub read_only_root: bool,
    /// The GPUs that were leased with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
    /// What it may reach.
    #[serde(default)]
    pub network: NetworkSpec,
    /// The manifest's version, hex. Not part of the spec's hash.
    pub manifest_version: String,
    /// Counts the daemon's attempts at this instance; not part of the hash.
    pub generation: u64,
}

/// An image that is already at the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// The engine's id, `sha256:` and 64 hex digits. Never a tag: a tag can
    /// come to mean another image.
    pub id: String,
    /// What the manifest calls it, for people and for adoption.
    pub source: String,
}

/// A volume and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    pub name: String,
    pub bytes: u64,
    pub class: VolumeClass,
    /// Which class of persistent storage was sold: it says where the volume
    /// lies. Empty is the engine's own directory, as is a class without a
    /// place in the settings. Not part of the spec's hash: a volume stays
    /// where it was made.
    #[serde(default)]
    pub storage_class: String,
    /// Absolute path in the container.
    pub mount: String,
    pub read_only: bool,
    /// What is in it at first: BLAKE3 root of an archive, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// What a workload reaches beside itself. Names need nothing of its container:
/// they are looked up at its link's address, whatever is answered there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// The public internet.
    pub egress: bool,
}

/// How long a volume lives, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeClass {
    /// Goes with the container.
    Ephemeral,
    /// In memory; counts against the instance's memory.
    Ram,
    /// Outlives updates and restarts; goes with the lease.
    Persistent,
}

/// GPUs of one vendor, of any of some models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuRequest {
    pub units: u32,
    pub vendor: String,
    /// Acceptable ones; none: any.
    pub models: Vec<GpuModel>,
}

/// A model of GPU in the market's words; empty is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuModel {
    /// Such as `a100`; `*` is any.
    pub model: String,
    /// Such as `80Gi`.
    pub memory: String,
    /// `pcie` or `sxm`.
    pub interface: String,
}

/// What may change while a container runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub memory_bytes: u64,
    /// The weight that stands for its cpu: unlike the quota it does not
    /// depend on how many cores a machine has.
    pub cpu_shares: u64,
}

/// A port that a workload listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    pub port: u16,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl std::fmt::Debug for WorkloadSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkloadSpec")
            .field("key", &self.key)
            .field("image", &self.image)
            .field("hash", &self.hash())
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl WorkloadSpec {
    /// Hash of the whole: 32 hex digits. The manifest's version and the
    /// generation are not in it, so an update restarts only the services that
    /// it touches.
    pub fn hash(&self) -> String {
        let mut form = CanonicalForm::new("stoa/workload/1");
        self.write_form(&mut form, true);
        form.finish()
    }

    /// Hash of all that needs a new container when it changes: the whole but
    /// its [`Limits`].
    pub fn shape(&self) -> String {
        let mut form = CanonicalForm::new("stoa/shape/1");
        self.write_form(&mut form, false);
        form.finish()
    }

    fn write_form(&self, form: &mut CanonicalForm, limits: bool) {
        form.text(&self.key.lease).text(&self.key.service).number(u64::from(self.key.index));
        form.text(&self.image.id).list(&self.command).list(&self.args).list(&self.env);
        for secret in &self.secrets {
            form.text("secret").text(&secret.name).text(&secret.tag);
        }
        if limits {
            form.number(self.cpu_millis).number(self.memory_bytes);
        }
        form.number(self.ephemeral_bytes);
        form.number(self.volumes.len() as u64);
        for volume in &self.volumes {
            form.text(&volume.name).number(volume.bytes).number(volume.class as u64);
            form.text(&volume.mount).number(u64::from(volume.read_only));
            if let Some(data) = &volume.data {
                form.text("data").text(data);
            }
        }
        form.number(self.ports.len() as u64);
        for port in &self.ports {
            form.number(u64::from(port.port)).text(port.protocol.as_str());
        }
        form.number(u64::from(self.read_only_root));
        if let Some(gpu) = &self.gpu {
            form.number(u64::from(gpu.units)).text(&gpu.vendor).number(gpu.models.len() as u64);
            for model in &gpu.models {
                form.text(&model.model).text(&model.memory).text(&model.interface);
            }
        }
        if self.network.egress {
            form.text("egress");
        }
    }

    /// Volumes that hold something at first.
    pub fn has_data(&self) -> bool {
        self.volumes.iter().any(|volume| volume.data.is_some())
    }

    /// What a running container of it may use.
    pub fn limits(&self) -> Limits {
        let millis = self.cpu_millis.max(LEAST_CPU_MILLIS);
        let shares = millis.saturating_mul(SHARES_PER_CORE) / 1000;
        Limits {
            memory_bytes: self.memory_bytes.max(LEAST_MEMORY_BYTES),
            cpu_shares: shares.clamp(LEAST_SHARES, MOST_SHARES),
        }
    }

    /// The port by which it is seen whether it serves: its first TCP one.
    pub fn probe_port(&self) -> Option<u16> {
        self.ports.iter().find(|port| port.protocol == Protocol::Tcp).map(|port| port.port)
    }

    /// Refuses what the engine would refuse later, in clearer words.
    pub fn validate(&self) -> Result<(), RuntimeError> {
        let refuse = |problem: String| Err(spec_error(&self.key, problem));
        if !is_service_name(&self.key.service) {
            return refuse(format!(
                "a service's name is 1 to {MAX_SERVICE_NAME} of a-z, 0-9 and - and begins with a letter"
            ));
        }
        if self.key.lease.is_empty() || self.key.lease.len() > MAX_LEASE_ID {
            return refuse(format!("a lease id has 1 to {MAX_LEASE_ID} characters"));
        }
        if !is_image_id(&self.image.id) {
            return refuse(format!(
                "the image must be an engine's image id (sha256:…), not {:?}",
                self.image.id
            ));
        }
        if self.cpu_millis == 0 || self.memory_bytes == 0 {
            return refuse("cpu and memory must be more than 0".into());
        }
        if [self.memory_bytes, self.ephemeral_bytes].iter().any(|bytes| *bytes > i64::MAX as u64) {
            return refuse("memory or storage is beyond what an engine can count".into());
        }
        self.validate_strings().and_then(|()| self.validate_lists())
    }

    fn validate_strings(&self) -> Result<(), RuntimeError> {
        let strings = || self.command.iter().chain(&self.args).chain(&self.env);
        let secrets = || self.secrets.iter();
        if strings().any(|text| text.contains('\0')) || secrets().any(|s| s.has_nul()) {
            return Err(spec_error(&self.key, "command, args and env may hold no NUL character"));
        }
        let bytes = strings().map(String::len).chain(secrets().map(|s| s.len())).sum::<usize>();
        if bytes > MAX_STRINGS_BYTES {
            let problem = format!("command, args and env exceed {MAX_STRINGS_BYTES} bytes");
            return Err(spec_error(&self.key, problem));
        }
        if self.env.iter().any(|pair| pair.is_empty() || pair.starts_with('=')) {
            return Err(spec_error(&self.key, "env is KEY=VALUE or KEY, and KEY is not empty"));
        }
        Ok(())
    }

    fn validate_lists(&self) -> Result<(), RuntimeError> {
        if self.volumes.len() > MAX_VOLUMES || self.ports.len() > MAX_PORTS {
            let problem = format!("at most {MAX_VOLUMES} volumes and {MAX_PORTS} ports");
            return Err(spec_error(&self.key, problem));
        }
        if self.gpu.as_ref().is_some_and(|gpu| gpu.units == 0 || gpu.units > MAX_GPUS) {
            return Err(spec_error(&self.key, format!("GPUs are 1 to {MAX_GPUS}, or none")));
        }
        if self.ports.iter().any(|port| port.port == 0) {
            return Err(spec_error(&self.key, "a port is 1 to 65535"));
        }
        let mut mounts = std::collections::BTreeSet::new();
        for volume in &self.volumes {
            volume.validate().map_err(|problem| spec_error(&self.key, problem))?;
            if !mounts.insert(volume.mount.trim_end_matches('/')) {
                let problem = format!("two volumes are mounted at {}", volume.mount);
                return Err(spec_error(&self.key, problem));
            }
        }
        Ok(())
    }
}

impl VolumeSpec {
    fn validate(&self) -> Result<(), String> {
        let clean = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let name = &self.name;
        if name.is_empty() || name.len() > 63 || !name.chars().all(clean) {
            return Err(format!("volume {name:?}: a name is 1 to 63 of A-Z, a-z, 0-9, _ . -"));
        }
        let mount = &self.mount;
        let inside = mount.starts_with('/') && !mount.split('/').any(|part| part == "..");
        if !inside || mount.trim_end_matches('/').is_empty() || mount.contains(['\0', ':']) {
            return Err(format!(
                "volume {name}: {mount:?} must be an absolute path below / without .. and ':'"
            ));
        }
        if self.bytes == 0 || self.bytes > i64::MAX as u64 {
            return Err(format!("volume {name}: its size must be at least one byte"));
        }
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if self.data.as_ref().is_some_and(|root| root.len() != 64 || !root.bytes().all(hex)) {
            return Err(format!("volume {name}: its data must be a BLAKE3 root of 64 hex digits"));
        }
        if self.data.is_some() && self.class == VolumeClass::Ram {
            return Err(format!("volume {name}: one in memory is empty at each start"));
        }
        Ok(())
    }
}

/// `^[a-z]([-a-z0-9]*[a-z0-9])?$`, as in the manifest's grammar.
fn is_service_name(name: &str) -> bool {
    name.len() <= MAX_SERVICE_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_image_id(id: &str) -> bool {
    id.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Length-prefixed fields into SHA-256: two different values never have one
/// form.
pub(crate) struct CanonicalForm(Sha256);

impl CanonicalForm {
    pub(crate) fn new(domain: &str) -> Self {
        let mut form = Self(Sha256::new());
        form.text(domain);
        form
    }

    pub(crate) fn number(&mut self, value: u64) -> &mut Self {
        self.0.update(value.to_be_bytes());
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.number(value.len() as u64);
        self.0.update(value.as_bytes());
        self
    }

    pub(crate) fn list(&mut self, values: &[String]) -> &mut Self {
        self.number(values.len() as u64);
        for value in values {
            self.text(value);
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        let mut text = hex::encode(self.0.finalize());
        text.truncate(32);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> WorkloadSpec {
        WorkloadSpec {
            key: InstanceKey { lease: "t/1/1/1/p".into(), service: "web".into(), index: 0 },
            image: ImageRef { id: format!("sha256:{}", "a".repeat(64)), source: "nginx".into() },
            command: vec![],
            args: vec!["a".into(), "b".into()],
            env: vec!["A=1".into()],
            secrets: vec![],
            cpu_millis: 100,
            memory_bytes: 1 << 26,
            ephemeral_bytes: 1 << 30,
            volumes: vec![VolumeSpec {
                name: "data".into(),
                bytes: 1 << 30,
                class: VolumeClass::Persistent,
                storage_class: "default".into(),
                mount: "/data".into(),
                read_only: false,
                data: None,
            }],
            ports: vec![PortSpec { port: 80, protocol: Protocol::Tcp }],
            read_only_root: false,
            gpu: None,
            network: NetworkSpec::default(),
            manifest_version: "00".into(),
            generation: 1,
        }
    }

    #[test]
    fn the_hash_changes_with_what_needs_a_new_container_only() {
        let base = spec();
        // Golden: a change here would restart every running workload.
        assert_eq!(base.hash(), "f3975f47a744960dedb671f834b87b05");
        let mut same = base.clone();
        same.generation = 9;
        same.manifest_version = "ff".into();
        assert_eq!(same.hash(), base.hash());
        same.volumes[0].storage_class = "beta3".into();
        assert_eq!(same.hash(), base.hash());
        let changes: [fn(&mut WorkloadSpec); 10] = [
            |s| s.network.egress = true,
            |s| s.gpu = Some(GpuRequest { units: 1, vendor: "nvidia".into(), models: vec![] }),
            |s| s.args = vec!["ab".into()],
            |s| s.command = vec!["a".into()],
            |s| s.env.clear(),
            |s| s.memory_bytes += 1,
            |s| s.volumes[0].read_only = true,
            |s| s.volumes[0].data = Some("a".repeat(64)),
            |s| s.volumes[0].class = VolumeClass::Ram,
            |s| s.ports[0].protocol = Protocol::Udp,
        ];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            assert_ne!(other.hash(), base.hash(), "{other:?}");
        }
    }

    #[test]
    fn cpu_and_memory_are_no_part_of_the_shape() {
        let base = spec();
        // Golden: a change here would replace containers that could be resized.
        assert_eq!(base.shape(), "c31b10a6750afe68efe435868d7b1ce0");
        let mut grown = base.clone();
        (grown.cpu_millis, grown.memory_bytes) = (101, 1 << 27);
        assert_eq!(grown.shape(), base.shape());
        assert_ne!(grown.hash(), base.hash());
        assert_ne!(grown.limits(), base.limits());
        grown.cpu_millis = 100;
        assert_eq!(grown.limits().cpu_shares, base.limits().cpu_shares);
        grown.env.clear();
        assert_ne!(grown.shape(), base.shape());
    }

    #[test]
    fn refuses_specs_that_would_reach_out() {
        type Change = fn(&mut WorkloadSpec);
        let changes: [(Change, &str); 10] = [
            (|s| s.key.service = "../x".into(), "service's name"),
            (|s| s.image.id = "nginx:latest".into(), "image id"),
            (|s| s.volumes[0].mount = "/data/../../etc".into(), "absolute path"),
            (|s| s.volumes[0].mount = "/".into(), "absolute path"),
            (|s| s.volumes[0].name = "a/b".into(), "a name is"),
            (|s| s.env.push("=x".into()), "KEY is not empty"),
            (|s| s.volumes[0].data = Some("../x".into()), "BLAKE3 root"),
            (
                |s| {
                    s.volumes[0].data = Some("a".repeat(64));
                    s.volumes[0].class = VolumeClass::Ram;
                },
                "empty at each start",
            ),
            (|s| s.cpu_millis = 0, "more than 0"),
            (|s| s.volumes.push(s.volumes[0].clone()), "two volumes"),
        ];
        for (change, word) in changes {
            let mut bad = spec();
            change(&mut bad);
            let error = bad.validate().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        spec().validate().unwrap();
    }
}
