//! Tenants' secrets: sealed on disk, open only where a container is made of
//! them.
//!
//! A bundle is for one group and one provider. This provider keeps its own,
//! those that a tenant left here for the other providers of the deployment
//! until they come for them, and seals its own anew for who takes its group
//! over. Bundles of its own are verified before they are kept: by the
//! deployment's owner, with a certificate that was on chain then.

mod env;
mod fetch;
mod keeping;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{SealedSecrets, SealingKey};
use stoa_client::proto::types::v1::DeploymentId;
use stoa_client::sealing::{self, make_statement, SealingSecret, Signed, Value};
use stoa_client::tls::Identity;
use zeroize::Zeroizing;

pub use env::put_into;
pub use fetch::Fetcher;

use crate::peers::Peers;
use crate::store::{self, YOUNG_SECONDS};

/// In the data directory.
pub const KEY_FILE: &str = "sealing.key";
pub const DIRECTORY: &str = "secrets";

/// Which bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// As text.
    pub deployment: String,
    /// Hex.
    pub version: String,
    pub group: String,
    pub recipient: String,
}

impl Slot {
    pub fn of(bundle: &SealedSecrets) -> Self {
        Self {
            deployment: bundle.deployment.clone().unwrap_or_default().text(),
            version: bundle.version.clone(),
            group: bundle.group.clone(),
            recipient: bundle.recipient.clone(),
        }
    }
}

/// All bundles, and the key of one's own.
pub struct Secrets {
    chain_id: String,
    provider: String,
    directory: PathBuf,
    key: SealingSecret,
    /// Keys the hashes by which a changed value is seen.
    mask: Zeroizing<Vec<u8>>,
    statement: SealingKey,
    peers: Option<Arc<Peers>>,
    known: Mutex<BTreeMap<Slot, SealedSecrets>>,
    /// Other providers' keys, as they said last.
    keys: Mutex<BTreeMap<String, SealingKey>>,
}

impl Secrets {
    /// Reads what is there; the first time, it makes the key.
    ///
    /// # Errors
    /// Where the data directory cannot be used, or holds another thing than
    /// the key under its name.
    pub fn open(
        data_dir: &Path,
        chain_id: &str,
        provider: &str,
        root: &Identity,
        peers: Option<Arc<Peers>>,
    ) -> anyhow::Result<Self> {
        let key = open_key(&data_dir.join(KEY_FILE))?;
        let now = unix_now();
        let statement = make_statement(chain_id, provider, key.public(), root, now)?;
        let directory = data_dir.join(DIRECTORY);
        let known = keeping::read(&directory)?;
        let mut mask = mac(&key.to_bytes());
        mask.update(b"stoa spec mask");
        let mask = Zeroizing::new(mask.finalize().into_bytes().to_vec());
        Ok(Self {
            chain_id: chain_id.into(),
            provider: provider.into(),
            directory,
            key,
            mask,
            statement,
            peers,
            known: Mutex::new(known),
            keys: Mutex::default(),
        })
    }

    /// This provider's key, with its root's word for it.
    pub fn statement(&self) -> &SealingKey {
        &self.statement
    }

    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    pub fn peers(&self) -> Option<&Arc<Peers>> {
        self.peers.as_ref()
    }

    /// Opens a bundle of one's own. That its certificate is on chain is not
    /// looked at.
    pub fn open_own(&self, bundle: &SealedSecrets) -> stoa_client::Result<Signed> {
        sealing::open(&self.chain_id, &self.provider, &self.key, bundle)
    }

    /// Keeps a bundle that was checked, unless a newer one is here. True: it
    /// is news.
    pub fn keep(&self, bundle: SealedSecrets) -> io::Result<bool> {
        let slot = Slot::of(&bundle);
        let mut known = self.known();
        if known.get(&slot).is_some_and(|old| old.revision >= bundle.revision) {
            return Ok(false);
        }
        keeping::check_room(&known, &slot)?;
        keeping::write(&self.directory, &slot, &bundle)?;
        known.insert(slot, bundle);
        Ok(true)
    }

    /// The bundle of a provider.
    pub fn bundle(
        &self,
        id: &DeploymentId,
        version: &str,
        group: &str,
        recipient: &str,
    ) -> Option<SealedSecrets> {
        self.known().get(&slot(id, version, group, recipient)).cloned()
    }

    /// This provider's values for a group; none where they have not come.
    pub fn own(
        &self,
        id: &DeploymentId,
        version: &str,
        group: &str,
    ) -> stoa_client::Result<Option<Signed>> {
        let bundle = self.bundle(id, version, group, &self.provider);
        bundle.map(|bundle| self.open_own(&bundle)).transpose()
    }

    /// Which of the secrets that a group names are not here.
    pub fn missing(
        &self,
        id: &DeploymentId,
        version: &str,
        group: &stoa_manifest::Group,
    ) -> Vec<String> {
        let names = group.secrets();
        if names.is_empty() {
            return vec![];
        }
        let own = self.own(id, version, &group.name).unwrap_or_else(|error| {
            tracing::error!(deployment = %id.text(), "{error}");
            None
        });
        let has = |name: &str| own.as_ref().is_some_and(|own| own.values.get(name).is_some());
        names.into_iter().filter(|name| !has(name)).map(str::to_owned).collect()
    }

    /// Forgets all but what is of such a deployment and version.
    pub fn retain(&self, keep: impl Fn(&str, &str) -> bool) -> io::Result<()> {
        let mut known = self.known();
        let gone: Vec<Slot> =
            known.keys().filter(|s| !keep(&s.deployment, &s.version)).cloned().collect();
        for slot in gone {
            if keeping::age(&self.directory, &slot) > YOUNG_SECONDS {
                keeping::remove(&self.directory, &slot)?;
                known.remove(&slot);
            }
        }
        Ok(())
    }

    /// What stands for a value where others may look: by it a change is seen,
    /// and without this provider's key no guess can be tried.
    pub fn tag(&self, variable: &str, value: &Value) -> String {
        let mut mac = mac(&self.mask);
        mac.update(&(variable.len() as u64).to_be_bytes());
        mac.update(variable.as_bytes());
        mac.update(value.expose().as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..16])
    }

    /// The key that another provider told last.
    pub fn key_of(&self, provider: &str) -> Option<SealingKey> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(provider).cloned()
    }

    /// Remembers a key that was checked.
    pub fn note_key(&self, key: &SealingKey) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < keeping::MAX_BUNDLES || keys.contains_key(&key.provider) {
            keys.insert(key.provider.clone(), key.clone());
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Slot, SealedSecrets>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(id: &DeploymentId, version: &str, group: &str, recipient: &str) -> Slot {
    Slot {
        deployment: id.text(),
        version: version.into(),
        group: group.into(),
        recipient: recipient.into(),
    }
}

fn open_key(path: &Path) -> anyhow::Result<SealingSecret> {
    if path.exists() {
        return Ok(SealingSecret::read(path)?);
    }
    let key = SealingSecret::generate();
    store::write(path, key.to_hex().as_bytes())?;
    Ok(key)
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

pub(crate) fn unix_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
