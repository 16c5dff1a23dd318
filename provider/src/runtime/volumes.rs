//! Persistent volumes: made once, kept over updates and restarts, gone with
//! their lease. Where a class of storage lies is the operator's to say.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder};
use serde::{Deserialize, Serialize};

use super::container::volume_labels;
use super::error::{absent_is_none, spec_error};
use super::names::{label, InstanceKey};
use super::remove::Filter;
use super::spec::{VolumeClass, VolumeSpec, WorkloadSpec};
use super::{DockerBackend, RuntimeError};

/// Docker's driver for volumes on the engine's machine.
const LOCAL: &str = "local";

/// Where the volumes of a class of persistent storage lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all = "snake_case", deny_unknown_fields)]
pub enum VolumePlace {
    /// A directory below this one each, such as the mount point of a disk.
    Directory { directory: PathBuf },
    /// A Docker volume driver with its options.
    Driver {
        driver: String,
        #[serde(default)]
        options: BTreeMap<String, String>,
    },
}

/// By class; the engine's own directory where a class is not named.
pub type VolumePlaces = BTreeMap<String, VolumePlace>;

impl DockerBackend {
    /// Makes the volumes that are not there.
    pub(super) async fn ensure_volumes(&self, spec: &WorkloadSpec) -> Result<(), RuntimeError> {
        for volume in spec.volumes.iter().filter(|v| v.class == VolumeClass::Persistent) {
            let name = self.names.volume(&spec.key, &volume.name);
            match self.inspect_volume(&name).await? {
                Some(found) => {
                    self.check_own(&spec.key, &found)?;
                    match self.is_half_filled(&spec.key, volume, &found).await? {
                        true => self.make_anew(spec, volume, &name, &found).await?,
                        false => check_directory(&name, &found)?,
                    }
                }
                None => self.make_volume(spec, volume, &name).await?,
            }
        }
        Ok(())
    }

    /// A volume of that name that is another's is not touched.
    pub(super) fn check_own(&self, key: &InstanceKey, volume: &Volume) -> Result<(), RuntimeError> {
        match volume.labels.get(label::PROVIDER) {
            Some(provider) if provider == self.names.provider_id() => Ok(()),
            _ => {
                let name = &volume.name;
                let problem = format!("a volume named {name} exists but is not this provider's");
                Err(spec_error(key, problem))
            }
        }
    }

    pub(super) async fn create_volume(
        &self,
        key: &InstanceKey,
        volume: &VolumeSpec,
        name: &str,
    ) -> Result<Volume, RuntimeError> {
        let place = match volume.class {
            VolumeClass::Persistent => self.config.volume_places.get(&volume.storage_class),
            _ => None,
        };
        let (driver, options) = match place {
            None => (LOCAL.to_string(), HashMap::new()),
            Some(VolumePlace::Driver { driver, options }) => {
                (driver.clone(), options.clone().into_iter().collect())
            }
            Some(VolumePlace::Directory { directory }) => {
                (LOCAL.to_string(), bound_to(&make_directory(directory, name)?)?)
            }
        };
        let request = VolumeCreateRequest {
            name: Some(name.into()),
            driver: Some(driver),
            driver_opts: Some(options),
            labels: Some(volume_labels(key, volume, &self.names)),
            ..VolumeCreateRequest::default()
        };
        let call = self.docker.create_volume(request);
        let during = format!("creating the volume {name}");
        let made = self.bounded(during, self.config.deadlines.change, call).await?;
        self.check_own(key, &made)?;
        Ok(made)
    }

