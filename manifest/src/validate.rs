//! The rules that hold in every manifest, whoever wrote it. A provider applies them to the bytes
//! that it receives, for these need not come from an SDL file.

use std::collections::BTreeSet;

use crate::image::ImageRef;
use crate::model::{
    Credentials, Expose, Group, Manifest, Mount, Params, ResourceUnit, Service, Storage,
};
use crate::names;
use crate::units::shown;

/// At most this many groups, whatever the chain allows.
pub(crate) const MAX_GROUPS: usize = 64;
/// At most this many services a group.
pub(crate) const MAX_SERVICES: usize = 256;
/// At most this many volumes a service.
pub(crate) const MAX_VOLUMES: usize = 16;

/// What is wrong with the manifest, and where.
pub(crate) fn manifest(manifest: &Manifest) -> Result<(), String> {
    let groups = &manifest.groups;
    ensure(!groups.is_empty(), || "manifest has no group".to_owned())?;
    ensure(groups.len() <= MAX_GROUPS, || {
        format!("manifest has {} groups; at most {MAX_GROUPS} are allowed", groups.len())
    })?;
    ensure(groups.is_sorted_by(|a, b| a.name < b.name), || {
        "groups are not sorted by name, each name once".to_owned()
    })?;
    for found in groups {
        group(found).map_err(|error| format!("group {}: {error}", shown(&found.name)))?;
    }
    hostnames_once(manifest)?;
    let mut exposes = groups.iter().flat_map(|g| &g.services).flat_map(|s| &s.expose);
    ensure(exposes.any(|expose| expose.global), || {
        "no service is exposed to the world: one needs `to: [{global: true}]`".to_owned()
    })
}

fn group(group: &Group) -> Result<(), String> {
    ensure(names::is_group(&group.name), || "the name is not allowed".to_owned())?;
    let services = &group.services;
    ensure(!services.is_empty(), || "has no service".to_owned())?;
    ensure(services.len() <= MAX_SERVICES, || {
        format!("has {} services; at most {MAX_SERVICES} are allowed", services.len())
    })?;
    ensure(services.is_sorted_by(|a, b| a.name < b.name), || {
        "services are not sorted by name, each name once".to_owned()
    })?;
    for found in services {
        service(found).map_err(|error| format!("service {}: {error}", shown(&found.name)))?;
    }
    Ok(())
}

fn service(service: &Service) -> Result<(), String> {
    ensure(names::is_service(&service.name), || "the name is not allowed".to_owned())?;
    ensure(ImageRef::parse(&service.image).is_some(), || {
        "`image` is neither a registry's image nor blob:<64 hex digits>:<bytes>".to_owned()
    })?;
    ensure(service.count > 0, || "`count` is 0".to_owned())?;
    let words = [&service.command, &service.args, &service.env];
    ensure(words.into_iter().flatten().flatten().all(|word| names::is_process_text(word)), || {
        "`command`, `args` or `env` has a NUL character".to_owned()
    })?;
    for entry in service.env.iter().flatten() {
        let name = names::variable_name(entry);
        ensure(names::is_variable(name), || {
            format!("`env`: `{}` is not a variable's name", shown(name))
        })?;
        ensure(!crate::secret::is_bad_reference(entry), || {
            format!("`env`: the value of `{}` is not secret:// and a secret's name", shown(name))
        })?;
    }
    resources(&service.resources)?;
    ensure(service.expose.is_sorted_by_key(Expose::order), || {
        "`expose` is not sorted by service, port, protocol, global first".to_owned()
    })?;
    service.expose.iter().try_for_each(expose)?;
    if let Some(found) = &service.params {
        params(found, &service.resources)?;
    }
    endpoints_match(service)?;
    service.credentials.as_ref().map_or(Ok(()), credentials)
}

