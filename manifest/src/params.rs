//! `services.NAME.params`: mounts, permissions, trusted execution.

use std::collections::BTreeMap;

use crate::diagnostics::{Diags, Pos};
use crate::image::{self, Blob};
use crate::model::{Params, Permissions, Tee, TeeKind};
use crate::names;
use crate::node::Field;
use crate::options::Options;
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
    /// What is in it at first, and where the file says so.
    pub data: Option<DataSdl>,
}

/// A volume's first content.
pub(crate) struct DataSdl {
    pub at: Pos,
    pub path: String,
    pub blob: Blob,
}

impl ParamsSdl {
    pub fn to_model(&self) -> Params {
        let mount = |(name, mount): (&String, &MountSdl)| crate::model::Mount {
            name: name.clone(),
            mount: mount.mount.clone(),
            read_only: mount.read_only,
            data: mount.data.as_ref().map(|data| data.blob.to_string()),
        };
        Params {
            storage: self.storage.iter().map(mount).collect(),
            permissions: self.permissions.clone(),
            tee: self.tee.map(|(_, kind)| Tee { kind, attestation: true }),
        }
    }
}

const KEYS: &[&str] = &["storage", "permissions", "tee"];
const MOUNT_KEYS: &[&str] = &["mount", "readOnly", "data"];

pub(crate) fn read(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<ParamsSdl> {
    let map = field.map(KEYS, diags)?;
    let storage = map.get("storage").map(|field| mounts(&field, options, diags));
    Some(ParamsSdl {
        storage: storage.unwrap_or_default(),
        permissions: map.get("permissions").and_then(|field| permissions(&field, diags)),
        tee: map.get("tee").and_then(|field| tee(&field, diags)),
    })
}

fn mounts(field: &Field<'_>, options: &Options, diags: &mut Diags) -> BTreeMap<String, MountSdl> {
    let mut mounts: BTreeMap<String, MountSdl> = BTreeMap::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (volume, field) in field.names(diags).unwrap_or_default() {
        let Some(map) = field.map(MOUNT_KEYS, diags) else { continue };
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
            data: map.get("data").and_then(|field| data(&field, options, diags)),
        };
        mounts.insert(volume.to_owned(), found);
    }
    mounts
}

fn data(field: &Field<'_>, options: &Options, diags: &mut Diags) -> Option<DataSdl> {
    let path = field.text(diags)?;
    if !image::is_file(path) {
        let message = format!("`{}` does not name an archive or a folder", shown(path));
        diags.push(field.error(message).help(
            "name what is to be in the volume by a path that begins with ./, ../ or /: `data: \
             ./site.tar`",
        ));
        return None;
    }
    let Some(blob) = options.bundles.get(path) else {
        let message = format!("the archive `{}` was not read", shown(path));
        diags.push(
            field.error(message).help("it must be there beside the SDL file: a tar or a folder"),
        );
        return None;
    };
    Some(DataSdl { at: field.at(), path: field.path.clone(), blob: *blob })
}

/// The files that a service's volumes name as their content, with line and column.
pub(crate) fn data_files(params: &Field<'_>) -> Vec<(String, u32, u32)> {
    let mut unheard = Diags::default();
    let storage = params.map(KEYS, &mut unheard).and_then(|map| map.get("storage"));
    let mounts = storage.and_then(|storage| storage.names(&mut unheard)).unwrap_or_default();
    let mut files = Vec::new();
    for (_, mount) in mounts {
        let data = mount.map(MOUNT_KEYS, &mut unheard).and_then(|map| map.get("data"));
        let Some(field) = data else { continue };
        if let Some(path) = field.text(&mut unheard).filter(|path| image::is_file(path)) {
            files.push((path.to_owned(), field.at().line, field.at().column));
        }
    }
    files
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
