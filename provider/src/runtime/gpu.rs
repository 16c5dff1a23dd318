//! GPUs: those that the engine itself offers to containers, and which
//! container has which. What nobody reports is not there, whatever the
//! settings say.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use bollard::models::{DeviceRequest, SystemInfo};
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde::{Deserialize, Serialize};

use super::error::spec_error;
use super::names::label;
use super::spec::{GpuModel, GpuRequest, WorkloadSpec};
use super::{DockerBackend, RuntimeError};

/// NVIDIA's container runtime, as the engine lists it.
const NVIDIA_RUNTIME: &str = "nvidia";
/// Where NVIDIA's driver describes its devices, one directory each.
const NVIDIA_DEVICES: &str = "/proc/driver/nvidia/gpus";
const NVIDIA: &str = "nvidia";
/// The Container Device Interface's devices (Engine 28.2 and later).
const CDI: &str = "cdi";

/// One GPU that the engine can give to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuDevice {
    /// What the engine calls it: a UUID, or a CDI device's full name.
    pub id: String,
    pub vendor: String,
    pub model: GpuModel,
}

/// What the operator says that a device is, where its own words do not say
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuNaming {
    /// The device's id.
    pub id: String,
    pub model: String,
    #[serde(default)]
    pub memory: String,
    #[serde(default)]
    pub interface: String,
}

impl GpuRequest {
    /// Whether a GPU of a vendor and model is one of those asked for.
    pub fn takes(&self, vendor: &str, model: &GpuModel) -> bool {
        let same = |wanted: &str, own: &str| wanted.is_empty() || wanted == "*" || wanted == own;
        let fits = |wanted: &GpuModel| {
            same(&wanted.model, &model.model)
                && same(&wanted.memory, &model.memory)
                && same(&wanted.interface, &model.interface)
        };
        let vendors_fit = self.vendor.is_empty() || self.vendor == vendor;
        vendors_fit && (self.models.is_empty() || self.models.iter().any(fits))
    }
}

impl fmt::Display for GpuRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vendor = if self.vendor.is_empty() { "any vendor" } else { &self.vendor };
        let models: Vec<&str> = self.models.iter().map(|model| model.model.as_str()).collect();
        let models = if models.is_empty() { "any model".into() } else { models.join(" or ") };
        write!(f, "{} GPUs of {vendor}, {models}", self.units)
    }
}

impl GpuDevice {
    fn serves(&self, request: &GpuRequest) -> bool {
        request.takes(&self.vendor, &self.model)
    }

    fn is_cdi(&self) -> bool {
        self.id.contains('=')
    }
}

impl DockerBackend {
    /// Chooses free devices for a container that is about to be made. The
    /// caller holds `self.choosing_gpus` until the container is there: its
    /// label is what makes a device taken, whichever provider's it is.
    pub(super) async fn choose_gpus(
        &self,
        spec: &WorkloadSpec,
    ) -> Result<Vec<GpuDevice>, RuntimeError> {
        let Some(request) = &spec.gpu else { return Ok(vec![]) };
        let there = self.read_inventory().await?.gpus;
        let taken = self.taken_gpus().await?;
        pick(&there, &taken, request).map_err(|problem| spec_error(&spec.key, problem))
    }

    async fn taken_gpus(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let filter = [("label".to_string(), vec![label::GPUS.to_string()])].into();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let call = self.docker.list_containers(Some(options));
        let found = self.bounded("listing who has GPUs", self.config.deadlines.query, call).await?;
        let labels = found.into_iter().filter_map(|c| c.labels?.remove(label::GPUS));
        Ok(labels.flat_map(|ids| ids.split(',').map(String::from).collect::<Vec<_>>()).collect())
    }
}

/// The request to the engine.
pub(super) fn device_requests(devices: &[GpuDevice]) -> Option<Vec<DeviceRequest>> {
    let ids = |cdi: bool| {
        let chosen = devices.iter().filter(move |device| device.is_cdi() == cdi);
        chosen.map(|device| device.id.clone()).collect::<Vec<_>>()
    };
    let request = |driver: &str, ids: Vec<String>| DeviceRequest {
        driver: Some(driver.into()),
        device_ids: Some(ids),
        capabilities: (driver == NVIDIA).then(|| vec![vec!["gpu".into()]]),
        ..DeviceRequest::default()
    };
    let requests: Vec<DeviceRequest> = [(NVIDIA, ids(false)), (CDI, ids(true))]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(driver, ids)| request(driver, ids))
        .collect();
    (!requests.is_empty()).then_some(requests)
}

fn pick(
    there: &[GpuDevice],
    taken: &BTreeSet<String>,
    request: &GpuRequest,
) -> Result<Vec<GpuDevice>, String> {
    let units = usize::try_from(request.units).unwrap_or(usize::MAX);
    let fit = there.iter().filter(|device| device.serves(request));
    let (free, used): (Vec<_>, Vec<_>) = fit.partition(|device| !taken.contains(&device.id));
    if free.len() < units {
        return Err(format!(
            "{units} GPUs of {} are asked for; the engine has {} free and {} in use",
            if request.vendor.is_empty() { "any vendor" } else { &request.vendor },
            free.len(),
            used.len()
        ));
    }
    Ok(free.into_iter().take(units).cloned().collect())
}