fn resources(unit: &ResourceUnit) -> Result<(), String> {
    ensure(unit.id > 0, || "`resources.id` is 0; it counts from 1".to_owned())?;
    ensure(unit.cpu.units > 0, || "`cpu` is 0".to_owned())?;
    ensure(unit.memory.size > 0, || "`memory` is 0".to_owned())?;
    let volumes = &unit.storage;
    ensure((1..=MAX_VOLUMES).contains(&volumes.len()), || {
        format!("has {} volumes; 1 to {MAX_VOLUMES} are allowed", volumes.len())
    })?;
    ensure(volumes.is_sorted_by_key(|volume| volume.size), || {
        "`storage` is not sorted by size".to_owned()
    })?;
    let mut seen = BTreeSet::new();
    for volume in volumes {
        let name = &volume.name;
        ensure(names::is_volume(name), || "a volume's name is not allowed".to_owned())?;
        ensure(seen.insert(name), || format!("volume {} is there twice", shown(name)))?;
        ensure(volume.size > 0, || format!("volume {} has no size", shown(name)))?;
    }
    let mut attributes = unit
        .cpu
        .attributes
        .iter()
        .chain(&unit.memory.attributes)
        .chain(&unit.gpu.attributes)
        .chain(volumes.iter().flat_map(|volume| &volume.attributes));
    ensure(
        attributes.all(|a| names::is_attribute_key(&a.key) && names::is_attribute_value(&a.value)),
        || "an attribute of `resources` is not allowed".to_owned(),
    )
}

fn expose(expose: &Expose) -> Result<(), String> {
    let port = expose.port;
    ensure(port > 0, || "`expose` has port 0".to_owned())?;
    ensure(expose.service.is_empty() || names::is_service(&expose.service), || {
        format!("port {port} is exposed to a service whose name is not allowed")
    })?;
    ensure(expose.ip.is_empty() || (expose.global && names::is_endpoint(&expose.ip)), || {
        format!("port {port}: `ip` needs `global` and an endpoint's name")
    })?;
    ensure(expose.ip.is_empty() == (expose.endpoint_sequence_number == 0), || {
        format!("port {port}: `ip` and `endpointSequenceNumber` do not go together")
    })?;
    ensure(expose.hosts.iter().flatten().all(|host| names::is_hostname(host)), || {
        format!("port {port}: a host name is not one by RFC 1123")
    })
}

/// `resources.endpoints` is what the exposes take, so that one cannot say less than the other.
fn endpoints_match(service: &Service) -> Result<(), String> {
    let taken: Vec<_> = service.expose.iter().flat_map(Expose::endpoints).collect();
    ensure(taken == service.resources.endpoints, || {
        "`resources.endpoints` is not what `expose` takes".to_owned()
    })
}

fn params(params: &Params, unit: &ResourceUnit) -> Result<(), String> {
    ensure(params.storage.is_sorted_by(|a, b| a.name < b.name), || {
        "`params.storage` is not sorted by volume, each once".to_owned()
    })?;
    let mut mounts = BTreeSet::new();
    for found in &params.storage {
        let name = shown(&found.name);
        let Some(volume) = unit.storage.iter().find(|volume| volume.name == found.name) else {
            return Err(format!("`params.storage` names volume {name}, which is not there"));
        };
        ensure(names::is_mount(&found.mount), || {
            format!("volume {name}: `mount` is not an absolute path without `..`")
        })?;
        ensure(mounts.insert(&found.mount), || {
            format!("volume {name}: another is mounted at the same path")
        })?;
        data(found, volume).map_err(|error| format!("volume {name}: {error}"))?;
    }
    ensure(params.tee.is_none_or(|tee| tee.attestation), || {
        "`params.tee.attestation` is false".to_owned()
    })
}

/// A volume's first content: an archive no larger than the volume, and none in memory, which is
/// empty at each start.
fn data(mount: &Mount, volume: &Storage) -> Result<(), String> {
    if mount.data.is_none() {
        return Ok(());
    }
    let Some(bundle) = mount.bundle() else {
        return Err("`data` is not blob:<64 hex digits>:<bytes>".to_owned());
    };
    ensure(volume.class() != "ram", || "a volume of class ram can have no `data`".to_owned())?;
    ensure(bundle.bytes <= volume.size, || {
        format!("`data` has {} bytes, the volume {}", bundle.bytes, volume.size)
    })
}

fn credentials(credentials: &Credentials) -> Result<(), String> {
    let filled = [&credentials.host, &credentials.username, &credentials.password]
        .iter()
        .all(|field| !field.trim().is_empty());
    ensure(filled, || "`credentials` needs host, username and password".to_owned())
}

fn hostnames_once(manifest: &Manifest) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let exposes = manifest.groups.iter().flat_map(|g| &g.services).flat_map(|s| &s.expose);
    for host in exposes.flat_map(|expose| expose.hosts.iter().flatten()) {
        ensure(seen.insert(host), || format!("host name {} is there twice", shown(host)))?;
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}
