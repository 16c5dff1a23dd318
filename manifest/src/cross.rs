//! The rules that hold between sections: what one names, another must declare.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Diagnostic, Diags, Pos};
use crate::expose::{ExposeSdl, ToSdl};
use crate::model::{Proto, ResourceUnit, Storage, TeeKind};
use crate::node::join;
use crate::params::DataSdl;
use crate::sdl::{Deploy, Sdl, Version};
use crate::services::ServiceSdl;
use crate::suggest;
use crate::units::{show_bytes, shown};

/// Checks everything that needs more than one section.
pub(crate) fn check(sdl: &Sdl, diags: &mut Diags) {
    check_deployment(sdl, diags);
    check_services(sdl, diags);
    check_endpoints(sdl, diags);
    if diags.has_errors() {
        return; // The rest asks about services at their placements, which must be there.
    }
    for (service, placement, deploy) in sdl.deployed() {
        let (Some(found), Some(unit)) =
            (sdl.services.get(service), sdl.compute.get(&deploy.profile))
        else {
            continue;
        };
        check_mounts(sdl.version, found, unit, deploy, diags);
        check_tee(found, unit, placement, deploy, diags);
    }
    check_tee_agrees(sdl, diags);
    check_hosts(sdl, diags);
    check_one_global(sdl, diags);
    check_one_denom(sdl, diags);
}

fn check_deployment(sdl: &Sdl, diags: &mut Diags) {
    for (service, deployed) in &sdl.deployment {
        if !sdl.services.contains_key(service) {
            let path = join("deployment", service);
            diags.push(undeclared(deployed.at, &path, "service", service, sdl.services.keys()));
        }
    }
    for (_, placement, deploy) in sdl.deployed() {
        let Some(found) = sdl.placements.get(placement) else {
            let known = sdl.placements.keys();
            diags.push(undeclared(deploy.at, &deploy.path, "placement", placement, known));
            continue;
        };
        let profile = &deploy.profile;
        if !sdl.compute.contains_key(profile) {
            let known = sdl.compute.keys();
            let (at, path) = (deploy.profile_at, join(&deploy.path, "profile"));
            diags.push(undeclared(at, &path, "compute profile", profile, known));
        } else if !found.pricing.contains_key(profile) {
            let (profile, placement) = (shown(profile), shown(placement));
            let message = format!("placement `{placement}` has no price for profile `{profile}`");
            let (at, path) = (deploy.profile_at, join(&deploy.path, "profile"));
            diags.push(Diagnostic::error(at, &path, message).help(format!(
                "add `profiles.placement.{placement}.pricing.{profile}: {{denom, amount}}`"
            )));
        }
    }
}

/// A name that is used and not declared.
fn undeclared<'a>(
    at: Pos,
    path: &str,
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> Diagnostic {
    const MOST_LISTED: usize = 200;
    let known: Vec<&str> = known.map(String::as_str).take(MOST_LISTED).collect();
    let message = format!("there is no {what} named `{}`", shown(name));
    let found = Diagnostic::error(at, path, message);
    match suggest::nearest(name, known.iter().copied()) {
        Some(word) => found.help(format!("did you mean `{}`?", shown(word))),
        None if known.is_empty() => found.help(format!("declare the {what} first")),
        None => {
            let few: Vec<_> = known.iter().take(10).map(|word| shown(word)).collect();
            found.help(format!("declared: {}", few.join(", ")))
        }
    }
}

fn check_services(sdl: &Sdl, diags: &mut Diags) {
    for (name, service) in &sdl.services {
        if !sdl.deployment.contains_key(name) {
            let message = "the service is not in `deployment`, so it will not run";
            diags.push(Diagnostic::warning(service.at, &service.path, message));
        }
        for (at, path, other) in &service.dependencies {
            if !sdl.services.contains_key(other) {
                let message = format!("there is no service named `{}`", shown(other));
                diags.push(Diagnostic::warning(*at, path, message));
            }
        }
        for to in service.expose.iter().flat_map(|expose| &expose.to) {
            check_to(sdl, to, diags);
        }
    }
}

fn check_to(sdl: &Sdl, to: &ToSdl, diags: &mut Diags) {
    if to.service.is_empty() {
        return;
    }
    let path = join(&to.path, "service");
    if !sdl.services.contains_key(&to.service) {
        diags.push(undeclared(to.at, &path, "service", &to.service, sdl.services.keys()));
    } else if !sdl.deployment.contains_key(&to.service) {
        let message = format!("service `{}` is not in `deployment`", shown(&to.service));
        diags.push(Diagnostic::warning(to.at, &path, message));
    }
}

