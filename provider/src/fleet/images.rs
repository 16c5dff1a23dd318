//! Images are had where the instance that needs them has its place.

use std::path::PathBuf;

use async_trait::async_trait;
use stoa_manifest::Blob;

use super::Fleet;
use crate::reconcile::ImageEngine;
use crate::runtime::{InstanceKey, LoadedImage, RegistryCredentials, RuntimeError};

#[async_trait]
impl ImageEngine for Fleet {
    async fn find(&self, at: &InstanceKey, id: &str) -> Result<Option<LoadedImage>, RuntimeError> {
        self.host_of(at)?.engine.find(at, id).await
    }

    async fn load(
        &self,
        at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        self.host_of(at)?.engine.load(at, path, blob).await
    }

    async fn load_data(
        &self,
        at: &InstanceKey,
        path: PathBuf,
        blob: Blob,
    ) -> Result<LoadedImage, RuntimeError> {
        self.host_of(at)?.engine.load_data(at, path, blob).await
    }

    async fn pull(
        &self,
        at: &InstanceKey,
        reference: &str,
        credentials: Option<RegistryCredentials>,
    ) -> Result<LoadedImage, RuntimeError> {
        self.host_of(at)?.engine.pull(at, reference, credentials).await
    }

    /// On every machine that answers.
    async fn collect(&self, keep: Vec<String>) -> Result<usize, RuntimeError> {
        let mut removed = 0;
        for host in self.hosts().into_iter().filter(|host| host.answers() && !host.is_dead()) {
            match host.engine.collect(keep.clone()).await {
                Ok(count) => removed += count,
                Err(error) => tracing::warn!(host = %host.name, "removing images: {error}"),
            }
        }
        Ok(removed)
    }
}
