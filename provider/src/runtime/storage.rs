//! What instances have written, measured where it lies: writable layers,
//! volumes, and the files that the engine mounts into each container.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, MountPoint};
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::disk::used_bytes;
use super::names::{key_of, label, InstanceKey, Names, Role};
use super::remove::Filter;
use super::{DockerBackend, RuntimeError};

/// Inspections under way at a time.
const PARALLEL: usize = 8;

/// What an instance has written to one kind of storage, against its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageUse {
    pub key: InstanceKey,
    /// The workload's container, by the engine's id.
    pub container: String,
    /// The container runs, or will without anybody's doing.
    pub live: bool,
    /// A persistent volume by its name; `None`: ephemeral storage, which is
    /// the writable layer and the container's unnamed volumes.
    pub volume: Option<String>,
    pub used_bytes: u64,
    /// 0: none was sold.
    pub limit_bytes: u64,
}

impl DockerBackend {
    /// Storage of every instance. All that was written is walked for it, so
    /// ask every half a minute rather than every second.
    pub(super) async fn measure_storage(&self) -> Result<Vec<StorageUse>, RuntimeError> {
        let filter = self.label_filter(&[(label::ROLE, Role::Workload.as_str())]);
        let ids = self.container_names(&filter).await?;
        let inspections =
            ids.into_iter().map(|id| async move { self.inspect_container(&id).await });
        let found: Vec<_> =
            futures::stream::iter(inspections).buffer_unordered(PARALLEL).try_collect().await?;
        let found: Vec<ContainerInspectResponse> = found.into_iter().flatten().collect();
        let sizes = match found.iter().all(|one| layer_here(one).is_some()) {
            true => HashMap::new(),
            false => self.layer_sizes(&filter).await?,
        };
        let names = self.names.clone();
        let measure = move || {
            let uses = found.iter().filter_map(|one| storage_use(one, &sizes, &names));
            uses.flatten().collect()
        };
        tokio::task::spawn_blocking(measure).await.map_err(|error| RuntimeError::Unknown {
            during: "measuring what was written".into(),
            cause: error.to_string(),
        })
    }

    /// Bytes of the writable layers by container, as the engine counts them:
    /// for layers that this process cannot walk.
    async fn layer_sizes(&self, filter: &Filter) -> Result<HashMap<String, u64>, RuntimeError> {
        let options =
            ListContainersOptionsBuilder::default().all(true).size(true).filters(filter).build();
        let call = self.docker.list_containers(Some(options));
        let listed =
            self.bounded("measuring containers", self.config.deadlines.measure, call).await?;
        let size = |bytes: Option<i64>| bytes.and_then(|b| u64::try_from(b).ok()).unwrap_or(0);
        Ok(listed.into_iter().filter_map(|one| Some((one.id?, size(one.size_rw)))).collect())
    }
}

/// The writable layer's directory, where this process can walk it.
fn layer_here(container: &ContainerInspectResponse) -> Option<&Path> {
    let layer = container.graph_driver.as_ref()?.data.get("UpperDir")?;
    std::fs::read_dir(layer).is_ok().then(|| Path::new(layer))
}

/// `None` where the labels do not say whose it is. Blocking.
fn storage_use(
    container: &ContainerInspectResponse,
    layer_sizes: &HashMap<String, u64>,
    names: &Names,
) -> Option<Vec<StorageUse>> {
    let labels = container.config.as_ref()?.labels.as_ref()?;
    let key = key_of(labels)?;
    let id = container.id.as_ref()?;
    let state = container.state.as_ref().and_then(|state| state.status);
    let live = matches!(
        state,
        Some(
            ContainerStateStatusEnum::RUNNING
                | ContainerStateStatusEnum::RESTARTING
                | ContainerStateStatusEnum::PAUSED
        )
    );
    let one = |volume: Option<&str>, used_bytes: u64, limit_bytes: u64| StorageUse {
        key: key.clone(),
        container: id.clone(),
        live,
        volume: volume.map(String::from),
        used_bytes,
        limit_bytes,
    };
    let mounts = container.mounts.as_deref().unwrap_or_default();
    // Persistent volumes are named by us, and have limits of their own; what
    // else is named by us goes with the container.
    let passing = names.passing_prefix(&key);
    let unnamed = |mount: &&MountPoint| {
        let ours = |name: &String| !name.starts_with("st-") || name.starts_with(&passing);
        mount.typ.as_deref() == Some("volume") && mount.name.as_ref().is_some_and(ours)
    };
    let layer = match layer_here(container) {
        Some(path) => used_bytes(path),
        None => layer_sizes.get(id).copied().unwrap_or(0),
    };
    let written = mounts.iter().filter(unnamed).map(mount_bytes);
    let ephemeral = written.fold(layer, u64::saturating_add).saturating_add(given_files(container));
    let mut uses = vec![one(None, ephemeral, labels.get(label::EPHEMERAL)?.parse().ok()?)];
    let limits = labels.get(label::VOLUME_LIMITS).map(String::as_str).unwrap_or_default();
    for (volume, limit) in limits.split(',').filter_map(|limit| limit.split_once('=')) {
        let name = names.volume(&key, volume);
        let mount = mounts.iter().find(|mount| mount.name.as_ref() == Some(&name));
        if let (Some(mount), Ok(limit)) = (mount, limit.parse()) {
            uses.push(one(Some(volume), mount_bytes(mount), limit));
        }
    }
    Some(uses)
}

fn mount_bytes(mount: &MountPoint) -> u64 {
    mount.source.as_ref().map_or(0, |source| used_bytes(Path::new(source)))
}

/// The engine mounts its own `/etc/hosts`, `/etc/resolv.conf` and
/// `/etc/hostname` into a container, which may write to them: they lie in no
/// layer and under no quota.
fn given_files(container: &ContainerInspectResponse) -> u64 {
    let paths = [&container.hosts_path, &container.resolv_conf_path, &container.hostname_path];
    let sizes = paths.into_iter().flatten().filter_map(|path| std::fs::metadata(path).ok());
    sizes.map(|metadata| metadata.blocks().saturating_mul(512)).fold(0, u64::saturating_add)
}