/// What the engine offers on this machine.
pub(super) fn offered(info: &SystemInfo, namings: &[GpuNaming]) -> Vec<GpuDevice> {
    read(info, Path::new(NVIDIA_DEVICES), namings)
}

fn read(info: &SystemInfo, nvidia: &Path, namings: &[GpuNaming]) -> Vec<GpuDevice> {
    let described = nvidia_devices(nvidia);
    let has_runtime = info.runtimes.as_ref().is_some_and(|r| r.contains_key(NVIDIA_RUNTIME));
    let mut devices = match has_runtime {
        true => described,
        false => cdi_devices(info, &described),
    };
    for device in &mut devices {
        if let Some(naming) = namings.iter().find(|naming| naming.id == device.id) {
            device.model = GpuModel {
                model: naming.model.clone(),
                memory: naming.memory.clone(),
                interface: naming.interface.clone(),
            };
        }
    }
    // What has no name cannot be told from others in the market.
    devices.retain(|device| !device.model.model.is_empty());
    devices
}

/// As the driver describes them, in the order of the bus, which is the order
/// of their numbers.
fn nvidia_devices(root: &Path) -> Vec<GpuDevice> {
    let Ok(listing) = std::fs::read_dir(root) else { return vec![] };
    let mut places: Vec<_> = listing.flatten().map(|entry| entry.path()).collect();
    places.sort();
    places
        .iter()
        .filter_map(|place| {
            let text = std::fs::read_to_string(place.join("information")).ok()?;
            let field = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name))?;
                Some(line.split_once(':')?.1.trim().to_string())
            };
            let id = field("GPU UUID").filter(|id| id.starts_with("GPU-") && !id.contains('?'))?;
            Some(GpuDevice { id, vendor: NVIDIA.into(), model: market_name(&field("Model")?) })
        })
        .collect()
}

/// CDI names a device by number or UUID, and one of them `all`. A device
/// that has both names is one device.
fn cdi_devices(info: &SystemInfo, described: &[GpuDevice]) -> Vec<GpuDevice> {
    let mut devices: Vec<GpuDevice> = vec![];
    let mut known = BTreeSet::new();
    let found = info.discovered_devices.iter().flatten();
    for id in found.filter(|d| d.source.as_deref() == Some(CDI)).filter_map(|d| d.id.as_ref()) {
        let Some((kind, name)) = id.split_once('=') else { continue };
        let Some((domain, "gpu")) = kind.split_once('/') else { continue };
        let vendor = domain.split('.').next().unwrap_or_default();
        let by_number = || described.get(name.parse::<usize>().ok()?);
        let description = described.iter().find(|d| d.id == name).or_else(by_number);
        let own = description.map_or(id, |description| &description.id);
        if name == "all" || !known.insert((vendor.to_string(), own.clone())) {
            continue;
        }
        let model = description.filter(|_| vendor == NVIDIA).map(|d| d.model.clone());
        let model = model.unwrap_or_default();
        devices.push(GpuDevice { id: id.clone(), vendor: vendor.into(), model });
    }
    devices
}

