//! The file as a whole: its sections, read but not yet held against each other.

use std::collections::BTreeMap;

use crate::compute;
use crate::diagnostics::{Diags, Pos};
use crate::limits::{self, plain};
use crate::market::{self, MarketOptions};
use crate::model::ResourceUnit;
use crate::names;
use crate::node::{Field, Map};
use crate::options::Options;
use crate::placement::{self, Placement};
use crate::services::{self, ServiceSdl};
use crate::units::{shown, whole};

/// An SDL file.
#[derive(Default)]
pub(crate) struct Sdl {
    pub version: Version,
    pub services: BTreeMap<String, ServiceSdl>,
    pub compute: BTreeMap<String, ResourceUnit>,
    pub placements: BTreeMap<String, Placement>,
    pub deployment: BTreeMap<String, Deployed>,
    pub deployment_at: Pos,
    /// Where each leased IP is declared.
    pub endpoints: BTreeMap<String, Pos>,
    /// Seconds.
    pub reclamation: Option<u64>,
    pub market: MarketOptions,
}

impl Sdl {
    /// Every (service, placement, what runs there), by service, then placement.
    pub fn deployed(&self) -> impl Iterator<Item = (&str, &str, &Deploy)> {
        self.deployment.iter().flat_map(|(service, deployed)| {
            deployed
                .placements
                .iter()
                .map(move |(placement, deploy)| (service.as_str(), placement.as_str(), deploy))
        })
    }
}

/// How resource units are made, which is all that the version decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2.0: one for each service at a placement.
    #[default]
    UnitPerService,
    /// 2.1 and later: one for each compute profile at a placement.
    UnitPerProfile,
}

/// A service's placements, and where its name stands.
pub(crate) struct Deployed {
    pub at: Pos,
    pub placements: BTreeMap<String, Deploy>,
}

/// A service at a placement.
pub(crate) struct Deploy {
    /// Where the placement's name stands.
    pub at: Pos,
    /// Where the profile's name stands.
    pub profile_at: Pos,
    pub path: String,
    pub profile: String,
    pub count: u32,
}

const KEYS: &[&str] = &[
    "version",
    "services",
    "profiles",
    "deployment",
    "endpoints",
    "reclamation",
    "market",
    "include",
];

pub(crate) fn read(root: &Field<'_>, options: &Options, diags: &mut Diags) -> Sdl {
    let mut sdl = Sdl::default();
    let Some(map) = root.map(KEYS, diags) else { return sdl };
    if let Some(field) = map.get("include") {
        diags.push(field.warning("`include` is ignored: nothing is read from other files"));
    }
    sdl.version = version(&map, diags).unwrap_or_default();
    if let Some(field) = map.required("services", "say what runs: `services: {web: …}`", diags) {
        sdl.services = services::read(&field, options, diags);
    }
    read_profiles(&map, options, &mut sdl, diags);
    let help = "say what runs where: `deployment: {SERVICE: {PLACEMENT: {profile, count}}}`";
    if let Some(field) = map.required("deployment", help, diags) {
        sdl.deployment_at = field.name_at();
        sdl.deployment = deployment(&field, diags);
    }
    sdl.endpoints = map.get("endpoints").map(|field| endpoints(&field, diags)).unwrap_or_default();
    sdl.reclamation = map.get("reclamation").and_then(|field| market::reclamation(&field, diags));
    sdl.market = map.get("market").map(|field| market::read(&field, diags)).unwrap_or_default();
    sdl
}

fn read_profiles(map: &Map<'_>, options: &Options, sdl: &mut Sdl, diags: &mut Diags) {
    let help = "say what instances have and may cost: `profiles: {compute: …, placement: …}`";
    let Some(profiles) = map
        .required("profiles", help, diags)
        .and_then(|field| field.map(&["compute", "placement"], diags))
    else {
        return;
    };
    let help = "say what an instance has: `compute: {NAME: {resources: {cpu, memory, storage}}}`";
    if let Some(field) = profiles.required("compute", help, diags) {
        sdl.compute = compute::read(&field, diags);
    }
    let help = "say where and at what price: `placement: {NAME: {pricing: …}}`";
    if let Some(field) = profiles.required("placement", help, diags) {
        sdl.placements = placement::read(&field, options, diags);
    }
}

/// The service names' section alone, for whoever wants to know which files it names.
pub(crate) fn services_of<'a>(root: &Field<'a>) -> Option<Field<'a>> {
    root.map(KEYS, &mut Diags::default())?.get("services")
}

