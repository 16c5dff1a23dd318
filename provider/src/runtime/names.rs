//! Deterministic names and labels: what an object is called follows from
//! what it is for, so that no state file is needed to find it again.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which workload: one instance of one service of one lease.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    /// The lease's id as text, as the chain prints it.
    pub lease: String,
    /// The service's name in the manifest.
    pub service: String,
    /// Which replica, from 0.
    pub index: u32,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}[{}]", self.lease, self.service, self.index)
    }
}

/// Labels on every object; the values are the full ids that names abbreviate.
pub mod label {
    pub const PROVIDER: &str = "stoa.provider";
    pub const LEASE: &str = "stoa.lease";
    pub const SERVICE: &str = "stoa.service";
    pub const INSTANCE: &str = "stoa.instance";
    /// The manifest's version when the object was made. It may be older than
    /// the deployment's: an update that leaves a service alone leaves its
    /// containers alone.
    pub const MANIFEST: &str = "stoa.manifest";
    /// Hash of everything that needs a new container when it changes.
    pub const SPEC: &str = "stoa.spec";
    pub const GENERATION: &str = "stoa.generation";
    /// What the object is: see [`super::Role`].
    pub const ROLE: &str = "stoa.role";
    /// The image as the manifest names it (the container itself has its id).
    pub const IMAGE: &str = "stoa.image";
    /// Bytes of ephemeral storage that the instance may use.
    pub const EPHEMERAL: &str = "stoa.ephemeral";
    /// The instance's persistent volumes and the bytes that each may hold:
    /// `data=1073741824,logs=1048576`.
    pub const VOLUME_LIMITS: &str = "stoa.volume-limits";
    /// Hash of all that needs a new container when it changes; what else
    /// [`SPEC`] covers can change while it runs.
    pub const SHAPE: &str = "stoa.shape";
    /// The port that is dialled to see whether the workload serves.
    pub const PROBE: &str = "stoa.probe";
    /// The GPUs that the container has, by id, separated by commas.
    pub const GPUS: &str = "stoa.gpus";
    /// The class of persistent storage that a volume was sold as.
    pub const CLASS: &str = "stoa.class";
    /// The volume's name in the manifest.
    pub const VOLUME: &str = "stoa.volume";
    /// What a volume is given to hold at first: BLAKE3 root of an archive.
    pub const DATA: &str = "stoa.data";
    /// On a volume that has a name and goes with its container all the same.
    pub const PASSING: &str = "stoa.passing";
}

/// What a labelled object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Workload,
    Link,
    Network,
    /// The network that leads to the internet.
    Egress,
    Volume,
    /// A volume that holds nothing: where it is, another has been filled.
    Filled,
    /// A container that never runs, by which a volume is filled.
    Filler,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Link => "link",
            Self::Network => "network",
            Self::Egress => "egress",
            Self::Volume => "volume",
            Self::Filled => "filled",
            Self::Filler => "filler",
        }
    }
}

/// The names of one instance's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceNames {
    pub workload: String,
    pub link: String,
    pub network: String,
    /// The bridge's interface on the host: `st` and 12 hex digits, since the
    /// kernel allows 15 characters.
    pub bridge: String,
    /// The network that leads to the internet.
    pub egress: String,
    /// Its bridge's interface: [`Names::egress_bridges`] and 9 hex digits.
    pub egress_bridge: String,
    /// The container through which its volumes are filled, and the one from
    /// which.
    pub filler: String,
    pub source: String,
}

/// What the names of the workloads' own bridges begin with.
pub const BRIDGE_PREFIX: &str = "st";
/// What the names of the bridges to the internet begin with.
const EGRESS_PREFIX: &str = "se";

/// Makes the names of one provider's objects.
#[derive(Debug, Clone)]
pub struct Names {
    provider_id: String,
    provider_short: String,
}

impl Names {
    pub fn new(provider_id: &str) -> Self {
        Self { provider_id: provider_id.into(), provider_short: short_hash(&[provider_id], 8) }
    }

