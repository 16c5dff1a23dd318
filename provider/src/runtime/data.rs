//! What volumes hold at first.
//!
//! An archive that came with a deployment is made into an image at the engine
//! ([`super::bundle`]), as images are and on whichever machine needs it. From
//! there its files are copied into a volume by two containers that never run:
//! one of that image, and one that has the volume at a path of its own. Both
//! are removed before the workload's container is made: whether the workload may write to the volume
//! is of no matter, and nothing of the tenant's runs meanwhile.
//!
//! A *persistent* volume is filled when it is made, and never again. It is
//! labelled with what it is to hold; a second volume, which no workload sees,
//! says that it does. One with the label and without the other was never given
//! to a workload: it is removed and made anew. One without the label was there
//! before the manifest named data, and is left alone.
//!
//! Where an archive does not say whose its top folder is, that folder and what
//! is root's in it are given to the workload's user.
//!
//! A volume that *goes with its container* is filled anew for each container,
//! before that is made: where the container is, the volume is whole.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{lchown, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures::StreamExt;

use super::archive::{cannot_read, verify_blob};
use super::bundle::{Bundle, Limits, BYTES_LABEL, CONTENT, OWNERS_LABEL, TARGET};
use super::container::filler_body;
use super::image::{blocking, hash_of, loaded};
use super::names::{label, InstanceKey, Role};
use super::spec::{VolumeClass, VolumeSpec, WorkloadSpec};
use super::volumes::own_directory;
use super::{DockerBackend, ImageBlob, LoadedImage, RuntimeError};
use crate::failpoint::failpoint;

/// The image of an archive, and what its files take on a disk.
struct Content {
    image: String,
    bytes: u64,
    says_owners: bool,
}

impl DockerBackend {
    /// Makes an archive into the image that volumes are filled from, after
    /// checking its hash and all that is in it; does nothing where that was
    /// done before.
    pub async fn load_data(&self, blob: ImageBlob<'_>) -> Result<LoadedImage, RuntimeError> {
        let hash = hash_of(&blob)?;
        if let Some(image) = self.find_data(&hash).await? {
            return Ok(image);
        }
        let limits = Limits { bytes: self.config.image_limits.unpacked_bytes, ..Limits::default() };
        let (path, root, bytes) = (blob.path.to_owned(), hash.clone(), blob.bytes);
        let bundle = blocking(move || {
            verify_blob(&path, &root, bytes)?;
            let file = std::fs::File::open(&path).map_err(|e| cannot_read(&path, &e))?;
            Bundle::read(file, &limits).map(Arc::new)
        })
        .await?;
        let tag = self.names.data_tag(&hash);
        let (sent, name) = (Arc::clone(&bundle), tag.clone());
        self.send_to_engine(move |output| sent.write_image(&name, output)).await?;
        failpoint("runtime.after_data_load");
        self.check_loaded(std::slice::from_ref(bundle.diff_id()), &tag).await
    }

    /// The image of an archive that was loaded before, if the engine has it.
    pub async fn find_data(&self, blake3_hex: &str) -> Result<Option<LoadedImage>, RuntimeError> {
        let tag = self.names.data_tag(&blake3_hex.to_ascii_lowercase());
        Ok(self.inspect_image(&tag).await?.map(|image| loaded(&image)))
    }

    /// What is to be in a volume; `None` where it begins empty.
    async fn content(
        &self,
        key: &InstanceKey,
        volume: &VolumeSpec,
    ) -> Result<Option<Content>, RuntimeError> {
        let Some(root) = &volume.data else { return Ok(None) };
        let image = self.inspect_image(&self.names.data_tag(root)).await?;
        let image = image.ok_or_else(|| RuntimeError::DataMissing {
            instance: key.to_string(),
            volume: volume.name.clone(),
            blob: root.clone(),
        })?;
        let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
        let bytes = labels.get(BYTES_LABEL).and_then(|bytes| bytes.parse().ok());
        let bytes = bytes.unwrap_or(u64::MAX);
        if bytes > volume.bytes {
            let problem =
                format!("its files take {bytes} bytes, and the volume has {}", volume.bytes);
            return Err(data_error(key, volume, problem));
        }
        let says_owners = labels.get(OWNERS_LABEL).is_some_and(|says| says == "true");
        Ok(Some(Content { image: image.id.unwrap_or_default(), bytes, says_owners }))
    }