fn version(map: &Map<'_>, diags: &mut Diags) -> Option<Version> {
    let help = "begin the file with `version: \"2.0\"` or `version: \"2.1\"`";
    let field = map.required("version", help, diags)?;
    let text = field.text(diags)?;
    let Some(number) = semantic(text) else {
        let message = format!("`{}` is not a version", shown(text));
        diags.push(field.error(message).help(help));
        return None;
    };
    match number {
        [2, 0, 0] => Some(Version::UnitPerService),
        number if number >= [2, 1, 0] => {
            if number > [2, 1, 0] {
                diags.push(field.warning(format!(
                    "the published SDL schema knows versions 2.0 and 2.1 only; {} is read as 2.1",
                    shown(text)
                )));
            }
            Some(Version::UnitPerProfile)
        }
        _ => {
            let message = format!("version {} is not supported", shown(text));
            diags.push(field.error(message).help(help));
            None
        }
    }
}

/// `2`, `2.1`, `v2.1.0` as three numbers.
fn semantic(text: &str) -> Option<[u64; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut number = [0; 3];
    let mut parts = text.split('.');
    for (place, part) in number.iter_mut().zip(parts.by_ref()) {
        *place = whole(part)?;
    }
    parts.next().is_none().then_some(number)
}

fn deployment(field: &Field<'_>, diags: &mut Diags) -> BTreeMap<String, Deployed> {
    let mut deployment = BTreeMap::new();
    let services = field.names(diags).unwrap_or_default();
    if services.is_empty() {
        diags.push(
            field
                .name_error("no service is deployed")
                .help("say what runs where: `SERVICE: {PLACEMENT: {profile: NAME, count: 1}}`"),
        );
    }
    for (service, field) in services {
        let mut placements = BTreeMap::new();
        let entries = field.names(diags).unwrap_or_default();
        if entries.is_empty() {
            diags.push(
                field
                    .name_error("no placement is named")
                    .help("say where it runs: `PLACEMENT: {profile: NAME, count: 1}`"),
            );
        }
        for (placement, field) in entries {
            if let Some(deploy) = deploy(&field, diags) {
                placements.insert(placement.to_owned(), deploy);
            }
        }
        deployment.insert(service.to_owned(), Deployed { at: field.name_at(), placements });
    }
    deployment
}

fn deploy(field: &Field<'_>, diags: &mut Diags) -> Option<Deploy> {
    let map = field.map(&["profile", "count"], diags)?;
    let profile = map.required("profile", "name a profile of `profiles.compute`", diags);
    let profile_field = profile?;
    let profile = profile_field.text(diags)?.to_owned();
    let count_field = map.required("count", "say how many instances run: `count: 1`", diags)?;
    let count = count_field.integer(1, u64::from(u32::MAX), diags)?;
    limits::COUNT.warn("the count", count, plain, &count_field, diags);
    Some(Deploy {
        at: field.name_at(),
        profile_at: profile_field.at(),
        path: field.path.clone(),
        profile,
        count: u32::try_from(count).ok()?,
    })
}

fn endpoints(field: &Field<'_>, diags: &mut Diags) -> BTreeMap<String, Pos> {
    let mut endpoints = BTreeMap::new();
    for (name, field) in field.names(diags).unwrap_or_default() {
        if !names::is_endpoint(name) {
            let message = format!("`{}` is not an endpoint's name", shown(name));
            diags.push(field.name_error(message).help(
                "use a lower-case letter, then at least one lower-case letter, digit, `-` or `_`",
            ));
        }
        let Some(map) = field.map(&["kind"], diags) else { continue };
        if let Some(kind) = map.required("kind", "the only kind is `kind: ip`", diags) {
            if let Some(other) = kind.text(diags).filter(|kind| *kind != "ip") {
                let message = format!("`{}` is not a kind of endpoint", shown(other));
                diags.push(kind.error(message).help("the only kind is `kind: ip`"));
            }
        }
        endpoints.insert(name.to_owned(), field.name_at());
    }
    endpoints
}

#[cfg(test)]
mod tests {
    use super::semantic;

    #[test]
    fn versions_as_people_write_them() {
        assert_eq!(semantic("2"), Some([2, 0, 0]));
        assert_eq!(semantic("2.0"), Some([2, 0, 0]));
        assert_eq!(semantic("v2.1.3"), Some([2, 1, 3]));
        for wrong in ["", "x", "2.", "2.0.0.0", "-2", "2.0-beta"] {
            assert_eq!(semantic(wrong), None, "{wrong}");
        }
    }
}
