//! Images that goals need: found at the engine, loaded from blobs, pulled.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use stoa_client::proto::gateway::v1::EventKind;
use stoa_manifest::{Blob, Group, ImageRef, Service};

use crate::events::EventLog;
use crate::failpoint::failpoint;
use crate::runtime::{
    DockerBackend, ImageBlob, InstanceKey, LoadedImage, ObservedInstance, RegistryCredentials,
    RuntimeError, WorkloadSpec,
};
use crate::store::BlobStore;

/// What is needed of an engine to have images.
#[async_trait]
pub trait ImageEngine: Send + Sync {
    /// By the engine's id. `at` is an instance that needs it: with several
    /// machines, it is looked for and had at that one's.
    async fn find(&self, at: &InstanceKey, id: &str) -> Result<Option<LoadedImage>, RuntimeError>;
    async fn load(
        &self,
        at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError>;
    /// An archive from which volumes are filled.
    async fn load_data(
        &self,
        at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError>;
    async fn pull(
        &self,
        at: &InstanceKey,
        reference: &str,
        credentials: Option<RegistryCredentials>,
    ) -> Result<LoadedImage, RuntimeError>;
    /// Removes this provider's images but these (ids) and those in use.
    async fn collect(&self, keep: Vec<String>) -> Result<usize, RuntimeError>;
}

#[async_trait]
impl ImageEngine for DockerBackend {
    async fn find(&self, _at: &InstanceKey, id: &str) -> Result<Option<LoadedImage>, RuntimeError> {
        self.find_image(id).await
    }

    async fn load(
        &self,
        _at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        let blake3_hex = blob.root.to_hex();
        let blob = ImageBlob { path: &path, blake3_hex: &blake3_hex, bytes: blob.bytes };
        self.load_blob_image(blob).await
    }

    async fn load_data(
        &self,
        _at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        let blake3_hex = blob.root.to_hex();
        let blob = ImageBlob { path: &path, blake3_hex: &blake3_hex, bytes: blob.bytes };
        DockerBackend::load_data(self, blob).await
    }

    async fn pull(
        &self,
        _at: &InstanceKey,
        reference: &str,
        credentials: Option<RegistryCredentials>,
    ) -> Result<LoadedImage, RuntimeError> {
        self.pull_image(reference, credentials.as_ref()).await
    }

    async fn collect(&self, keep: Vec<String>) -> Result<usize, RuntimeError> {
        self.collect_images(keep.iter().map(String::as_str)).await
    }
}

/// Which image a lease's reference stands for. A tag is looked up once a
/// lease, so that replicas and restarts run the same.
#[derive(Debug, Default)]
pub struct Images {
    known: Mutex<HashMap<(String, String), LoadedImage>>,
}

type Seen = BTreeMap<InstanceKey, ObservedInstance>;

impl Images {
    /// All images of a group, by the manifest's name of each.
    pub(super) async fn of_group(
        &self,
        engine: &dyn ImageEngine,
        blobs: &BlobStore,
        lease: &str,
        group: &Group,
        seen: &Seen,
        told: &EventLog,
    ) -> Result<BTreeMap<String, LoadedImage>, RuntimeError> {
        let mut images = BTreeMap::new();
        for service in &group.services {
            let source = &service.image;
            if images.contains_key(source) {
                continue;
            }
            let key = (lease.to_string(), source.clone());
            let known = self.known().get(&key).cloned();
            let image = match known {
                Some(image) => image,
                None => {
                    let begun = Instant::now();
                    let image = self.obtain(engine, blobs, lease, service, seen).await;
                    told.note(lease, EventKind::Image, &image_words(source, begun, &image));
                    image?
                }
            };
            self.known().insert(key, image.clone());
            images.insert(source.clone(), image);
        }
        Ok(images)
    }

    /// Whether all are known without asking anybody.
    pub(super) fn knows(&self, lease: &str, group: &Group) -> bool {
        let known = self.known();
        let mut sources = group.services.iter().map(|service| service.image.clone());
        sources.all(|source| known.contains_key(&(lease.to_string(), source)))
    }

    async fn obtain(
        &self,
        engine: &dyn ImageEngine,
        blobs: &BlobStore,
        lease: &str,
        service: &Service,
        seen: &Seen,
    ) -> Result<LoadedImage, RuntimeError> {
        // What runs already tells the id: a restarted daemon pulls nothing.
        let running = seen.iter().find_map(|(key, instance)| {
            let workload = instance.workload.as_ref().filter(|_| !instance.place.unknown)?;
            (workload.image.source == service.image).then_some((key, workload))
        });
        if let Some((key, workload)) = running {
            if let Some(image) = engine.find(key, &workload.image.id).await? {
                return Ok(image);
            }
        }
        let first = InstanceKey { lease: lease.into(), service: service.name.clone(), index: 0 };
        fetch(engine, blobs, service, &first).await
    }

    /// Sees to it that an instance's image is where the instance goes.
    pub(super) async fn ensure(
        &self,
        engine: &dyn ImageEngine,
        blobs: &BlobStore,
        service: &Service,
        spec: &WorkloadSpec,
    ) -> Result<(), RuntimeError> {
        let wanted = &spec.image.id;
        if engine.find(&spec.key, wanted).await?.is_some() {
            return Ok(());
        }
        let image = fetch(engine, blobs, service, &spec.key).await?;
        match image.id == *wanted {
            true => Ok(()),
            // A tag that moved between two pulls.
            false => Err(RuntimeError::Pull {
                image: service.image.clone(),
                problem: format!("it is {} now, and other instances run {wanted}", image.id),
            }),
        }
    }

    /// After a failure: what was known may be wrong.
    pub(super) fn forget(&self, lease: &str) {
        self.known().retain(|(of, _), _| of != lease);
    }

    /// Ids that live leases name.
    pub(super) fn ids(&self) -> Vec<String> {
        self.known().values().map(|image| image.id.clone()).collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), LoadedImage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads or pulls a service's image where an instance needs it.
async fn fetch(
    engine: &dyn ImageEngine,
    blobs: &BlobStore,
    service: &Service,
    at: &InstanceKey,
) -> Result<LoadedImage, RuntimeError> {
    failpoint("image.before_load");
    let image = match service.image_ref() {
        Some(ImageRef::Blob(blob)) => {
            let path = path_of(blobs, &blob)?;
            engine.load(at, path, blob).await?
        }
        Some(ImageRef::Registry(name)) => engine.pull(at, &name, credentials(service)).await?,
        None => {
            let problem = format!("{}: `{}` is no image", service.name, service.image);
            return Err(RuntimeError::Setup(problem));
        }
    };
    failpoint("image.after_load");
    Ok(image)
}

pub(super) fn path_of(blobs: &BlobStore, blob: &Blob) -> Result<PathBuf, RuntimeError> {
    let missing = || RuntimeError::Setup(format!("blob {} is not here", blob.root.to_hex()));
    blobs.path_of(blob).ok_or_else(missing)
}

fn credentials(service: &Service) -> Option<RegistryCredentials> {
    let given = service.credentials.as_ref()?;
    Some(RegistryCredentials {
        host: given.host.clone(),
        username: given.username.clone(),
        password: given.password.clone(),
    })
}

fn image_words(source: &str, begun: Instant, image: &Result<LoadedImage, RuntimeError>) -> String {
    let seconds = begun.elapsed().as_secs_f64();
    match image {
        Ok(image) => format!("image {source} is here ({} bytes, {seconds:.1} s)", image.bytes),
        Err(error) => format!("image {source}: {error}"),
    }
}
