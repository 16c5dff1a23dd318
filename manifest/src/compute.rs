//! `profiles.compute`: what an instance has.

use std::collections::BTreeMap;

use crate::diagnostics::Diags;
use crate::gpu;
use crate::limits::{self, plain};
use crate::model::{Attribute, Cpu, Gpu, Memory, ResourceUnit, Storage};
use crate::names;
use crate::node::{Field, Map};
use crate::storage;
use crate::units;

/// Profiles by name: a unit each, with id 0 and without endpoints.
pub(crate) fn read(field: &Field<'_>, diags: &mut Diags) -> BTreeMap<String, ResourceUnit> {
    let mut profiles = BTreeMap::new();
    for (name, field) in field.names(diags).unwrap_or_default() {
        profiles.insert(name.to_owned(), profile(&field, diags).unwrap_or_default());
    }
    profiles
}

fn profile(field: &Field<'_>, diags: &mut Diags) -> Option<ResourceUnit> {
    let help = "say what an instance has: cpu, memory and storage";
    let resources = field.map(&["resources"], diags)?.required("resources", help, diags)?;
    let map = resources.map(&["cpu", "memory", "storage", "gpu"], diags)?;
    let cpu = map
        .required("cpu", "say how much: `cpu: {units: 500m}`", diags)
        .and_then(|field| cpu(&field, diags));
    let memory = map
        .required("memory", "say how much: `memory: {size: 512Mi}`", diags)
        .and_then(|field| memory(&field, diags));
    let storage: Vec<Storage> = map
        .required("storage", "say how much: `storage: {size: 1Gi}`", diags)
        .map(|field| storage::read(&field, diags))
        .unwrap_or_default();
    let gpu: Gpu = map.get("gpu").map(|field| gpu::read(&field, diags)).unwrap_or_default();
    Some(ResourceUnit {
        id: 0,
        cpu: cpu.unwrap_or_default(),
        memory: memory.unwrap_or_default(),
        storage,
        gpu,
        endpoints: Vec::new(),
    })
}

fn cpu(field: &Field<'_>, diags: &mut Diags) -> Option<Cpu> {
    let map = field.map(&["units", "attributes"], diags)?;
    let help = "say how many: `units: 500m` or `units: 0.5`";
    let units = map.required("units", help, diags)?;
    let milli = match units::millicores(units.text(diags)?) {
        Ok(0) => {
            diags.push(units.error("CPU units are 0").help(help));
            return None;
        }
        Ok(milli) => u64::from(milli),
        Err(error) => {
            diags.push(units.error(format!("CPU units: {error}")).help(help));
            return None;
        }
    };
    limits::CPU_MILLICORES.warn("CPU", milli, |n| format!("{n}m"), &units, diags);
    Some(Cpu { units: milli, attributes: cpu_attributes(&map, diags) })
}

fn cpu_attributes(map: &Map<'_>, diags: &mut Diags) -> Vec<Attribute> {
    let Some(field) = map.get("attributes") else { return Vec::new() };
    let Some(arch) = field.map(&["arch"], diags).and_then(|map| map.get("arch")) else {
        return Vec::new();
    };
    let Some(value) = arch.text(diags) else { return Vec::new() };
    if value.is_empty() || !names::is_attribute_value(value) {
        diags.push(arch.error("this is not an architecture").help("write amd64 or arm64"));
    }
    vec![Attribute::new("arch", value)]
}

fn memory(field: &Field<'_>, diags: &mut Diags) -> Option<Memory> {
    let map = field.map(&["size", "attributes"], diags)?;
    let size = map.required("size", "say how much: `size: 512Mi`", diags)?;
    if let Some(field) = map.get("attributes") {
        if !field.names(diags)?.is_empty() {
            diags.push(field.warning("memory has no attributes: these are ignored"));
        }
    }
    let bytes = read_size("memory", &size, diags)?;
    limits::MEMORY_BYTES.warn("memory", bytes, units::show_bytes, &size, diags);
    Some(Memory { size: bytes, attributes: Vec::new() })
}

/// A size over 0.
pub(crate) fn read_size(what: &str, field: &Field<'_>, diags: &mut Diags) -> Option<u64> {
    let help = "write it like 512Mi, 1.5Gi or 10G";
    match units::bytes(field.text(diags)?) {
        Ok(0) => diags.push(field.error(format!("{what} size is 0")).help(help)),
        Ok(bytes) => return Some(bytes),
        Err(error) => diags.push(field.error(format!("{what} size: {error}")).help(help)),
    }
    None
}

/// Warns where a list is longer than the chain takes.
pub(crate) fn warn_length(
    bound: &limits::Bound,
    what: &str,
    length: usize,
    field: &Field<'_>,
    diags: &mut Diags,
) {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    bound.warn(what, length, plain, field, diags);
}
