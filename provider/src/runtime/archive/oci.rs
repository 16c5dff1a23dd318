//! OCI image layout: `index.json` names manifests by digest; a manifest
//! names a configuration and layers by digest; all lie in `blobs/`.

use std::fs::File;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::index::TarIndex;
use super::{bad, host_architecture, parse, FoundImage, ImageLimits};
use crate::runtime::RuntimeError;

const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// An index may name an index; more nesting has no use.
const MAX_INDEX_DEPTH: usize = 3;

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize, Clone)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

pub(super) fn find_image(
    file: &File,
    index: &TarIndex,
    limits: &ImageLimits,
) -> Result<FoundImage, RuntimeError> {
    let mut document = index.document(file, "index.json", limits)?;
    for _ in 0..MAX_INDEX_DEPTH {
        let chosen = choose(&parse::<Index>("index.json", &document)?)?;
        document = verified(file, index, &chosen, limits)?;
        if MANIFEST_TYPES.contains(&chosen.media_type.as_str()) {
            return read_manifest(file, index, &document, limits);
        }
    }
    Err(bad("its indexes are nested too deeply"))
}

/// The one image for this machine.
fn choose(index: &Index) -> Result<Descriptor, RuntimeError> {
    let images: Vec<&Descriptor> = index
        .manifests
        .iter()
        .filter(|d| {
            MANIFEST_TYPES.contains(&d.media_type.as_str())
                || INDEX_TYPES.contains(&d.media_type.as_str())
        })
        .filter(|d| d.platform.as_ref().is_none_or(fits_here))
        .collect();
    match images.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(bad(format!("it holds no image for linux/{}", host_architecture()))),
        many => Err(bad(format!(
            "it holds {} images for linux/{}; exactly one is taken",
            many.len(),
            host_architecture()
        ))),
    }
}

/// Attestations have the platform unknown/unknown and fall out here too.
fn fits_here(platform: &Platform) -> bool {
    platform.os == "linux" && platform.architecture == host_architecture()
}

fn read_manifest(
    file: &File,
    index: &TarIndex,
    document: &[u8],
    limits: &ImageLimits,
) -> Result<FoundImage, RuntimeError> {
    let manifest: Manifest = parse("the image's manifest", document)?;
    if manifest.layers.len() > limits.layers {
        return Err(bad(format!("it has more than {} layers", limits.layers)));
    }
    // The layers' own digests need no check: the engine compares each,
    // unpacked, with the configuration's diff id.
    let layers = manifest
        .layers
        .iter()
        .map(|layer| index.find(&blob_path(&layer.digest)?))
        .collect::<Result<_, _>>()?;
    Ok(FoundImage { config: verified(file, index, &manifest.config, limits)?, layers })
}

/// A blob whose bytes are what its digest says.
fn verified(
    file: &File,
    index: &TarIndex,
    descriptor: &Descriptor,
    limits: &ImageLimits,
) -> Result<Vec<u8>, RuntimeError> {
    let bytes = index.document(file, &blob_path(&descriptor.digest)?, limits)?;
    let found = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
    if found != descriptor.digest {
        return Err(bad(format!("the blob {} has the digest {found}", descriptor.digest)));
    }
    Ok(bytes)
}

fn blob_path(digest: &str) -> Result<String, RuntimeError> {
    match digest.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(format!("blobs/sha256/{hex}"))
        }
        _ => Err(bad(format!("{digest:?} is not a sha256 digest"))),
    }
}
