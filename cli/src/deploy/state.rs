//! What is kept of each deployment, so that a run which broke off goes on.
//!
//! `<home>/deployments/<chain>/<owner>-<dseq>/` holds `state.json` and the
//! canonical manifest, which may hold secrets; both are 0600 and written whole
//! or not at all, before what they tell of is sent.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use stoa_client::{
    chain::Sent,
    tx::{hash_of, SignedTx},
};
use stoa_proto::types::v1::DeploymentId;

use crate::exit::Failure;

const FORMAT: &str = "stoa-deployment/1";

/// How far a deployment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Signed and perhaps sent; whether it is on chain is not known here.
    Intent,
    /// On chain.
    Posted,
    /// Every group runs.
    Running,
    Closed,
}

/// The transaction that posts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    pub hash: String,
    /// Hex; sending it again is harmless.
    pub bytes: String,
    pub sequence: u64,
    pub after_height: u64,
    pub timeout_height: u64,
}

impl Intent {
    pub fn new(tx: &SignedTx, sent: &Sent) -> Self {
        Self {
            hash: tx.hash.clone(),
            bytes: hex::encode(&tx.bytes),
            sequence: tx.sequence,
            after_height: sent.after_height,
            timeout_height: sent.timeout_height,
        }
    }

    /// As it was sent.
    pub fn signed(&self) -> Result<(SignedTx, Sent), Failure> {
        let bytes = hex::decode(&self.bytes).unwrap_or_default();
        if hash_of(&bytes) != self.hash {
            return Err(Failure::new("the state file's transaction was altered"));
        }
        let sent = Sent {
            hash: self.hash.clone(),
            after_height: self.after_height,
            timeout_height: self.timeout_height,
        };
        let signed = SignedTx {
            bytes,
            hash: self.hash.clone(),
            sequence: self.sequence,
            timeout_height: self.timeout_height,
            fee: 0,
            gas: 0,
        };
        Ok((signed, sent))
    }
}

/// What is kept of one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub format: String,
    pub chain_id: String,
    pub owner: String,
    pub dseq: u64,
    /// The SDL file, with its full path.
    pub file: PathBuf,
    /// Hex.
    pub version: String,
    pub stage: Stage,
    pub intent: Option<Intent>,
    /// Such as `5000000ustoa`.
    pub deposit: String,
    /// Files to be shipped, by BLAKE3 root.
    pub blobs: BTreeMap<String, PathBuf>,
}

impl State {
    /// Of a deployment that is about to be posted.
    pub fn new(chain_id: &str, id: &DeploymentId, file: PathBuf, version: String) -> Self {
        Self {
            format: FORMAT.into(),
            chain_id: chain_id.into(),
            owner: id.owner.clone(),
            dseq: id.dseq,
            file,
            version,
            stage: Stage::Intent,
            intent: None,
            deposit: String::new(),
            blobs: BTreeMap::new(),
        }
    }

    pub fn id(&self) -> DeploymentId {
        DeploymentId { owner: self.owner.clone(), dseq: self.dseq }
    }
}

/// All that is kept for one chain.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    pub fn new(home: &Path, chain_id: &str) -> Self {
        Self { dir: home.join("deployments").join(chain_id) }
    }

    fn of(&self, id: &DeploymentId) -> PathBuf {
        self.dir.join(format!("{}-{}", id.owner, id.dseq))
    }

    /// What is kept of a deployment.
    pub fn read(&self, id: &DeploymentId) -> Result<Option<State>, Failure> {
        read(&self.of(id).join("state.json"))
    }

    /// The highest dseq that is kept of an owner: an undecided one may yet land,
    /// so its number is taken.
    pub fn last_dseq(&self, owner: &str) -> Result<u64, Failure> {
        let of_owner = self.all()?.into_iter().filter(|s| s.owner == owner);
        Ok(of_owner.map(|s| s.dseq).max().unwrap_or(0))
    }

    /// All of an owner's that broke off, of one file; the newest first.
    pub fn unfinished(&self, owner: &str, file: &Path) -> Result<Vec<State>, Failure> {
        let mut found = self.all()?;
        found.retain(|s| {
            let open = matches!(s.stage, Stage::Intent | Stage::Posted);
            open && s.owner == owner && s.file == file
        });
        found.sort_by_key(|s| std::cmp::Reverse(s.dseq));
        Ok(found)
    }

    /// All of an owner's of one file that were brought up and not closed here.
    pub fn running(&self, owner: &str, file: &Path) -> Result<Vec<State>, Failure> {
        let mut found = self.all()?;
        found.retain(|s| s.stage == Stage::Running && s.owner == owner && s.file == file);
        Ok(found)
    }

    fn all(&self) -> Result<Vec<State>, Failure> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(bad(&self.dir, e)),
        };
        let mut found = vec![];
        for entry in entries {
            let entry = entry.map_err(|e| bad(&self.dir, e))?;
            found.extend(read(&entry.path().join("state.json"))?);
        }
        Ok(found)
    }

    /// Keeps the state.
    pub fn write(&self, state: &State) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(state).map_err(|e| Failure::new(e.to_string()))?;
        self.put(&state.id(), "state.json", &text)
    }

    /// Keeps the canonical manifest of a version.
    pub fn write_manifest(&self, state: &State, canonical: &[u8]) -> Result<(), Failure> {
        self.put(&state.id(), &manifest_name(&state.version), canonical)
    }

    /// The canonical manifest of the state's version.
    pub fn manifest(&self, state: &State) -> Result<Vec<u8>, Failure> {
        let path = self.of(&state.id()).join(manifest_name(&state.version));
        fs::read(&path).map_err(|e| bad(&path, e))
    }

    /// Forgets one that never reached the chain.
    pub fn forget(&self, state: &State) -> Result<(), Failure> {
        let dir = self.of(&state.id());
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(bad(&dir, e)),
            _ => Ok(()),
        }
    }

    /// Temporary file, fsync, rename, fsync of the folder.
    fn put(&self, id: &DeploymentId, name: &str, text: &[u8]) -> Result<(), Failure> {
        let dir = self.of(id);
        let path = dir.join(name);
        let temporary = dir.join(format!(".{name}.new"));
        let write = || -> std::io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            fs::File::open(&dir)?.sync_all()
        };
        write().map_err(|e| bad(&path, e))
    }
}