/// Leased IPs: each one named is declared, each one declared is used, no port of one twice.
fn check_endpoints(sdl: &Sdl, diags: &mut Diags) {
    let mut used = BTreeSet::new();
    let mut ports: BTreeMap<(&str, u16, Proto), &str> = BTreeMap::new();
    for (name, ..) in sdl.deployed() {
        let Some(service) = sdl.services.get(name) else { continue };
        for (expose, to) in leased(service) {
            let path = join(&to.path, "ip");
            if !sdl.endpoints.contains_key(&to.ip) {
                let known = sdl.endpoints.keys();
                diags.push(undeclared(to.at, &path, "endpoint", &to.ip, known));
            }
            used.insert(&to.ip);
            let port = if expose.external == 0 { expose.port } else { expose.external };
            if let Some(other) = ports.insert((&to.ip, port, expose.proto), name) {
                let proto = expose.proto;
                let message = format!("service `{other}` has {proto} port {port} of this IP");
                diags.push(Diagnostic::error(to.at, &path, message).help(
                    "choose another `as`, declare another endpoint, or run the service at one \
                     placement",
                ));
            }
        }
    }
    for (name, at) in sdl.endpoints.iter().filter(|(name, _)| !used.contains(name)) {
        let path = join("endpoints", name);
        let message = "the endpoint is declared and never used";
        diags.push(Diagnostic::error(*at, &path, message).help(format!(
            "use it (`to: [{{global: true, ip: {}}}]`), or take it away",
            shown(name)
        )));
    }
}

fn leased(service: &ServiceSdl) -> impl Iterator<Item = (&ExposeSdl, &ToSdl)> {
    service
        .expose
        .iter()
        .flat_map(|expose| expose.to.iter().map(move |to| (expose, to)))
        .filter(|(_, to)| !to.ip.is_empty())
}

/// Mounts name volumes that are there; persistent volumes are mounted.
fn check_mounts(
    version: Version,
    service: &ServiceSdl,
    unit: &ResourceUnit,
    deploy: &Deploy,
    diags: &mut Diags,
) {
    let mounts = service.params.as_ref().map(|params| &params.storage);
    for (name, mount) in mounts.into_iter().flatten() {
        let profile = shown(&deploy.profile);
        let Some(volume) = unit.storage.iter().find(|volume| volume.name == *name) else {
            let names: Vec<_> = unit.storage.iter().map(|volume| shown(&volume.name)).collect();
            let message =
                format!("compute profile `{profile}` has no volume named `{}`", shown(name));
            diags.push(Diagnostic::error(mount.at, &mount.path, message).help(format!(
                "its volumes: {}; write `storage` as a list to name them",
                names.join(", ")
            )));
            continue;
        };
        if mount.read_only && volume.attribute("class") == Some("ram") {
            let message = "a volume of class ram cannot be read-only: it begins empty";
            diags.push(match version {
                Version::UnitPerProfile => Diagnostic::error(mount.at, &mount.path, message)
                    .help("take `readOnly: true` away"),
                Version::UnitPerService => Diagnostic::warning(mount.at, &mount.path, message),
            });
        }
        if let Some(data) = &mount.data {
            check_data(data, volume, diags);
        }
    }
    for volume in unit.storage.iter().filter(|volume| volume.is_persistent()) {
        if mounts.is_none_or(|mounts| !mounts.contains_key(&volume.name)) {
            let name = shown(&volume.name);
            let path = join(&join(&service.path, "params"), "storage");
            let message = format!(
                "persistent volume `{name}` of compute profile `{}` is not mounted",
                shown(&deploy.profile)
            );
            diags.push(
                Diagnostic::error(service.at, &path, message)
                    .help(format!("add `params: {{storage: {{{name}: {{mount: /PATH}}}}}}`")),
            );
        }
    }
}

/// A volume's first content is one that it can have.
fn check_data(data: &DataSdl, volume: &Storage, diags: &mut Diags) {
    if volume.class() == "ram" {
        let message = "a volume of class ram begins empty at every start: it can have no `data`";
        diags.push(
            Diagnostic::error(data.at, &data.path, message)
                .help("take `class: ram` away, or copy the data there when the service starts"),
        );
    } else if data.blob.bytes > volume.size {
        let message = format!(
            "the archive has {}, and the volume {}",
            show_bytes(data.blob.bytes),
            show_bytes(volume.size)
        );
        diags.push(
            Diagnostic::error(data.at, &data.path, message).help("make the volume's `size` larger"),
        );
    }
}

