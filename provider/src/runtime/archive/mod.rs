//! Image tarballs, as tenants ship them: docker-archive (`docker save`) and
//! OCI image layout. Neither is given to the engine as it is. Its index is
//! read, one image is chosen, and a new docker-archive is written with that
//! image's configuration and layers under the provider's own name: no tag,
//! no second image and no odd path of the tenant's reaches the engine, and
//! an engine that knows only docker-archives (20.10) takes both forms.
//!
//! Memory is bounded: documents by [`ImageLimits::document_bytes`], layers
//! are streamed.

mod docker;
pub(super) mod index;
pub(super) mod layers;
mod oci;
mod write;

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config::ImageLimits;
use super::RuntimeError;
use index::{Extent, TarIndex};
pub(crate) use write::write_docker_archive;

/// One image found in a tarball: what to hand to the engine.
#[derive(Debug)]
pub(crate) struct ImagePlan {
    pub(crate) file: File,
    /// The image's configuration, byte for byte: its hash is the image's id.
    pub(crate) config: Vec<u8>,
    /// The layers, from the base up; parts of `file`.
    pub(crate) layers: Vec<Extent>,
    /// SHA-256 of each layer unpacked, as the configuration has them.
    pub(crate) diff_ids: Vec<String>,
}

/// The part of an image's configuration that matters here.
#[derive(Debug, Deserialize)]
struct ImageConfigFile {
    architecture: String,
    os: String,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl ImagePlan {
    /// Reads a tarball and checks everything that can be checked before the
    /// engine sees it. Blocking.
    pub(crate) fn read(path: &Path, limits: &ImageLimits) -> Result<Self, RuntimeError> {
        let file = open(path, limits)?;
        let index = TarIndex::read(&file, limits)?;
        let found = if index.contains("manifest.json") {
            docker::find_image(&file, &index, limits)?
        } else if index.contains("index.json") {
            oci::find_image(&file, &index, limits)?
        } else {
            return Err(bad("neither manifest.json (docker-archive) nor index.json (OCI layout) \
                            is in it; make it with `docker save` or as an OCI layout"));
        };
        let diff_ids = check_config(&found.config, found.layers.len(), limits)?;
        layers::check(&file, &found.layers, limits)?;
        Ok(Self { file, config: found.config, layers: found.layers, diff_ids })
    }

    /// The id that the classic image store gives this image.
    pub(crate) fn config_digest(&self) -> String {
        hex::encode(Sha256::digest(&self.config))
    }
}

/// What the two formats' readers return.
struct FoundImage {
    config: Vec<u8>,
    layers: Vec<Extent>,
}

/// Checks a blob's BLAKE3 hash and size against what the manifest named.
/// Blocking.
pub(crate) fn verify_blob(path: &Path, blake3_hex: &str, bytes: u64) -> Result<(), RuntimeError> {
    let file = File::open(path).map_err(|e| cannot_read(path, &e))?;
    let length = file.metadata().map_err(|e| cannot_read(path, &e))?.len();
    if length != bytes {
        return Err(bad(format!("the blob has {length} bytes; the manifest says {bytes}")));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file).map_err(|e| cannot_read(path, &e))?;
    let found = hasher.finalize().to_hex();
    if found.as_str() != blake3_hex.to_ascii_lowercase() {
        return Err(bad(format!("its BLAKE3 hash is {found}; the manifest says {blake3_hex}")));
    }
    Ok(())
}

fn open(path: &Path, limits: &ImageLimits) -> Result<File, RuntimeError> {
    let file = File::open(path).map_err(|e| cannot_read(path, &e))?;
    let metadata = file.metadata().map_err(|e| cannot_read(path, &e))?;
    if !metadata.is_file() {
        return Err(bad(format!("{} is not a file", path.display())));
    }
    if metadata.len() > limits.archive_bytes {
        return Err(bad(format!(
            "it has {} bytes; this provider takes up to {}",
            metadata.len(),
            limits.archive_bytes
        )));
    }
    Ok(file)
}

/// Checks the configuration and returns its diff ids.
fn check_config(
    config: &[u8],
    layers: usize,
    limits: &ImageLimits,
) -> Result<Vec<String>, RuntimeError> {
    let parsed: ImageConfigFile = serde_json::from_slice(config)
        .map_err(|e| bad(format!("the image's configuration does not parse: {e}")))?;
    let host = host_architecture();
    if parsed.os != "linux" || parsed.architecture != host {
        return Err(bad(format!(
            "the image is for {}/{}; this machine is linux/{host}",
            parsed.os, parsed.architecture
        )));
    }
    let diff_ids = parsed.rootfs.diff_ids;
    if diff_ids.len() != layers {
        return Err(bad(format!(
            "its configuration lists {} layers, its manifest {layers}",
            diff_ids.len()
        )));
    }
    if layers > limits.layers {
        return Err(bad(format!("it has {layers} layers; at most {} are taken", limits.layers)));
    }
    Ok(diff_ids)
}

/// This machine's architecture in the image formats' (Go's) words.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub(crate) fn bad(problem: impl Into<String>) -> RuntimeError {
    RuntimeError::Archive(problem.into())
}

pub(crate) fn cannot_read(path: &Path, error: &io::Error) -> RuntimeError {
    bad(format!("cannot read {}: {error}", path.display()))
}

/// Parses a document of the tarball, naming it in the error.
fn parse<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, RuntimeError> {
    serde_json::from_slice(bytes).map_err(|e| bad(format!("{name} does not parse: {e}")))
}

#[cfg(test)]
mod tests;
