//! What is to run, made of a manifest's group: plain specs for the runtime.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use stoa_client::proto::market::v1::GpuOffer;
use stoa_manifest::{Egress, Group, Proto, Service, Storage};

use super::crashes::CrashLoop;
use super::order::in_starting_order;
use crate::runtime::{
    GpuModel, GpuRequest, ImageRef, InstanceKey, LoadedImage, Need, NetworkSpec, PortSpec,
    Protocol, VolumeClass, VolumeSpec, WorkloadSpec,
};
use crate::store::{Overuse, Rollout};

/// What a lease is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// The manifest's, in hex.
    pub version: String,
    /// In the order in which they are started and updated.
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
    /// Instances that keep ending.
    pub crashes: BTreeMap<InstanceKey, CrashLoop>,
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

/// The services of a group as specs. `images` has each image that they name,
/// `offers` the GPU models that the bid named.
pub fn services(
    lease: &str,
    version: &str,
    group: &Group,
    images: &BTreeMap<String, LoadedImage>,
    offers: &[GpuOffer],
) -> Result<Vec<ServiceGoal>, String> {
    in_starting_order(&group.services)
        .into_iter()
        .map(|service| {
            check_promises(service)?;
            let image = images.get(&service.image).ok_or("an image is not loaded")?;
            let gpu = gpu_request(service, offers)?;
            let instances = (0..service.count)
                .map(|index| WorkloadSpec {
                    gpu: gpu.clone(),
                    ..spec(lease, version, service, index, image)
                })
                .collect();
            Ok(ServiceGoal { name: service.name.clone(), instances })
        })
        .collect()
}

/// What a group's instances take, whatever their images. `offers` as for
/// [`services`], which also tells of a GPU that is not understood.
pub(super) fn needs(lease: &str, group: &Group, offers: &[GpuOffer]) -> Vec<Need> {
    let needs = group.services.iter().flat_map(|service| {
        let on_disk = service.resources.storage.iter().filter(|s| class(s) != VolumeClass::Ram);
        let storage = on_disk.fold(0, |sum: u64, storage| sum.saturating_add(storage.size));
        let gpu = gpu_request(service, offers).unwrap_or_default();
        (0..service.count).map(move |index| Need {
            key: InstanceKey { lease: lease.into(), service: service.name.clone(), index },
            cpu_millis: service.resources.cpu.units,
            memory_bytes: service.resources.memory.size,
            storage_bytes: storage,
            gpu: gpu.clone(),
            has_volumes: volumes(service).iter().any(|v| v.class == VolumeClass::Persistent),
        })
    });
    needs.collect()
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
        secrets: vec![],
        cpu_millis: service.resources.cpu.units,
        memory_bytes: service.resources.memory.size,
        ephemeral_bytes: ephemeral_bytes(service),
        volumes: volumes(service),
        ports: ports(service),
        read_only_root: image.read_only_root,
        gpu: None,
        network: NetworkSpec { egress: service.egress == Egress::Public },
        manifest_version: version.into(),
        generation: 1,
    }
}

/// Refuses what would be run otherwise than it is asked for.
fn check_promises(service: &Service) -> Result<(), String> {
    match service.params.as_ref().and_then(|params| params.tee.as_ref()) {
        Some(_) => Err(format!(
            "{}: `tee` asks for confidential computing, which this provider does not have; remove \
             it or exclude this provider",
            service.name
        )),
        None => Ok(()),
    }
}

/// The GPUs of each instance: of the model that the bid named, where it named
/// one, and of any that the manifest takes otherwise.
fn gpu_request(service: &Service, offers: &[GpuOffer]) -> Result<Option<GpuRequest>, String> {
    let gpu = &service.resources.gpu;
    if gpu.units == 0 {
        return Ok(None);
    }
    let units = u32::try_from(gpu.units).map_err(|_| format!("{} GPUs", gpu.units))?;
    let offered = offers.iter().find(|offer| offer.unit == service.resources.id);
    let mut request = GpuRequest { units, vendor: String::new(), models: vec![] };
    for attribute in &gpu.attributes {
        let (vendor, mut model) = gpu_model(&attribute.key)
            .ok_or_else(|| format!("{}: the GPU attribute `{}`", service.name, attribute.key))?;
        request.vendor = vendor;
        match offered.map(|offer| offer.model.as_str()).filter(|offer| !offer.is_empty()) {
            Some(offer) if model.model == "*" => model.model = offer.into(),
            Some(offer) if model.model != offer => continue,
            _ => {}
        }
        request.models.push(model);
    }
    Ok(Some(request))
}