fn check_tee(
    service: &ServiceSdl,
    unit: &ResourceUnit,
    placement: &str,
    deploy: &Deploy,
    diags: &mut Diags,
) {
    let Some((at, TeeKind::CpuGpu)) = tee(service) else { return };
    if unit.gpu.units == 0 {
        let message = format!(
            "cpu-gpu needs GPUs, and compute profile `{}` at placement `{}` has none",
            shown(&deploy.profile),
            shown(placement)
        );
        diags.push(
            Diagnostic::error(at, &tee_path(service), message)
                .help("write `tee: cpu`, or add `gpu` to the profile"),
        );
    }
}

fn tee(service: &ServiceSdl) -> Option<(Pos, TeeKind)> {
    service.params.as_ref().and_then(|params| params.tee)
}

fn tee_path(service: &ServiceSdl) -> String {
    join(&join(&service.path, "params"), "tee")
}

/// The kind becomes an attribute that the placement requires, so there can be but one.
fn check_tee_agrees(sdl: &Sdl, diags: &mut Diags) {
    let mut kinds: BTreeMap<&str, TeeKind> = BTreeMap::new();
    for (name, placement, _) in sdl.deployed() {
        let Some(service) = sdl.services.get(name) else { continue };
        let Some((at, kind)) = tee(service) else { continue };
        let first = *kinds.entry(placement).or_insert(kind);
        let written = sdl.placements.get(placement).and_then(|found| {
            found.requirements.attributes.iter().find(|attribute| attribute.key == "tee/type")
        });
        let other = match written {
            Some(attribute) if attribute.value != kind.as_str() => Some(attribute.value.as_str()),
            _ => (first != kind).then(|| first.as_str()),
        };
        if let Some(other) = other {
            let message = format!(
                "placement `{}` already asks for {}; a placement can have one kind",
                shown(placement),
                shown(other)
            );
            diags.push(
                Diagnostic::error(at, &tee_path(service), message)
                    .help("use the same kind, or another placement"),
            );
        }
    }
}

/// Each host name once in the whole manifest, where an expose stands once for each of its `to`.
fn check_hosts(sdl: &Sdl, diags: &mut Diags) {
    let mut seen: BTreeMap<&str, Pos> = BTreeMap::new();
    for (name, ..) in sdl.deployed() {
        let Some(service) = sdl.services.get(name) else { continue };
        for expose in &service.expose {
            for host in expose.accept.iter().flatten() {
                let repeated = expose.to.len() > 1;
                let first = seen.insert(&host.name, host.at);
                let reason = match first {
                    Some(first) if first == host.at => {
                        "is at two placements; a host name leads to one".to_owned()
                    }
                    Some(first) => format!("is there twice, first on line {}", first.line),
                    None if repeated => "belongs to more than one `to`".to_owned(),
                    None => continue,
                };
                let message = format!("host name `{}` {reason}", shown(&host.name));
                diags.push(
                    Diagnostic::error(host.at, &host.path, message)
                        .help("give each expose, with one `to`, host names of its own"),
                );
            }
        }
    }
}

fn check_one_global(sdl: &Sdl, diags: &mut Diags) {
    let mut services = sdl.deployed().filter_map(|(name, ..)| sdl.services.get(name));
    let global = services
        .any(|service| service.expose.iter().flat_map(|expose| &expose.to).any(|to| to.global));
    if !global {
        let message = "no deployed service is exposed to the world";
        diags.push(
            Diagnostic::error(sdl.deployment_at, "deployment", message)
                .help("one of them needs `expose: [{port: 80, to: [{global: true}]}]`"),
        );
    }
}

/// A deployment, its groups and its deposits are in one denom.
fn check_one_denom(sdl: &Sdl, diags: &mut Diags) {
    let price = |(_, placement, deploy)| -> Option<(&Deploy, &str)> {
        let deploy: &Deploy = deploy;
        let placement: &str = placement;
        let price = sdl.placements.get(placement)?.pricing.get(&deploy.profile)?;
        Some((deploy, price.denom.as_str()))
    };
    let mut first: Option<&str> = None;
    for (deploy, denom) in sdl.deployed().filter_map(price) {
        let first = *first.get_or_insert(denom);
        if first != denom {
            let message = format!("priced in {denom}, while others are priced in {first}");
            diags.push(
                Diagnostic::error(deploy.profile_at, &join(&deploy.path, "profile"), message)
                    .help("a deployment is paid in one denom: use the same everywhere"),
            );
        }
    }
}
