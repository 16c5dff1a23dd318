//! Whether a manifest is what the chain's order says: every resource unit used by as many
//! service instances as its count, and every endpoint used.

use std::collections::BTreeMap;
use std::fmt;

use crate::groups::{GroupSpec, ResourceSpec};
use crate::model::{Attribute, Endpoint, EndpointKind, Expose, Group, Manifest, Service};
use crate::model::{ResourceUnit, Storage};
use crate::units::shown;

/// One difference between a manifest and the order on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The group.
    pub group: String,
    /// The service, where it is about one.
    pub service: Option<String>,
    /// The field, such as `cpu.units` or `endpoints`.
    pub field: String,
    /// What the manifest says.
    pub manifest: String,
    /// What the chain says.
    pub chain: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", shown(&self.group))?;
        if let Some(service) = &self.service {
            write!(f, ", service {}", shown(service))?;
        }
        write!(f, ": {}: manifest has {}, chain has {}", self.field, self.manifest, self.chain)
    }
}

impl std::error::Error for Mismatch {}

/// Compares a manifest with the groups of its deployment on chain (their names, units, counts
/// and endpoints; prices and requirements are not in a manifest).
pub fn check_against_groups(manifest: &Manifest, chain: &[GroupSpec]) -> Result<(), Vec<Mismatch>> {
    let mut found = Vec::new();
    for group in &manifest.groups {
        match chain.iter().find(|spec| spec.name == group.name) {
            Some(spec) => found.extend(check_group(group, spec).err().unwrap_or_default()),
            None => found.push(mismatch(&group.name, None, "group", "it", "none of this name")),
        }
    }
    for spec in chain.iter().filter(|spec| manifest.group(&spec.name).is_none()) {
        found.push(mismatch(&spec.name, None, "group", "none of this name", "it"));
    }
    into_result(found)
}

/// Compares one group of a manifest with the same group on chain: what a provider does that
/// holds a lease on it.
pub fn check_group(group: &Group, chain: &GroupSpec) -> Result<(), Vec<Mismatch>> {
    let mut uses: BTreeMap<u32, Use<'_>> = BTreeMap::new();
    for spec in &chain.resources {
        uses.insert(spec.resource.id, Use::new(spec));
    }
    let mut found = Vec::new();
    for service in &group.services {
        let id = service.resources.id;
        match uses.get_mut(&id) {
            Some(used) => {
                let differences = compare_units(&service.resources, &used.spec.resource);
                found.extend(differences.into_iter().map(|(field, manifest, chain)| {
                    mismatch(&group.name, Some(&service.name), &field, manifest, chain)
                }));
                used.take(service);
            }
            None => found.push(mismatch(
                &group.name,
                Some(&service.name),
                "resources.id",
                id,
                "no unit of this id",
            )),
        }
    }
    for (id, used) in &uses {
        used.report(&group.name, *id, &mut found);
    }
    into_result(found)
}

fn into_result(found: Vec<Mismatch>) -> Result<(), Vec<Mismatch>> {
    if found.is_empty() {
        Ok(())
    } else {
        Err(found)
    }
}

/// How far the services of a group use up one unit of the order.
struct Use<'a> {
    spec: &'a ResourceSpec,
    services: Vec<&'a str>,
    instances: u64,
    endpoints: BTreeMap<EndpointKind, u64>,
}

impl<'a> Use<'a> {
    fn new(spec: &'a ResourceSpec) -> Self {
        Self { spec, services: Vec::new(), instances: 0, endpoints: BTreeMap::new() }
    }

    fn take<'s: 'a>(&mut self, service: &'s Service) {
        self.services.push(&service.name);
        self.instances += u64::from(service.count);
        let taken: Vec<Endpoint> = service.expose.iter().flat_map(Expose::endpoints).collect();
        for (kind, count) in by_kind(&taken) {
            *self.endpoints.entry(kind).or_default() += count;
        }
    }

    /// Differences in sums, told of the service where only one uses the unit.
    fn report(&self, group: &str, id: u32, found: &mut Vec<Mismatch>) {
        let service = match self.services.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        let whose = match self.services.as_slice() {
            [] | [_] => format!("resource {id}"),
            several => format!("resource {id} (services {})", several.join(", ")),
        };
        if self.instances != u64::from(self.spec.count) {
            let field = format!("{whose}: count");
            found.push(mismatch(group, service, &field, self.instances, self.spec.count));
        }
        let offered = by_kind(&self.spec.resource.endpoints);
        for kind in [EndpointKind::SharedHttp, EndpointKind::RandomPort, EndpointKind::LeasedIp] {
            let count = |map: &BTreeMap<EndpointKind, u64>| map.get(&kind).copied().unwrap_or(0);
            if count(&self.endpoints) != count(&offered) {
                let field = format!("{whose}: {kind} endpoints");
                let (ours, theirs) = (count(&self.endpoints), count(&offered));
                found.push(mismatch(group, service, &field, ours, theirs));
            }
        }
    }
}

fn by_kind(endpoints: &[Endpoint]) -> BTreeMap<EndpointKind, u64> {
    let mut counts = BTreeMap::new();
    for endpoint in endpoints {
        *counts.entry(endpoint.kind).or_default() += 1;
    }
    counts
}

/// (field, manifest's, chain's) for each field that differs, endpoints apart.
fn compare_units(ours: &ResourceUnit, chain: &ResourceUnit) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut compare = |field: &str, ours: String, chain: String| {
        if ours != chain {
            found.push((field.to_owned(), ours, chain));
        }
    };
    compare("cpu.units", ours.cpu.units.to_string(), chain.cpu.units.to_string());
    compare("cpu.attributes", attributes(&ours.cpu.attributes), attributes(&chain.cpu.attributes));
    compare("memory.size", ours.memory.size.to_string(), chain.memory.size.to_string());
    compare(
        "memory.attributes",
        attributes(&ours.memory.attributes),
        attributes(&chain.memory.attributes),
    );
    compare("gpu.units", ours.gpu.units.to_string(), chain.gpu.units.to_string());
    if ours.gpu.units > 0 || chain.gpu.units > 0 {
        let (ours, chain) = (attributes(&ours.gpu.attributes), attributes(&chain.gpu.attributes));
        compare("gpu.attributes", ours, chain);
    }
    compare("storage", volumes(&ours.storage), volumes(&chain.storage));
    found
}

/// Attributes in one order, for comparison and for people.
fn attributes(list: &[Attribute]) -> String {
    let mut list: Vec<_> = list.iter().collect();
    list.sort();
    let words: Vec<_> = list.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(" ")
    }
}

/// Volumes in one order, by class rather than by attributes: the chain knows the class alone.
fn volumes(list: &[Storage]) -> String {
    let mut words: Vec<_> = list
        .iter()
        .map(|volume| format!("{} {} {}", shown(&volume.name), volume.size, volume.class()))
        .collect();
    words.sort();
    words.join(", ")
}

fn mismatch(
    group: &str,
    service: Option<&str>,
    field: &str,
    manifest: impl fmt::Display,
    chain: impl fmt::Display,
) -> Mismatch {
    Mismatch {
        group: group.to_owned(),
        service: service.map(str::to_owned),
        field: field.to_owned(),
        manifest: manifest.to_string(),
        chain: chain.to_string(),
    }
}
