//! `services.NAME.params`: mounts, permissions, trusted execution.

use std::collections::BTreeMap;

use crate::diagnostics::{Diags, Pos};
use crate::model::{Params, Permissions, Tee, TeeKind};
use crate::names;
use crate::node::Field;
use crate::units::shown;

/// A service's parameters as the file states them.
pub(crate) struct ParamsSdl {
    pub storage: BTreeMap<String, MountSdl>,
    pub permissions: Option<Permissions>,
    pub tee: Option<(Pos, TeeKind)>,
}

/// Where a volume is mounted.
pub(crate) struct MountSdl {
    pub at: Pos,
    pub path: String,
    pub mount: String,
    pub read_only: bool,
}

impl ParamsSdl {
    pub fn to_model(&self) -> Params {
        let mount = |(name, mount): (&String, &MountSdl)| crate::model::Mount {
            name: name.clone(),
            mount: mount.mount.clone(),
            read_only: mount.read_only,
        };
        Params {
            storage: self.storage.iter().map(mount).collect(),
            permissions: self.permissions.clone(),
            tee: self.tee.map(|(_, kind)| Tee { kind, attestation: true }),
        }
    }
}

pub(crate) fn read(field: &Field<'_>, diags: &mut Diags) -> Option<ParamsSdl> {
    let map = field.map(&["storage", "permissions", "tee"], diags)?;
    Some(ParamsSdl {
        storage: map.get("storage").map(|field| mounts(&field, diags)).unwrap_or_default(),
        permissions: map.get("permissions").and_then(|field| permissions(&field, diags)),
        tee: map.get("tee").and_then(|field| tee(&field, diags)),
    })
}

fn mounts(field: &Field<'_>, diags: &mut Diags) -> BTreeMap<String, MountSdl> {
    let mut mounts: BTreeMap<String, MountSdl> = BTreeMap::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (volume, field) in field.names(diags).unwrap_or_default() {
        let Some(map) = field.map(&["mount", "readOnly"], diags) else { continue };
        let help = "say where the volume appears: `mount: /data`";
        let Some(mount) = map.required("mount", help, diags) else { continue };
        let Some(path) = mount.text(diags) else { continue };
        if !names::is_mount(path) {
            let message = format!("`{}` is not an absolute path", shown(path));
            diags.push(mount.error(message).help("begin it with `/`, without `..`"));
        }
        if let Some(other) = taken.insert(path, volume) {
            let message = format!("volume `{}` is mounted at the same path", shown(other));
            diags.push(mount.error(message).help("give each volume a path of its own"));
        }
        let read_only = map.get("readOnly").and_then(|field| field.boolean(diags));
        let found = MountSdl {
            at: field.name_at(),
            path: field.path.clone(),
            mount: path.to_owned(),
            read_only: read_only.unwrap_or(false),
        };
        mounts.insert(volume.to_owned(), found);
    }
    mounts
}

const READABLE: &[&str] = &["deployment", "logs", "events"];

fn permissions(field: &Field<'_>, diags: &mut Diags) -> Option<Permissions> {
    let map = field.map(&["read"], diags)?;
    let mut read = Vec::new();
    for item in map.get("read").and_then(|field| field.list(diags)).unwrap_or_default() {
        let Some(what) = item.text(diags) else { continue };
        if !READABLE.contains(&what) {
            let message = format!("`{}` is not something that can be read", shown(what));
            diags.push(item.warning(message).help(format!("known: {}", READABLE.join(", "))));
        }
        read.push(what.to_owned());
    }
    Some(Permissions { read })
}

fn tee(field: &Field<'_>, diags: &mut Diags) -> Option<(Pos, TeeKind)> {
    let text = field.text(diags)?;
    let found = [TeeKind::Cpu, TeeKind::CpuGpu].into_iter().find(|kind| kind.as_str() == text);
    if found.is_none() {
        let message = format!("`{}` is not a trusted execution environment", shown(text));
        diags.push(field.error(message).help("write cpu or cpu-gpu"));
    }
    found.map(|kind| (field.at(), kind))
}
