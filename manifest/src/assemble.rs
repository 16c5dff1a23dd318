//! A checked file to its manifest and group specs.

use std::collections::BTreeMap;

use crate::canonical::MAX_CANONICAL_BYTES;
use crate::diagnostics::{Diagnostic, Diags};
use crate::expose::{ExposeSdl, ToSdl};
use crate::groups::{GroupSpec, ResourceSpec};
use crate::limits::{self, plain};
use crate::model::{Attribute, Credentials, Expose, Group, Manifest, ResourceUnit, Service};
use crate::sdl::{Deploy, Sdl, Version};
use crate::services::ServiceSdl;
use crate::validate;

/// Makes the manifest and the group specs, each sorted by placement. `None` with an error in
/// `diags` where the result is too large.
pub(crate) fn assemble(sdl: &Sdl, diags: &mut Diags) -> Option<(Manifest, Vec<GroupSpec>)> {
    if let Err(message) = check_size(sdl) {
        diags.push(Diagnostic::error(sdl.deployment_at, "deployment", message));
        return None;
    }
    let numbers = sequence_numbers(sdl);
    let mut groups: BTreeMap<&str, Building> = BTreeMap::new();
    for (name, placement, deploy) in sdl.deployed() {
        let group = match groups.get_mut(placement) {
            Some(group) => group,
            None => groups.entry(placement).or_insert(Building::new(sdl, placement)?),
        };
        group.add(sdl, name, deploy, &numbers)?;
    }
    let (specs, groups): (Vec<_>, Vec<_>) =
        groups.into_values().map(|building| (building.spec, building.group)).unzip();
    let manifest = Manifest { groups };
    for complaint in bounds(&specs, &manifest) {
        diags.push(Diagnostic::warning(sdl.deployment_at, "deployment", complaint));
    }
    // The reader of the file and the reader of canonical bytes must agree on what is right.
    if let Err(message) = validate::manifest(&manifest) {
        diags.push(Diagnostic::error(sdl.deployment_at, "deployment", message));
        return None;
    }
    let length = manifest.canonical_json().len();
    if length > MAX_CANONICAL_BYTES {
        diags.push(Diagnostic::error(sdl.deployment_at, "deployment", too_large(length)));
        return None;
    }
    Some((manifest, specs))
}

fn too_large(length: usize) -> String {
    format!("the manifest is over {length} bytes long; at most {MAX_CANONICAL_BYTES} are allowed")
}

/// Refuses early what would be too large, before services are copied to their placements.
fn check_size(sdl: &Sdl) -> Result<(), String> {
    let mut total: usize = 0;
    for (name, ..) in sdl.deployed() {
        total = total.saturating_add(sdl.services.get(name).map_or(0, text_bytes));
        if total > MAX_CANONICAL_BYTES {
            return Err(too_large(MAX_CANONICAL_BYTES));
        }
    }
    Ok(())
}

/// Less than what the service takes in the canonical form.
fn text_bytes(service: &ServiceSdl) -> usize {
    const EXPOSE: usize = 200;
    const BUNDLE: usize = 70;
    let lists = [&service.command, &service.args, &service.env];
    let words = lists.into_iter().flatten().flatten().map(|word| word.len() + 2);
    let exposes = service.expose.iter().map(|expose| {
        let hosts: usize = expose.accept.iter().flatten().map(|host| host.name.len() + 2).sum();
        (EXPOSE + hosts).saturating_mul(expose.to.len().max(1))
    });
    let mounts = service.params.iter().flat_map(|params| params.storage.values());
    let mounts =
        mounts.map(|mount| mount.mount.len() + 20 + mount.data.as_ref().map_or(0, |_| BUNDLE));
    let fixed = EXPOSE + service.image.len();
    words.chain(exposes).chain(mounts).fold(fixed, usize::saturating_add)
}

/// A number for each leased IP: over all exposes' `to` that are not plain global, the endpoint's
/// name or "", sorted, numbered from 1 with duplicates included; the last number wins.
fn sequence_numbers(sdl: &Sdl) -> BTreeMap<&str, u32> {
    let mut names: Vec<&str> = Vec::new();
    for service in sdl.deployment.keys().filter_map(|name| sdl.services.get(name)) {
        let all = service.expose.iter().flat_map(|expose| &expose.to);
        names.extend(all.filter(|to| !to.global || !to.ip.is_empty()).map(|to| to.ip.as_str()));
    }
    names.sort_unstable();
    names.into_iter().zip(1..).collect()
}

/// A group while its services are added, which happens in the order of their names.
struct Building {
    spec: GroupSpec,
    group: Group,
    /// Which unit of `spec.resources` a profile has, where units are shared.
    units: BTreeMap<String, usize>,
}

impl Building {
    fn new(sdl: &Sdl, placement: &str) -> Option<Self> {
        let spec = GroupSpec {
            name: placement.to_owned(),
            requirements: sdl.placements.get(placement)?.requirements.clone(),
            resources: Vec::new(),
            reclamation_window: sdl.reclamation,
            duration: sdl.market.duration,
        };
        let group = Group { name: placement.to_owned(), services: Vec::new() };
        Some(Self { spec, group, units: BTreeMap::new() })
    }

