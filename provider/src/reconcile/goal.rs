//! What is to run, made of a manifest's group: plain specs for the runtime.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use stoa_manifest::{Group, Proto, Service, Storage};

use crate::runtime::{
    ImageRef, InstanceKey, LoadedImage, PortSpec, Protocol, VolumeClass, VolumeSpec, WorkloadSpec,
};
use crate::store::{Overuse, Rollout};

/// What a lease is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// The manifest's, in hex.
    pub version: String,
    /// In the manifest's order.
    pub services: Vec<ServiceGoal>,
    /// Another version ran completely before: this is an update, which goes
    /// service by service and may have to be undone.
    pub update: bool,
    /// This version has run completely.
    pub served: bool,
    /// How far the update has come.
    pub rollout: Option<Rollout>,
    /// Instances that are to stay stopped.
    pub overuses: Vec<Overuse>,
}

/// A service's instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceGoal {
    pub name: String,
    pub instances: Vec<WorkloadSpec>,
}

impl Goal {
    pub fn specs(&self) -> impl Iterator<Item = &WorkloadSpec> {
        self.services.iter().flat_map(|service| &service.instances)
    }

    /// Why a container is to stay stopped, where it is.
    pub(super) fn overuse_of(&self, container: &str) -> Option<&Overuse> {
        let mut overuses = self.overuses.iter();
        overuses.find(|over| over.version == self.version && over.container == container)
    }
}

/// The services of a group as specs. `images` has each image that they name.
pub(super) fn services(
    lease: &str,
    version: &str,
    group: &Group,
    images: &BTreeMap<String, LoadedImage>,
) -> Result<Vec<ServiceGoal>, String> {
    group
        .services
        .iter()
        .map(|service| {
            let image = images.get(&service.image).ok_or("an image is not loaded")?;
            let instances = (0..service.count)
                .map(|index| spec(lease, version, service, index, image))
                .collect();
            Ok(ServiceGoal { name: service.name.clone(), instances })
        })
        .collect()
}

fn spec(
    lease: &str,
    version: &str,
    service: &Service,
    index: u32,
    image: &LoadedImage,
) -> WorkloadSpec {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let key = InstanceKey { lease: lease.into(), service: service.name.clone(), index };
    WorkloadSpec {
        key,
        image: ImageRef { id: image.id.clone(), source: service.image.clone() },
        command: list(&service.command),
        args: list(&service.args),
        env: list(&service.env),
        cpu_millis: service.resources.cpu.units,
        memory_bytes: service.resources.memory.size,
        ephemeral_bytes: ephemeral_bytes(service),
        volumes: volumes(service),
        ports: ports(service),
        read_only_root: image.read_only_root,
        manifest_version: version.into(),
        generation: 1,
    }
}

fn ephemeral_bytes(service: &Service) -> u64 {
    let ephemeral = service.resources.storage.iter().filter(|s| class(s) == VolumeClass::Ephemeral);
    ephemeral.fold(0, |sum, storage| sum.saturating_add(storage.size))
}

fn class(storage: &Storage) -> VolumeClass {
    match storage.class() {
        "ephemeral" => VolumeClass::Ephemeral,
        "ram" => VolumeClass::Ram,
        _ => VolumeClass::Persistent,
    }
}

/// Storage that is mounted somewhere; the rest is the container's own layer.
fn volumes(service: &Service) -> Vec<VolumeSpec> {
    let Some(params) = &service.params else { return vec![] };
    let mounts = params.storage.iter().filter(|mount| !mount.mount.is_empty());
    mounts
        .filter_map(|mount| {
            let storage = service.resources.storage.iter().find(|s| s.name == mount.name)?;
            Some(VolumeSpec {
                name: volume_name(&storage.name),
                bytes: storage.size,
                class: class(storage),
                mount: mount.mount.clone(),
                read_only: mount.read_only,
            })
        })
        .collect()
}

/// Names that the engine would not take go by their hash.
fn volume_name(name: &str) -> String {
    let clean = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if !name.is_empty() && name.len() <= 63 && name.chars().all(clean) && !name.starts_with("h-") {
        return name.into();
    }
    let hash = hex::encode(Sha256::digest(name.as_bytes()));
    format!("h-{}", &hash[..24])
}

fn ports(service: &Service) -> Vec<PortSpec> {
    let mut ports: Vec<PortSpec> = vec![];
    for expose in &service.expose {
        let protocol = match expose.proto {
            Proto::Tcp => Protocol::Tcp,
            Proto::Udp => Protocol::Udp,
        };
        let port = PortSpec { port: expose.port, protocol };
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{image, manifest};

    const SDL: &str = r#"
version: "2.0"
services:
  db:
    image: postgres:16
    env: ["A=1", "B"]
    command: ["sh"]
    params: {storage: {"my data": {mount: /data}, tmp: {mount: /scratch}, shm: {mount: /dev/shm}}}
    expose:
      - {port: 80, to: [{global: true}]}
      - {port: 80, to: [{service: db}]}
      - {port: 53, proto: udp, to: [{service: db}]}
profiles:
  compute:
    db:
      resources:
        cpu: {units: 0.5}
        memory: {size: 64Mi}
        storage:
          - {size: 100Mi}
          - {name: my data, size: 200Mi, attributes: {persistent: true, class: beta1}}
          - {name: tmp, size: 50Mi}
          - {name: shm, size: 16Mi, attributes: {persistent: false, class: ram}}
  placement: {here: {pricing: {db: {denom: ustoa, amount: 1}}}}
deployment: {db: {here: {profile: db, count: 2}}}
"#;

    #[test]
    fn a_service_becomes_its_instances() {
        let manifest = manifest(SDL);
        let images = BTreeMap::from([("postgres:16".to_string(), image('a'))]);
        let services = services("t/1/1/1/p", "ff", &manifest.groups[0], &images).unwrap();
        let [db] = &services[..] else { panic!("{services:?}") };
        assert_eq!(db.instances.len(), 2);
        let spec = &db.instances[1];
        spec.validate().unwrap();
        assert_eq!((spec.key.index, spec.cpu_millis, spec.memory_bytes), (1, 500, 64 << 20));
        assert_eq!(spec.env, ["A=1", "B"]);
        assert_eq!(spec.ephemeral_bytes, 150 << 20, "the layer and the unnamed scratch");
        assert_eq!(spec.ports.len(), 2);
        let volume = |mount: &str| spec.volumes.iter().find(|v| v.mount == mount).unwrap().clone();
        assert_eq!(volume("/data").class, VolumeClass::Persistent);
        assert!(volume("/data").name.starts_with("h-"), "a space is no engine's name");
        assert_eq!(volume("/scratch").class, VolumeClass::Ephemeral);
        assert_eq!(volume("/dev/shm").class, VolumeClass::Ram);
        assert_ne!(db.instances[0].hash(), spec.hash());
    }

    #[test]
    fn an_image_that_is_not_loaded_is_an_error() {
        let manifest = manifest(SDL);
        assert!(services("l", "ff", &manifest.groups[0], &BTreeMap::new()).is_err());
    }
}
