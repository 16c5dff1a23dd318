//! Files into and out of an instance, as tar streams. The engine resolves
//! paths within the container's own root.

use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::StreamExt;

use super::super::error::spec_error;
use super::super::names::InstanceKey;
use super::super::{DockerBackend, RuntimeError};

/// Bytes of a path.
pub const MAX_PATH: usize = 4096;

impl DockerBackend {
    pub(in super::super) fn read_files(
        &self,
        key: &InstanceKey,
        path: &str,
    ) -> BoxStream<'static, Result<Bytes, RuntimeError>> {
        if let Err(error) = check_path(key, path) {
            return futures::stream::once(async { Err(error) }).boxed();
        }
        let workload = self.names.instance(key).workload;
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let during = format!("reading {path} of {key}");
        let docker = self.docker.clone();
        docker
            .download_from_container(&workload, Some(options))
            .map(move |piece| piece.map_err(|e| RuntimeError::from_engine(during.as_str(), e)))
            .boxed()
    }

    pub(in super::super) async fn write_files(
        &self,
        key: &InstanceKey,
        path: &str,
        tar: BoxStream<'static, Result<Bytes, std::io::Error>>,
    ) -> Result<(), RuntimeError> {
        check_path(key, path)?;
        let workload = self.names.instance(key).workload;
        // A file never takes a directory's place, nor the other way round.
        let options = UploadToContainerOptionsBuilder::default()
            .path(path)
            .no_overwrite_dir_non_dir("1")
            .build();
        let body = bollard::body_try_stream(tar);
        let during = format!("writing to {path} of {key}");
        let done = self.docker.upload_to_container(&workload, Some(options), body).await;
        done.map_err(|e| RuntimeError::from_engine(during, e))
    }
}

fn check_path(key: &InstanceKey, path: &str) -> Result<(), RuntimeError> {
    if path.len() > MAX_PATH || !path.starts_with('/') || path.contains('\0') {
        let problem = format!("a path begins with / and has at most {MAX_PATH} bytes");
        return Err(spec_error(key, problem));
    }
    Ok(())
}