    fn add(
        &mut self,
        sdl: &Sdl,
        name: &str,
        deploy: &Deploy,
        numbers: &BTreeMap<&str, u32>,
    ) -> Option<()> {
        let service = sdl.services.get(name)?;
        let expose = exposes(service, numbers);
        let mut unit = sdl.compute.get(&deploy.profile)?.clone();
        unit.endpoints = expose.iter().flat_map(Expose::endpoints).collect();
        unit.id = self.account(sdl, deploy, &unit)?;
        self.require_tee(service);
        self.group.services.push(Service {
            name: name.to_owned(),
            image: service.image.clone(),
            command: service.command.clone(),
            args: service.args.clone(),
            env: service.env.clone(),
            resources: unit,
            count: deploy.count,
            expose,
            params: service.params.as_ref().map(|params| params.to_model()),
            credentials: service.credentials.as_ref().map(|found| credentials(sdl.version, found)),
            egress: service.egress,
        });
        Some(())
    }

    /// Adds the service's unit to the order, or its count to the unit that it shares. Returns
    /// the unit's id.
    fn account(&mut self, sdl: &Sdl, deploy: &Deploy, unit: &ResourceUnit) -> Option<u32> {
        let resources = &mut self.spec.resources;
        if let Some(shared) = self.units.get(&deploy.profile).and_then(|at| resources.get_mut(*at))
        {
            shared.count = shared.count.saturating_add(deploy.count);
            let endpoints = &mut shared.resource.endpoints;
            endpoints.extend(&unit.endpoints);
            endpoints.sort_by_key(|endpoint| endpoint.sequence_number);
            return Some(shared.resource.id);
        }
        let id = u32::try_from(resources.len()).ok()?.checked_add(1)?;
        if sdl.version == Version::UnitPerProfile {
            self.units.insert(deploy.profile.clone(), resources.len());
        }
        let placement = sdl.placements.get(&self.spec.name)?;
        resources.push(ResourceSpec {
            resource: ResourceUnit { id, ..unit.clone() },
            count: deploy.count,
            price: placement.pricing.get(&deploy.profile)?.clone(),
        });
        Some(id)
    }

    /// A trusted execution environment is something that the provider must have.
    fn require_tee(&mut self, service: &ServiceSdl) {
        const KEY: &str = "tee/type";
        let Some((_, kind)) = service.params.as_ref().and_then(|params| params.tee) else { return };
        let attributes = &mut self.spec.requirements.attributes;
        if !attributes.iter().any(|attribute| attribute.key == KEY) {
            attributes.push(Attribute::new(KEY, kind.as_str()));
            attributes.sort();
        }
    }
}

/// One expose for each `to`, or one for nobody; sorted, equals in the order of the file.
fn exposes(service: &ServiceSdl, numbers: &BTreeMap<&str, u32>) -> Vec<Expose> {
    let mut list: Vec<Expose> = Vec::new();
    for found in &service.expose {
        if found.to.is_empty() {
            list.push(expose(found, None, 0));
        }
        for to in &found.to {
            let leased = to.global && !to.ip.is_empty();
            let number = numbers.get(to.ip.as_str()).copied().filter(|_| leased);
            list.push(expose(found, Some(to), number.unwrap_or(0)));
        }
    }
    list.sort_by(|a, b| a.order().cmp(&b.order()));
    list
}

fn expose(found: &ExposeSdl, to: Option<&ToSdl>, number: u32) -> Expose {
    let host_names =
        |hosts: &Vec<crate::expose::Host>| hosts.iter().map(|host| host.name.clone()).collect();
    Expose {
        port: found.port,
        external_port: found.external,
        proto: found.proto,
        service: to.map(|to| to.service.clone()).unwrap_or_default(),
        global: to.is_some_and(|to| to.global),
        hosts: found.accept.as_ref().map(host_names),
        http_options: found.http.clone(),
        ip: to.map(|to| to.ip.clone()).unwrap_or_default(),
        endpoint_sequence_number: number,
    }
}

/// 2.0 knows no email; 2.1 trims.
fn credentials(version: Version, found: &Credentials) -> Credentials {
    match version {
        Version::UnitPerService => Credentials { email: String::new(), ..found.clone() },
        Version::UnitPerProfile => Credentials {
            host: found.host.trim().to_owned(),
            email: found.email.trim().to_owned(),
            username: found.username.trim().to_owned(),
            password: found.password.trim().to_owned(),
        },
    }
}

/// What the chain would refuse by its default bounds.
fn bounds(specs: &[GroupSpec], manifest: &Manifest) -> Vec<String> {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut found = Vec::new();
    found.extend(limits::GROUPS.complaint("the number of groups", number(specs.len()), plain));
    for spec in specs {
        let units = number(spec.resources.len());
        let what = format!("the number of resource units at `{}`", spec.name);
        found.extend(limits::UNITS.complaint(&what, units, plain));
        for unit in &spec.resources {
            let what =
                format!("`{}`, resource {}: the number of endpoints", spec.name, unit.resource.id);
            let endpoints = number(unit.resource.endpoints.len());
            found.extend(limits::ENDPOINTS.complaint(&what, endpoints, plain));
            let what = format!("`{}`, resource {}: the count", spec.name, unit.resource.id);
            // One service's count is warned of where it stands.
            if users(manifest, &spec.name, unit.resource.id) > 1 {
                found.extend(limits::COUNT.complaint(&what, u64::from(unit.count), plain));
            }
        }
    }
    found
}

/// How many services of a group have a unit.
fn users(manifest: &Manifest, group: &str, id: u32) -> usize {
    let services = manifest.group(group).map(|group| group.services.as_slice());
    services.unwrap_or_default().iter().filter(|service| service.resources.id == id).count()
}