    pub(super) async fn inspect_volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        let call = self.docker.inspect_volume(name);
        let during = format!("looking for the volume {name}");
        absent_is_none(self.bounded(during, self.config.deadlines.query, call).await)
    }

    /// Removes volumes with their directories; `prefix` is what the names of
    /// all of them begin with. First the bytes, then the name: what is cut
    /// off in between is found again by the name.
    pub(super) async fn remove_volumes(
        &self,
        filter: &Filter,
        prefix: &str,
    ) -> Result<(), RuntimeError> {
        let volumes = self.list_volumes(filter).await?;
        let mut directories: Vec<PathBuf> = volumes.iter().filter_map(own_directory).collect();
        directories.extend(self.pooled(prefix)?);
        let mut first_failure = remove_directories(directories).await;
        for volume in volumes {
            first_failure = first_failure.and(self.remove_volume_name(&volume.name).await);
        }
        first_failure
    }

    /// One with its directory.
    pub(super) async fn remove_volume(&self, volume: &Volume) -> Result<(), RuntimeError> {
        remove_directories(own_directory(volume).into_iter().collect()).await?;
        self.remove_volume_name(&volume.name).await
    }

    /// What the engine has of it; gone already is no error.
    pub(super) async fn remove_volume_name(&self, name: &str) -> Result<(), RuntimeError> {
        let options = RemoveVolumeOptionsBuilder::default().build();
        let call = self.docker.remove_volume(name, Some(options));
        let during = format!("removing the volume {name}");
        absent_is_none(self.bounded(during, self.config.deadlines.change, call).await).map(drop)
    }

    pub(super) async fn list_volumes(&self, filter: &Filter) -> Result<Vec<Volume>, RuntimeError> {
        let options = ListVolumesOptionsBuilder::default().filters(filter).build();
        let call = self.docker.list_volumes(Some(options));
        let found = self.bounded("listing volumes", self.config.deadlines.query, call).await?;
        Ok(found.volumes.unwrap_or_default())
    }

    /// Directories in the pools with names that begin so: those too whose
    /// volume was never made, for the daemon died before.
    fn pooled(&self, prefix: &str) -> Result<Vec<PathBuf>, RuntimeError> {
        let mut found = vec![];
        for place in self.config.volume_places.values() {
            let VolumePlace::Directory { directory } = place else { continue };
            let listing = std::fs::read_dir(directory).map_err(|e| unusable(directory, &e))?;
            let own = listing
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
            found.extend(own.map(|entry| entry.path()));
        }
        Ok(found)
    }
}

/// A volume of the local driver that is a directory elsewhere.
fn bound_to(directory: &Path) -> Result<HashMap<String, String>, RuntimeError> {
    let device = directory.to_str().ok_or_else(|| {
        RuntimeError::Setup(format!("the volume directory {} is not UTF-8", directory.display()))
    })?;
    let options = [("type", "none"), ("o", "bind"), ("device", device)];
    Ok(options.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
}

/// Where such a volume lies, if its directory is its own: named like it.
pub(super) fn own_directory(volume: &Volume) -> Option<PathBuf> {
    let device = PathBuf::from(volume.options.get("device")?);
    let bound = volume.options.get("o").is_some_and(|value| value == "bind");
    (bound && device.file_name()?.to_str()? == volume.name).then_some(device)
}

/// A volume that is there and whose directory is not is a disk that is not
/// mounted. An empty directory in its place would hide the tenant's data.
fn check_directory(name: &str, volume: &Volume) -> Result<(), RuntimeError> {
    match own_directory(volume) {
        Some(directory) if !directory.is_dir() => Err(RuntimeError::Setup(format!(
            "the directory {} of the volume {name} is not there; is its disk mounted?",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

fn make_directory(pool: &Path, name: &str) -> Result<PathBuf, RuntimeError> {
    let path = pool.join(name);
    match std::fs::DirBuilder::new().mode(0o755).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(unusable(pool, &error)),
        _ => Ok(path),
    }
}

/// Follows no link, whatever a tenant has put there.
async fn remove_directories(directories: Vec<PathBuf>) -> Result<(), RuntimeError> {
    let work = move || {
        let mut first_failure = Ok(());
        for path in directories {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    first_failure = first_failure.and(Err(unusable(&path, &error)));
                }
                _ => {}
            }
        }
        first_failure
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| RuntimeError::Setup(format!("removing directories: {error}")))?
}

fn unusable(path: &Path, error: &io::Error) -> RuntimeError {
    RuntimeError::Setup(format!("the directory of volumes {}: {error}", path.display()))
}
