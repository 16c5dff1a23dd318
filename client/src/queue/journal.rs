//! The one transaction under way, on disk before it is on the wire.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    chain::Sent,
    tx::{hash_of, SignedTx},
    Error, Result,
};

/// What is remembered of a transaction before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    pub signer: String,
    pub hash: String,
    /// Hex; sending it again is harmless.
    pub bytes: String,
    pub sequence: u64,
    pub after_height: u64,
    pub timeout_height: u64,
    pub labels: Vec<String>,
}

impl Intent {
    pub(super) fn new(signer: &str, tx: &SignedTx, sent: &Sent, labels: Vec<String>) -> Self {
        Self {
            signer: signer.into(),
            hash: tx.hash.clone(),
            bytes: hex::encode(&tx.bytes),
            sequence: tx.sequence,
            after_height: sent.after_height,
            timeout_height: sent.timeout_height,
            labels,
        }
    }

    /// As it was sent.
    pub fn signed(&self) -> Result<(SignedTx, Sent)> {
        let bad = |why: &str| Error::Invalid(format!("the journal's transaction: {why}"));
        let bytes = hex::decode(&self.bytes).map_err(|_| bad("not hex"))?;
        if hash_of(&bytes) != self.hash {
            return Err(bad("its hash is not that of its bytes"));
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

/// A file that holds the intent while it is not known what became of it.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    signer: String,
}

impl Journal {
    /// `dir/tx-<address>.json`.
    pub fn new(dir: PathBuf, signer: &str) -> Self {
        Self { path: dir.join(format!("tx-{signer}.json")), signer: signer.into() }
    }

    /// What an earlier process had under way.
    pub fn read(&self) -> Result<Option<Intent>> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&self.path)(e)),
        };
        let bad = |why: String| Error::Invalid(format!("{}: {why}", self.path.display()));
        let intent: Intent = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        if intent.signer != self.signer {
            return Err(bad(format!("it is of {}, not of {}", intent.signer, self.signer)));
        }
        Ok(Some(intent))
    }

    /// Written whole and synced, directory and all, before this returns.
    pub fn write(&self, intent: &Intent) -> Result<()> {
        let text = serde_json::to_vec(intent).map_err(|e| Error::Invalid(e.to_string()))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let temporary = self.path.with_extension("new");
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(dir)?;
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            fs::File::open(dir)?.sync_all()
        };
        write().map_err(Error::io(&self.path))
    }

    /// Its fate is known.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&self.path)(e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_another_signers_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path().join("deep"), "stoa1a");
        assert_eq!(journal.read().unwrap(), None);
        let bytes = b"transaction".to_vec();
        let intent = Intent {
            signer: "stoa1a".into(),
            hash: hash_of(&bytes),
            bytes: hex::encode(&bytes),
            sequence: 3,
            after_height: 10,
            timeout_height: 70,
            labels: vec!["bid".into()],
        };
        journal.write(&intent).unwrap();
        assert_eq!(journal.read().unwrap().unwrap(), intent);
        assert_eq!(intent.signed().unwrap().0.bytes, bytes);
        let altered = Intent { bytes: "00".into(), ..intent };
        assert!(altered.signed().is_err());
        fs::rename(dir.path().join("deep/tx-stoa1a.json"), dir.path().join("deep/tx-stoa1b.json"))
            .unwrap();
        assert!(Journal::new(dir.path().join("deep"), "stoa1b").read().is_err());
        journal.clear().unwrap();
        journal.clear().unwrap();
    }
}
