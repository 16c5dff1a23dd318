//! Bundles on disk: one private file each, as they came.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};
use stoa_client::proto::gateway::v1::SealedSecrets;
use stoa_client::sealing::MAX_TEXT;

use super::Slot;
use crate::store;

/// Bundles in all, and of one deployment.
pub(super) const MAX_BUNDLES: usize = 8192;
const MAX_OF_DEPLOYMENT: usize = 128;
const SUFFIX: &str = "sealed";

/// All that are there. One that is damaged is not.
pub(super) fn read(directory: &Path) -> io::Result<BTreeMap<Slot, SealedSecrets>> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut known = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != SUFFIX) {
            continue;
        }
        if entry.metadata()?.len() > 2 * MAX_TEXT as u64 {
            continue;
        }
        match SealedSecrets::decode(std::fs::read(&path)?.as_slice()) {
            Ok(bundle) => {
                known.insert(Slot::of(&bundle), bundle);
            }
            Err(error) => tracing::error!(path = %path.display(), "damaged: {error}"),
        }
    }
    Ok(known)
}

/// Refuses one more where there are too many.
pub(super) fn check_room(known: &BTreeMap<Slot, SealedSecrets>, slot: &Slot) -> io::Result<()> {
    let of_it = known.keys().filter(|s| s.deployment == slot.deployment).count();
    let full = known.len() >= MAX_BUNDLES || of_it >= MAX_OF_DEPLOYMENT;
    match full && !known.contains_key(slot) {
        true => Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many sealed secrets")),
        false => Ok(()),
    }
}

pub(super) fn write(directory: &Path, slot: &Slot, bundle: &SealedSecrets) -> io::Result<()> {
    store::write(&path(directory, slot), &bundle.encode_to_vec())
}

pub(super) fn remove(directory: &Path, slot: &Slot) -> io::Result<()> {
    store::remove(&path(directory, slot))
}

/// Seconds since it was written; 0 where that cannot be told.
pub(super) fn age(directory: &Path, slot: &Slot) -> u64 {
    let written = std::fs::metadata(path(directory, slot)).and_then(|m| m.modified());
    written.ok().and_then(|at| at.elapsed().ok()).map_or(0, |age| age.as_secs())
}

fn path(directory: &Path, slot: &Slot) -> PathBuf {
    let mut hash = Sha256::new();
    for text in [&slot.deployment, &slot.version, &slot.group, &slot.recipient] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    directory.join(format!("{}.{SUFFIX}", &hex::encode(hash.finalize())[..32]))
}