    /// The first 8 hex digits of the hash of the provider's id.
    pub fn provider_short(&self) -> &str {
        &self.provider_short
    }

    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }

    pub fn instance(&self, key: &InstanceKey) -> InstanceNames {
        let lease = short_hash(&[&key.lease], 12);
        let base = format!("st-{}-{}-{}-{}", self.provider_short, lease, key.service, key.index);
        let index = key.index.to_string();
        let bridge = short_hash(&[&self.provider_id, &key.lease, &key.service, &index], 12);
        let egress = short_hash(&["egress", &key.lease, &key.service, &index], 9);
        InstanceNames {
            link: format!("{base}-link"),
            network: format!("{base}-net"),
            bridge: format!("{BRIDGE_PREFIX}{bridge}"),
            egress: format!("{base}-out"),
            egress_bridge: format!("{}{egress}", self.egress_bridges()),
            filler: format!("{base}-fill"),
            source: format!("{base}-from"),
            workload: base,
        }
    }

    /// What the names of this provider's bridges to the internet begin with,
    /// so that a rule of the firewall can name them all: `se` and 4 hex digits
    /// of the provider's.
    pub fn egress_bridges(&self) -> String {
        format!("{EGRESS_PREFIX}{}", self.provider_short.get(..4).unwrap_or_default())
    }

    /// A persistent volume's name: it belongs to the instance, since two
    /// replicas that write one file system are nobody's wish.
    pub fn volume(&self, key: &InstanceKey, volume: &str) -> String {
        format!("{}-vol-{volume}", self.instance(key).workload)
    }

    /// The volume that says that a persistent one has been filled.
    pub fn filled(&self, key: &InstanceKey, volume: &str) -> String {
        format!("{}-filled-{volume}", self.instance(key).workload)
    }

    /// A volume that goes with its container and was filled before that was
    /// made.
    pub fn passing_volume(&self, key: &InstanceKey, volume: &str) -> String {
        format!("{}{volume}", self.passing_prefix(key))
    }

    /// What the names of those of an instance begin with.
    pub fn passing_prefix(&self, key: &InstanceKey) -> String {
        format!("{}-with-", self.instance(key).workload)
    }

    /// What the names of all objects of a lease begin with.
    pub fn lease_prefix(&self, lease: &str) -> String {
        format!("st-{}-{}-", self.provider_short, short_hash(&[lease], 12))
    }

    /// What the names of all objects of this provider begin with.
    pub fn own_prefix(&self) -> String {
        format!("st-{}-", self.provider_short)
    }

    /// The provider's own name of an image that came as a blob. The host
    /// part is a reserved one that no registry can have (RFC 6761).
    pub fn blob_tag(&self, blake3_hex: &str) -> String {
        format!("{IMAGE_HOST}/{}/blob:{blake3_hex}", self.provider_short)
    }

    /// The provider's own name of the image that an archive for volumes was
    /// made into.
    pub fn data_tag(&self, blake3_hex: &str) -> String {
        format!("{IMAGE_HOST}/{}/data:{blake3_hex}", self.provider_short)
    }

    /// The provider's own name of an image that came from a registry.
    pub fn pulled_tag(&self, image_id: &str) -> String {
        let hex = image_id.strip_prefix("sha256:").unwrap_or(image_id);
        format!("{IMAGE_HOST}/{}/pulled:{hex}", self.provider_short)
    }

    /// The link containers' image.
    pub fn link_tag(&self) -> String {
        format!("{IMAGE_HOST}/{}/link:1", self.provider_short)
    }

    /// What all image names of this provider begin with.
    pub fn image_prefix(&self) -> String {
        format!("{IMAGE_HOST}/{}/", self.provider_short)
    }

    /// The labels that every object of an instance carries.
    pub fn labels(&self, key: &InstanceKey, role: Role) -> HashMap<String, String> {
        [
            (label::PROVIDER, self.provider_id.clone()),
            (label::LEASE, key.lease.clone()),
            (label::SERVICE, key.service.clone()),
            (label::INSTANCE, key.index.to_string()),
            (label::ROLE, role.as_str().into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect()
    }
}

/// The registry host of the provider's own image names.
pub const IMAGE_HOST: &str = "stoa.invalid";

/// Reads an instance's key back from labels; `None` where one is missing.
pub fn key_of(labels: &HashMap<String, String>) -> Option<InstanceKey> {
    Some(InstanceKey {
        lease: labels.get(label::LEASE)?.clone(),
        service: labels.get(label::SERVICE)?.clone(),
        index: labels.get(label::INSTANCE)?.parse().ok()?,
    })
}

/// The first `digits` hex digits of a SHA-256 over length-prefixed parts.
fn short_hash(parts: &[&str], digits: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = hex::encode(hasher.finalize());
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(lease: &str, service: &str, index: u32) -> InstanceKey {
        InstanceKey { lease: lease.into(), service: service.into(), index }
    }

    #[test]
    fn names_are_stable_and_scoped_by_provider() {
        let names = Names::new("stoa1alpha").instance(&key("stoa1t/7/1/1/stoa1alpha", "web", 0));
        let again = Names::new("stoa1alpha").instance(&key("stoa1t/7/1/1/stoa1alpha", "web", 0));
        let other = Names::new("stoa1beta").instance(&key("stoa1t/7/1/1/stoa1alpha", "web", 0));
        assert_eq!(names, again);
        // Golden: a change here would orphan every running workload.
        assert_eq!(names.workload, "st-c25b7e41-ec526b7cd03b-web-0");
        assert_ne!(names.workload, other.workload);
        assert_ne!(names.bridge, other.bridge);
        assert_eq!(names.bridge.len(), 14, "an interface name has at most 15 characters");
        assert_eq!(names.egress, "st-c25b7e41-ec526b7cd03b-web-0-out");
        assert!(names.egress_bridge.starts_with("sec25b"), "{}", names.egress_bridge);
        assert_eq!(names.egress_bridge.len(), 15);
    }

    #[test]
    fn a_key_survives_its_labels() {
        let key = key("stoa1t/7/1/1/p", "api", 3);
        let labels = Names::new("p").labels(&key, Role::Link);
        assert_eq!(key_of(&labels), Some(key));
        assert_eq!(key_of(&HashMap::new()), None);
    }

    #[test]
    fn service_and_index_cannot_be_confused() {
        let names = Names::new("p");
        let bridges = [key("l", "a", 11), key("l", "a1", 1), key("la", "", 11)]
            .map(|key| names.instance(&key).bridge);
        assert_ne!(bridges[0], bridges[1]);
        assert_ne!(bridges[1], bridges[2]);
        assert_ne!(bridges[0], bridges[2]);
    }
}