/// The market's words for a product's name: `NVIDIA A100-SXM4-80GB` is an
/// `a100` with `80Gi` on `sxm`, `NVIDIA GeForce RTX 4090` an `rtx4090`.
fn market_name(product: &str) -> GpuModel {
    const NO_MODEL: [&str; 5] = ["nvidia", "tesla", "geforce", "quadro", "graphics"];
    /// Words that stand before a number and belong to it.
    const FAMILIES: [&str; 3] = ["rtx", "gtx", "titan"];
    let lower = product.to_ascii_lowercase();
    let words = lower.split([' ', '-']).filter(|word| !word.is_empty());
    let mut name = GpuModel::default();
    for word in words.filter(|word| !NO_MODEL.contains(word)) {
        if let Some(size) = word.strip_suffix("gb").filter(|s| s.parse::<u32>().is_ok()) {
            name.memory = format!("{size}Gi");
        } else if word.starts_with("sxm") || word.starts_with("hbm") {
            name.interface = "sxm".into();
        } else if word.starts_with("pci") || word == "nvl" {
            name.interface = "pcie".into();
        } else if name.model.is_empty()
            || FAMILIES.contains(&name.model.as_str())
            || ["ti", "super"].contains(&word)
        {
            name.model.push_str(word);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn info(value: serde_json::Value) -> SystemInfo {
        serde_json::from_value(value).unwrap()
    }

    fn driver(gpus: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (number, (product, uuid)) in gpus.iter().enumerate() {
            let place = root.path().join(format!("0000:0{number}:00.0"));
            std::fs::create_dir(&place).unwrap();
            let text = format!("Model: \t\t {product}\nIRQ:   \t\t 60\nGPU UUID: \t {uuid}\n");
            std::fs::write(place.join("information"), text).unwrap();
        }
        root
    }

    fn request(units: u32, model: &str) -> GpuRequest {
        let model = GpuModel { model: model.into(), ..GpuModel::default() };
        GpuRequest { units, vendor: "nvidia".into(), models: vec![model] }
    }

    #[test]
    fn products_are_named_as_the_market_does() {
        let name = |product: &str| {
            let name = market_name(product);
            format!("{} {} {}", name.model, name.memory, name.interface)
        };
        assert_eq!(name("NVIDIA A100-SXM4-80GB"), "a100 80Gi sxm");
        assert_eq!(name("NVIDIA A100-PCIE-40GB"), "a100 40Gi pcie");
        assert_eq!(name("NVIDIA H100 80GB HBM3"), "h100 80Gi sxm");
        assert_eq!(name("NVIDIA GeForce RTX 4090"), "rtx4090  ");
        assert_eq!(name("NVIDIA GeForce RTX 3080 Ti"), "rtx3080ti  ");
        assert_eq!(name("NVIDIA RTX A6000"), "rtxa6000  ");
        assert_eq!(name("Tesla T4"), "t4  ");
    }

    #[test]
    fn only_what_the_engine_reports_is_offered() {
        let root = driver(&[("NVIDIA A100-SXM4-80GB", "GPU-1"), ("Tesla T4", "GPU-2")]);
        let ids = |value: serde_json::Value, namings: &[GpuNaming]| {
            let found = read(&info(value), root.path(), namings);
            found.iter().map(|d| format!("{} {}", d.id, d.model.model)).collect::<Vec<_>>()
        };
        // The driver is there; the engine cannot give its devices away.
        assert_eq!(ids(json!({ "Runtimes": { "runc": {} } }), &[]), [""; 0]);
        let runtime = json!({ "Runtimes": { "runc": {}, "nvidia": {} } });
        assert_eq!(ids(runtime.clone(), &[]), ["GPU-1 a100", "GPU-2 t4"]);
        let own = GpuNaming { id: "GPU-2".into(), model: "t4x".into(), ..GpuNaming::default() };
        assert_eq!(ids(runtime, &[own]), ["GPU-1 a100", "GPU-2 t4x"]);
        let cdi = |ids: &[&str]| {
            let devices = ids.iter().map(|id| json!({ "Source": "cdi", "ID": id }));
            json!({ "DiscoveredDevices": devices.collect::<Vec<_>>() })
        };
        let nvidia = ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1", "nvidia.com/gpu=all"];
        assert_eq!(ids(cdi(&nvidia), &[]), ["nvidia.com/gpu=0 a100"], "one device, two names");
        let other = ["amd.com/gpu=0", "acme.com/fpga=0"];
        assert_eq!(ids(cdi(&other), &[]), [""; 0], "nobody says which model it is");
        let named = GpuNaming {
            id: "amd.com/gpu=0".into(),
            model: "mi300x".into(),
            ..GpuNaming::default()
        };
        assert_eq!(ids(cdi(&other), std::slice::from_ref(&named)), ["amd.com/gpu=0 mi300x"]);
        assert_eq!(ids(json!({}), &[named]), [""; 0], "a name alone is no device");
    }

    #[test]
    fn no_device_goes_to_two_containers_and_none_of_another_model() {
        let root = driver(&[
            ("NVIDIA A100-SXM4-80GB", "GPU-1"),
            ("Tesla T4", "GPU-2"),
            ("NVIDIA A100-SXM4-80GB", "GPU-3"),
        ]);
        let there = read(&info(json!({ "Runtimes": { "nvidia": {} } })), root.path(), &[]);
        let ids = |devices: Vec<GpuDevice>| devices.into_iter().map(|d| d.id).collect::<Vec<_>>();
        let none = BTreeSet::new();
        assert_eq!(ids(pick(&there, &none, &request(2, "a100")).unwrap()), ["GPU-1", "GPU-3"]);
        let taken = BTreeSet::from(["GPU-1".to_string()]);
        assert_eq!(ids(pick(&there, &taken, &request(1, "a100")).unwrap()), ["GPU-3"]);
        let error = pick(&there, &taken, &request(2, "a100")).unwrap_err();
        assert!(error.contains("1 free and 1 in use"), "{error}");
        assert_eq!(ids(pick(&there, &taken, &request(2, "*")).unwrap()), ["GPU-2", "GPU-3"]);
        assert!(pick(&[], &none, &request(1, "*")).is_err(), "a machine without any");

        let requests = device_requests(&there).unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].driver.as_deref(), Some("nvidia"));
        assert_eq!(requests[0].device_ids.as_ref().unwrap().len(), 3);
        assert_eq!(device_requests(&[]), None);
    }
}