/// Of `vendor/VENDOR/model/MODEL[/ram/NGi][/interface/pcie|sxm]`.
fn gpu_model(key: &str) -> Option<(String, GpuModel)> {
    let parts: Vec<&str> = key.split('/').collect();
    let ["vendor", vendor, "model", model, rest @ ..] = parts.as_slice() else { return None };
    let mut found = GpuModel { model: (*model).to_owned(), ..GpuModel::default() };
    for pair in rest.chunks(2) {
        match pair {
            ["ram", memory] => found.memory = (*memory).to_owned(),
            ["interface", interface] => found.interface = (*interface).to_owned(),
            _ => return None,
        }
    }
    Some(((*vendor).to_owned(), found))
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
                storage_class: match class(storage) {
                    VolumeClass::Persistent => storage.class().to_owned(),
                    _ => String::new(),
                },
                mount: mount.mount.clone(),
                read_only: mount.read_only,
                data: mount.bundle().map(|blob| blob.root.to_hex().to_string()),
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
        let services = services("t/1/1/1/p", "ff", &manifest.groups[0], &images, &[]).unwrap();
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
        assert_eq!(volume("/data").storage_class, "beta1");
        assert!(volume("/data").name.starts_with("h-"), "a space is no engine's name");
        assert_eq!(volume("/scratch").class, VolumeClass::Ephemeral);
        assert_eq!(volume("/dev/shm").class, VolumeClass::Ram);
        assert_ne!(db.instances[0].hash(), spec.hash());
    }

    #[test]
    fn egress_is_public_unless_the_manifest_says_none() {
        let images = BTreeMap::from([("postgres:16".to_string(), image('a'))]);
        let egress = |sdl: &str| {
            let services = services("l", "ff", &manifest(sdl).groups[0], &images, &[]).unwrap();
            services[0].instances[0].network.egress
        };
        assert!(egress(SDL));
        let none = SDL.replacen("image: postgres:16", "image: postgres:16\n    egress: none", 1);
        assert!(!egress(&none));
    }

    #[test]
    fn an_image_that_is_not_loaded_is_an_error() {
        let manifest = manifest(SDL);
        assert!(services("l", "ff", &manifest.groups[0], &BTreeMap::new(), &[]).is_err());
    }

    #[test]
    fn gpus_are_of_the_model_that_the_bid_named() {
        let gpus = "gpu: {units: 2, attributes: {vendor: {nvidia: [{model: a100, ram: 80Gi}, \
                    {model: t4}]}}}\n        cpu:";
        let manifest = manifest(&SDL.replacen("cpu:", gpus, 1));
        let images = BTreeMap::from([("postgres:16".to_string(), image('a'))]);
        let request = |offers: &[GpuOffer]| {
            let services = services("l", "ff", &manifest.groups[0], &images, offers).unwrap();
            services[0].instances[0].gpu.clone().unwrap()
        };
        let any = request(&[]);
        assert_eq!((any.units, any.vendor.as_str(), any.models.len()), (2, "nvidia", 2));
        let unit = manifest.groups[0].services[0].resources.id;
        let one = request(&[GpuOffer { unit, model: "a100".into() }]);
        assert_eq!(one.models.len(), 1);
        assert_eq!((one.models[0].model.as_str(), one.models[0].memory.as_str()), ("a100", "80Gi"));
    }

    #[test]
    fn confidential_computing_is_refused_rather_than_left_out() {
        let mut manifest = manifest(SDL);
        let images = BTreeMap::from([("postgres:16".to_string(), image('a'))]);
        let params = manifest.groups[0].services[0].params.as_mut().unwrap();
        params.tee =
            serde_json::from_value(serde_json::json!({"type": "cpu", "attestation": true}))
                .unwrap();
        let error = services("l", "ff", &manifest.groups[0], &images, &[]).unwrap_err();
        assert!(error.contains("tee"), "{error}");
    }
}