    /// Whether a persistent volume was made to be filled and never was.
    pub(super) async fn is_half_filled(
        &self,
        key: &InstanceKey,
        volume: &VolumeSpec,
        found: &Volume,
    ) -> Result<bool, RuntimeError> {
        let Some(data) = found.labels.get(label::DATA) else { return Ok(false) };
        let name = self.names.filled(key, &volume.name);
        let Some(mark) = self.inspect_volume(&name).await? else { return Ok(true) };
        self.check_own(key, &mark)?;
        let wanted = self.mark_labels(key, volume, data);
        Ok(wanted.iter().any(|(label, value)| mark.labels.get(label) != Some(value)))
    }

    /// A persistent volume that was cut off while it was being filled. No
    /// workload has ever had it.
    pub(super) async fn make_anew(
        &self,
        spec: &WorkloadSpec,
        volume: &VolumeSpec,
        name: &str,
        found: &Volume,
    ) -> Result<(), RuntimeError> {
        // Not before what is to be in it is here.
        self.content(&spec.key, volume).await?;
        self.remove_fillers(&spec.key).await?;
        self.remove_volume(found).await?;
        self.make_volume(spec, volume, name).await
    }

    /// Makes a persistent volume and fills it.
    pub(super) async fn make_volume(
        &self,
        spec: &WorkloadSpec,
        volume: &VolumeSpec,
        name: &str,
    ) -> Result<(), RuntimeError> {
        let key = &spec.key;
        let content = self.content(key, volume).await?;
        // Of a volume that somebody has taken away.
        let mark = self.names.filled(key, &volume.name);
        if let Some(old) = self.inspect_volume(&mark).await? {
            self.check_own(key, &old)?;
            self.remove_volume_name(&mark).await?;
        }
        let made = self.create_volume(key, volume, name).await?;
        let (Some(content), Some(data)) = (content, &volume.data) else { return Ok(()) };
        failpoint("runtime.after_data_volume_create");
        self.fill(spec, volume, &made, &content).await?;
        failpoint("runtime.after_data_fill");
        let request = VolumeCreateRequest {
            name: Some(mark.clone()),
            labels: Some(self.mark_labels(key, volume, data)),
            ..VolumeCreateRequest::default()
        };
        let call = self.docker.create_volume(request);
        let during = format!("creating the volume {mark}");
        self.bounded(during, self.config.deadlines.change, call).await?;
        failpoint("runtime.after_data_mark");
        Ok(())
    }

    fn mark_labels(
        &self,
        key: &InstanceKey,
        volume: &VolumeSpec,
        data: &str,
    ) -> HashMap<String, String> {
        let mut labels = self.names.labels(key, Role::Filled);
        labels.insert(label::VOLUME.into(), volume.name.clone());
        labels.insert(label::DATA.into(), data.into());
        labels
    }

    /// Whether all is here for volumes that go with the container.
    pub(super) async fn check_passing_data(&self, spec: &WorkloadSpec) -> Result<(), RuntimeError> {
        for volume in passing(spec) {
            self.content(&spec.key, volume).await?;
        }
        Ok(())
    }

    /// Makes and fills the volumes of a container that is about to be made.
    pub(super) async fn fill_passing_volumes(
        &self,
        spec: &WorkloadSpec,
    ) -> Result<(), RuntimeError> {
        self.remove_passing_volumes(&spec.key).await?;
        for volume in passing(spec) {
            let Some(content) = self.content(&spec.key, volume).await? else { continue };
            let name = self.names.passing_volume(&spec.key, &volume.name);
            let made = self.create_volume(&spec.key, volume, &name).await?;
            failpoint("runtime.after_passing_volume_create");
            self.fill(spec, volume, &made, &content).await?;
            failpoint("runtime.after_passing_volume_fill");
        }
        Ok(())
    }

    /// Those of an instance's container, which is gone.
    pub(super) async fn remove_passing_volumes(
        &self,
        key: &InstanceKey,
    ) -> Result<(), RuntimeError> {
        let filter = self.label_filter(&[
            (label::LEASE, &key.lease),
            (label::SERVICE, &key.service),
            (label::INSTANCE, &key.index.to_string()),
            (label::PASSING, "true"),
        ]);
        let found = self.list_volumes(&filter).await?;
        if !found.is_empty() {
            self.remove_fillers(key).await?;
        }
        for volume in found {
            self.remove_volume_name(&volume.name).await?;
        }
        Ok(())
    }