fn manifest_name(version: &str) -> String {
    format!("manifest-{}.json", version.get(..16).unwrap_or(version))
}

fn read(path: &Path) -> Result<Option<State>, Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(e) => return Err(bad(path, e)),
    };
    let state: State = serde_json::from_slice(&text).map_err(|e| bad(path, e))?;
    if state.format != FORMAT {
        return Err(bad(path, format!("format `{}`, not `{FORMAT}`", state.format)));
    }
    Ok(Some(state))
}

fn bad(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state(dseq: u64, file: &str) -> State {
        let id = DeploymentId { owner: "stoa1owner".into(), dseq };
        State::new("stoa-test", &id, file.into(), "ab".repeat(32))
    }

    #[test]
    fn only_unfinished_runs_of_the_same_file_and_owner_are_found() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path(), "stoa-test");
        assert!(store.unfinished("stoa1owner", Path::new("/a")).unwrap().is_empty());
        for (dseq, file, stage) in [
            (1, "/a", Stage::Posted),
            (2, "/a", Stage::Intent),
            (3, "/a", Stage::Running),
            (4, "/a", Stage::Closed),
            (5, "/b", Stage::Posted),
        ] {
            store.write(&State { stage, ..state(dseq, file) }).unwrap();
        }
        let other = State { owner: "stoa1other".into(), ..state(6, "/a") };
        store.write(&other).unwrap();
        let found = store.unfinished("stoa1owner", Path::new("/a")).unwrap();
        assert_eq!(found.iter().map(|s| s.dseq).collect::<Vec<_>>(), [2, 1]);
        let running = store.running("stoa1owner", Path::new("/a")).unwrap();
        assert_eq!(running.iter().map(|s| s.dseq).collect::<Vec<_>>(), [3]);
        // A new one must not take the number of any of them.
        assert_eq!(store.last_dseq("stoa1owner").unwrap(), 5);
        assert_eq!(store.last_dseq("stoa1nobody").unwrap(), 0);
        let elsewhere = Store::new(home.path(), "stoa-other");
        assert!(elsewhere.unfinished("stoa1owner", Path::new("/a")).unwrap().is_empty());
        store.forget(&found[0]).unwrap();
        assert_eq!(store.read(&found[0].id()).unwrap(), None);
    }

    #[test]
    fn state_and_manifest_are_private_and_survive() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path(), "stoa-test");
        let mut kept = state(7, "/a");
        let bytes = b"signed".to_vec();
        kept.intent = Some(Intent {
            hash: hash_of(&bytes),
            bytes: hex::encode(&bytes),
            sequence: 1,
            after_height: 2,
            timeout_height: 3,
        });
        store.write_manifest(&kept, b"[]").unwrap();
        store.write(&kept).unwrap();
        assert_eq!(store.read(&kept.id()).unwrap().unwrap(), kept);
        assert_eq!(store.manifest(&kept).unwrap(), b"[]");
        let intent = kept.intent.clone().unwrap();
        assert_eq!(intent.signed().unwrap().0.bytes, bytes);
        assert!(Intent { bytes: "00".into(), ..intent }.signed().is_err());
        let dir = home.path().join("deployments/stoa-test/stoa1owner-7");
        for entry in fs::read_dir(dir).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path(), "stoa-test");
        store.write(&state(7, "/a")).unwrap();
        let path = home.path().join("deployments/stoa-test/stoa1owner-7/state.json");
        fs::write(&path, "{").unwrap();
        let error = store.read(&state(7, "/a").id()).unwrap_err().to_string();
        assert!(error.contains("state.json"), "{error}");
    }
}
