//! Images: from a tarball that came with the deployment, or from a registry.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use bollard::auth::DockerCredentials;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, ListContainersOptionsBuilder,
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::archive::{self, ImagePlan};
use super::error::absent_is_none;
use super::names::IMAGE_HOST;
use super::pause::link_image_archive;
use super::{DockerBackend, RuntimeError};
use crate::failpoint::failpoint;

/// An image with this label set to `true` says of itself that it runs on a
/// read-only root. Nobody else can know, so this is the rule.
pub const READ_ONLY_ROOT_LABEL: &str = "stoa.read-only-root";

/// Pieces in which a tarball goes to the engine, and how many may wait.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS_WAITING: usize = 8;

/// A tarball and what the manifest says of it.
#[derive(Debug, Clone)]
pub struct ImageBlob<'a> {
    pub path: &'a Path,
    /// BLAKE3 root, 64 hex digits, and size, as in `blob:<hash>:<bytes>`.
    pub blake3_hex: &'a str,
    pub bytes: u64,
}

/// An image at the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedImage {
    /// The engine's id, to be put into a spec.
    pub id: String,
    /// Whether the image says that it runs on a read-only root.
    pub read_only_root: bool,
    /// Bytes on disk, shared layers included.
    pub bytes: u64,
}

/// A private registry's account. `Debug` shows no password.
#[derive(Clone)]
pub struct RegistryCredentials {
    pub host: String,
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryCredentials")
            .field("host", &self.host)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl DockerBackend {
    /// The image of a blob that was loaded before, if the engine has it.
    pub async fn find_blob_image(
        &self,
        blake3_hex: &str,
    ) -> Result<Option<LoadedImage>, RuntimeError> {
        let tag = self.names.blob_tag(blake3_hex);
        Ok(self.inspect_image(&tag).await?.map(|image| loaded(&image)))
    }

    /// An image by the engine's id.
    pub async fn find_image(&self, id: &str) -> Result<Option<LoadedImage>, RuntimeError> {
        Ok(self.inspect_image(id).await?.map(|image| loaded(&image)))
    }

    /// Loads a tarball (docker-archive or OCI layout) after checking its
    /// hash; does nothing where the same blob was loaded before.
    pub async fn load_blob_image(&self, blob: ImageBlob<'_>) -> Result<LoadedImage, RuntimeError> {
        let hash = hash_of(&blob)?;
        if let Some(image) = self.find_blob_image(&hash).await? {
            return Ok(image);
        }
        let plan = self.read_blob(blob.path, &hash, blob.bytes).await?;
        let tag = self.names.blob_tag(&hash);
        let (sent, name) = (Arc::clone(&plan), tag.clone());
        let write = move |output| archive::write_docker_archive(&sent, &name, output);
        self.send_to_engine(write).await?;
        failpoint("runtime.after_image_load");
        self.check_loaded(&plan.diff_ids, &tag).await
    }

    async fn read_blob(
        &self,
        path: &Path,
        hash: &str,
        bytes: u64,
    ) -> Result<Arc<ImagePlan>, RuntimeError> {
        let (path, hash, limits) = (path.to_owned(), hash.to_owned(), self.config.image_limits);
        blocking(move || {
            archive::verify_blob(&path, &hash, bytes)?;
            ImagePlan::read(&path, &limits).map(Arc::new)
        })
        .await
    }

    /// Streams an image's archive while a thread writes it.
    pub(super) async fn send_to_engine(
        &self,
        write: impl FnOnce(ChunkWriter) -> io::Result<()> + Send + 'static,
    ) -> Result<(), RuntimeError> {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        let writer = tokio::task::spawn_blocking(move || {
            write(ChunkWriter { sender, waiting: Vec::with_capacity(CHUNK_BYTES) })
        });
        let sent = self.import(ReceiverStream::new(receiver).map(Ok)).await;
        // Where the engine refused, the writer's broken pipe is no news.
        let written = writer.await.map_err(|e| RuntimeError::Archive(e.to_string()))?;
        sent?;
        written.map_err(|e| RuntimeError::Archive(format!("reading it again: {e}")))
    }

    async fn import(
        &self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), RuntimeError> {
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let answers = self.docker.import_image_stream(options, body, None);
        let call = answers.try_for_each(|_| std::future::ready(Ok(())));
        self.bounded("loading an image", self.config.deadlines.image, call).await
    }

    /// The name must now stand for exactly the layers that were sent.
    pub(super) async fn check_loaded(
        &self,
        diff_ids: &[String],
        tag: &str,
    ) -> Result<LoadedImage, RuntimeError> {
        let image = self.inspect_image(tag).await?.ok_or_else(|| {
            RuntimeError::Archive(format!("the engine loaded the image but does not know {tag}"))
        })?;
        let layers = image.root_fs.as_ref().and_then(|fs| fs.layers.clone()).unwrap_or_default();
        if layers != diff_ids {
            return Err(RuntimeError::Archive(format!(
                "the engine loaded other layers under {tag} than were sent"
            )));
        }
        Ok(loaded(&image))
    }

    /// Pulls an image by tag or digest. A tag is looked up anew each time;
    /// a daemon that wants the image of a running instance again takes the
    /// id that [`super::Observation`] gives it.
    pub async fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<LoadedImage, RuntimeError> {
        let (name, version) = split_reference(reference)?;
        let full = match version.starts_with("sha256:") {
            true => format!("{name}@{version}"),
            false => format!("{name}:{version}"),
        };
        let known_before = self.inspect_image(&full).await?.is_some();
        let options = CreateImageOptionsBuilder::default().from_image(name).tag(version).build();
        let credentials = credentials.map(engine_credentials);
        let progress = self.docker.create_image(Some(options), None, credentials);
        let call = progress.try_for_each(|_| std::future::ready(Ok(())));
        self.bounded(format!("pulling {full}"), self.config.deadlines.image, call)
            .await
            .map_err(|error| pull_error(reference, error))?;
        let image = self.inspect_image(&full).await?.ok_or_else(|| {
            pull_error(reference, "the engine pulled it but does not know it".to_string())
        })?;
        self.keep_under_own_name(&image, &full, known_before).await?;
        Ok(loaded(&image))
    }

    /// Gives a pulled image the provider's own name, so that it can be found
    /// again for removal, and drops the registry's tag where this pull
    /// brought it: nothing here goes by it.
    async fn keep_under_own_name(
        &self,
        image: &ImageInspect,
        pulled_as: &str,
        known_before: bool,
    ) -> Result<(), RuntimeError> {
        let id = image.id.clone().unwrap_or_default();
        let own = self.names.pulled_tag(&id);
        let (repository, tag) = own.rsplit_once(':').unwrap_or((&own, "latest"));
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        let call = self.docker.tag_image(&id, Some(options));
        self.bounded("naming an image", self.config.deadlines.change, call).await?;
        if !known_before {
            self.untag(pulled_as).await?;
        }
        Ok(())
    }

    /// The link containers' image, made and loaded where it is missing.
    pub(super) async fn ensure_link_image(&self) -> Result<String, RuntimeError> {
        let tag = self.names.link_tag();
        if self.inspect_image(&tag).await?.is_none() {
            let archive = Bytes::from(link_image_archive(&tag)?);
            self.import(futures::stream::once(std::future::ready(Ok(archive)))).await?;
        }
        let image = self.inspect_image(&tag).await?;
        image.and_then(|image| image.id).ok_or_else(|| {
            RuntimeError::Archive(format!("the engine does not know {tag} after loading it"))
        })
    }

    /// Removes this provider's images but those in `keep` (ids), those that
    /// its containers use, and the link image. Level-triggered: pass the ids
    /// that the desired state names, or a new lease's image could go between
    /// its loading and its container. Returns how many names were removed.
    pub async fn remove_unused_images(
        &self,
        keep: &BTreeSet<String>,
    ) -> Result<usize, RuntimeError> {
        let mut used = self.image_ids_in_use().await?;
        used.extend(keep.iter().cloned());
        let prefix = self.names.image_prefix();
        let link = self.names.link_tag();
        let mut removed = 0;
        for image in self.list_images().await? {
            let own = |tag: &&String| tag.starts_with(&prefix) && **tag != link;
            for tag in image.repo_tags.iter().filter(own) {
                if !used.contains(&image.id) {
                    self.untag(tag).await?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Removes every name of this provider, the link image's too.
    pub(super) async fn remove_all_images(&self) -> Result<(), RuntimeError> {
        let prefix = self.names.image_prefix();
        for image in self.list_images().await? {
            for tag in image.repo_tags.iter().filter(|tag| tag.starts_with(&prefix)) {
                self.untag(tag).await?;
            }
        }
        Ok(())
    }

    async fn list_images(&self) -> Result<Vec<bollard::models::ImageSummary>, RuntimeError> {
        let call = self.docker.list_images(Some(ListImagesOptionsBuilder::default().build()));
        self.bounded("listing images", self.config.deadlines.query, call).await
    }

    async fn image_ids_in_use(&self) -> Result<BTreeSet<String>, RuntimeError> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&self.provider_filter())
            .build();
        let call = self.docker.list_containers(Some(options));
        let containers =
            self.bounded("listing containers", self.config.deadlines.query, call).await?;
        Ok(containers.into_iter().filter_map(|container| container.image_id).collect())
    }

    /// Removes a name; the image goes with its last one. In use or gone
    /// already is no error.
    async fn untag(&self, tag: &str) -> Result<(), RuntimeError> {
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        let call = self.docker.remove_image(tag, Some(options), None);
        let during = format!("removing the image name {tag}");
        match self.bounded(during, self.config.deadlines.change, call).await {
            Ok(_) | Err(RuntimeError::Absent { .. } | RuntimeError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn inspect_image(
        &self,
        name: &str,
    ) -> Result<Option<ImageInspect>, RuntimeError> {
        let call = self.docker.inspect_image(name);
        let during = format!("looking for the image {name}");
        absent_is_none(self.bounded(during, self.config.deadlines.query, call).await)
    }
}

/// A blob's root in lower case.
pub(super) fn hash_of(blob: &ImageBlob<'_>) -> Result<String, RuntimeError> {
    let hex = blob.blake3_hex;
    match hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(hex.to_ascii_lowercase()),
        false => {
            let problem = format!("{hex:?} is not a BLAKE3 hash of 64 hex digits");
            Err(RuntimeError::Archive(problem))
        }
    }
}

pub(super) fn loaded(image: &ImageInspect) -> LoadedImage {
    let labels: Option<&HashMap<String, String>> =
        image.config.as_ref().and_then(|config| config.labels.as_ref());
    LoadedImage {
        id: image.id.clone().unwrap_or_default(),
        read_only_root: labels
            .and_then(|labels| labels.get(READ_ONLY_ROOT_LABEL))
            .is_some_and(|value| value == "true"),
        bytes: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
    }
}

/// Splits `name[:tag|@sha256:digest]`; the tag is `latest` where none is
/// given. Refuses what is no reference, and our own names: with one of them
/// a manifest could ask for another tenant's image.
fn split_reference(reference: &str) -> Result<(&str, &str), RuntimeError> {
    let refuse = |problem: &str| Err(pull_error(reference, problem.to_string()));
    let clean = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if reference.is_empty() || reference.len() > 255 || !reference.chars().all(clean) {
        return refuse("not an image reference such as nginx:1.27 or ghcr.io/me/app@sha256:…");
    }
    if reference.split('/').next() == Some(IMAGE_HOST) {
        return refuse("names under stoa.invalid are the provider's own");
    }
    if let Some((name, digest)) = reference.split_once('@') {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return refuse("the digest must be sha256: and 64 hex digits");
        }
        // `name:tag@digest`: the digest decides.
        return Ok((split_tag(name).0, digest));
    }
    match split_tag(reference) {
        ("", _) => refuse("it has no name"),
        (name, tag) => Ok((name, tag.unwrap_or("latest"))),
    }
}

/// A colon before a slash belongs to the registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((head, tag)) if !tag.contains('/') => (head, Some(tag)),
        _ => (name, None),
    }
}

fn pull_error(reference: &str, problem: impl ToString) -> RuntimeError {
    RuntimeError::Pull {
        image: reference.into(),
        problem: format!(
            "{}; is the registry reachable from this machine, and the name and login right?",
            problem.to_string()
        ),
    }
}

fn engine_credentials(credentials: &RegistryCredentials) -> DockerCredentials {
    DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.clone()),
        serveraddress: Some(credentials.host.clone()),
        ..DockerCredentials::default()
    }
}

/// Runs file work on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| RuntimeError::Archive(format!("the reading thread ended: {e}")))?
}

/// Hands what is written to it to an asynchronous reader, in chunks.
pub(super) struct ChunkWriter {
    sender: mpsc::Sender<Bytes>,
    waiting: Vec<u8>,
}

impl Write for ChunkWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(buffer);
        if self.waiting.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.waiting));
        self.sender.blocking_send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_and_ours_refused() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let by_digest = format!("ghcr.io/me/app:1@{digest}");
        assert_eq!(split_reference("nginx").unwrap(), ("nginx", "latest"));
        assert_eq!(split_reference("nginx:1.27").unwrap(), ("nginx", "1.27"));
        assert_eq!(split_reference("h:5000/a").unwrap(), ("h:5000/a", "latest"));
        assert_eq!(split_reference(&by_digest).unwrap(), ("ghcr.io/me/app", digest.as_str()));
        for bad in ["", "a b", "a@sha256:1", "stoa.invalid/16b06bcb/blob:1", ":x", "a\nb"] {
            assert!(split_reference(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = RegistryCredentials {
            host: "h".into(),
            username: "u".into(),
            password: "hunter2".into(),
        };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