    /// Copies the files into a volume that nobody uses yet.
    async fn fill(
        &self,
        spec: &WorkloadSpec,
        volume: &VolumeSpec,
        made: &Volume,
        content: &Content,
    ) -> Result<(), RuntimeError> {
        let key = &spec.key;
        let names = self.names.instance(key);
        tracing::info!(instance = %key, volume = %volume.name, bytes = content.bytes, "filling");
        self.remove_fillers(key).await?;
        let body = |volume| filler_body(key, &content.image, &self.names, volume);
        self.create_container(&names.source, body(None)).await?;
        let volume_there = Some((made.name.as_str(), TARGET));
        self.create_container(&names.filler, body(volume_there)).await?;
        failpoint("runtime.after_filler_create");
        self.copy(&names.source, &names.filler).await.map_err(|error| match error {
            RuntimeError::Unknown { .. } => error,
            other => data_error(key, volume, other.to_string()),
        })?;
        if let Some(owner) = self.owner(spec, content).await? {
            let path = place_of(made);
            let work = move || give_to(&path, owner).map_err(|e| cannot_read(&path, &e));
            blocking(work).await.map_err(|error| data_error(key, volume, error.to_string()))?;
        }
        write_through(made).await.map_err(|error| data_error(key, volume, error.to_string()))?;
        self.remove_fillers(key).await
    }

    /// Whom the files are given to: the user and the group that the workload's
    /// image names by numbers.
    async fn owner(
        &self,
        spec: &WorkloadSpec,
        content: &Content,
    ) -> Result<Option<(u32, u32)>, RuntimeError> {
        if content.says_owners {
            return Ok(None);
        }
        let image = self.inspect_image(&spec.image.id).await?;
        let user = image.and_then(|image| image.config).and_then(|config| config.user);
        Ok(user.and_then(|user| by_number(&user)))
    }

    /// The containers by which an instance's volumes are filled.
    pub(super) async fn remove_fillers(&self, key: &InstanceKey) -> Result<(), RuntimeError> {
        let names = self.names.instance(key);
        self.remove_container(&names.filler).await?;
        self.remove_container(&names.source).await
    }

    /// From one container's image to the volume of another. The engine keeps
    /// either side within the container's own root, and locks a container for as
    /// long as it reads or writes its files: one alone would wait for itself.
    async fn copy(&self, source: &str, filler: &str) -> Result<(), RuntimeError> {
        let from = DownloadFromContainerOptionsBuilder::default().path(CONTENT).build();
        // A file never takes a directory's place, nor the other way round.
        let to = UploadToContainerOptionsBuilder::default().path("/").no_overwrite_dir_non_dir("1");
        let files = self.docker.download_from_container(source, Some(from));
        let body = bollard::body_try_stream(files.map(|piece| piece.map_err(io::Error::other)));
        let call = self.docker.upload_to_container(filler, Some(to.build()), body);
        self.bounded("copying its files", self.config.deadlines.image, call).await
    }
}

/// Volumes that go with the container and hold something at first.
fn passing(spec: &WorkloadSpec) -> impl Iterator<Item = &VolumeSpec> {
    spec.volumes.iter().filter(|v| v.class == VolumeClass::Ephemeral && v.data.is_some())
}

/// `USER` or `USER:GROUP`; a user alone is in group 0, as at the engine.
fn by_number(user: &str) -> Option<(u32, u32)> {
    let (user, group) = user.split_once(':').unwrap_or((user, "0"));
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// The folder and what is root's below it; follows no link. Nobody else is in
/// the volume. One that is not on this machine's disks stays as it is.
fn give_to(path: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if found.uid() == 0 && found.gid() == 0 {
        lchown(path, Some(user), Some(group))?;
    }
    if found.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give_to(&entry?.path(), (user, group))?;
        }
    }
    Ok(())
}

fn place_of(volume: &Volume) -> PathBuf {
    own_directory(volume).unwrap_or_else(|| PathBuf::from(&volume.mountpoint))
}

/// What was copied must outlive a power cut before anything says that it is
/// there. Where the volume does not lie on this machine's disks, its driver
/// sees to that.
async fn write_through(volume: &Volume) -> Result<(), RuntimeError> {
    let path = place_of(volume);
    let sync = move || match std::fs::File::open(&path) {
        Ok(directory) => nix::unistd::syncfs(directory).map_err(|e| cannot_read(&path, &e.into())),
        Err(_) => Ok(()),
    };
    blocking(sync).await
}

fn data_error(key: &InstanceKey, volume: &VolumeSpec, problem: String) -> RuntimeError {
    RuntimeError::Data { instance: key.to_string(), volume: volume.name.clone(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_by_number_alone() {
        assert_eq!(by_number("65532:65533"), Some((65532, 65533)));
        assert_eq!(by_number("1000"), Some((1000, 0)));
        assert!(["", "app", "app:1", "1:app", "-1"]
            .into_iter()
            .all(|user| by_number(user).is_none()));
    }
}
