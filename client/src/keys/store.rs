//! Keys in a directory, one file each.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{armor, Algorithm, KeyError, MultisigKey, Passphrase, PublicKey, Sealed, SecretKey};
use crate::Address;

/// Far over any key file.
const MAX_FILE: u64 = 16 * 1024;

/// How keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Encrypted under a passphrase.
    File,
    /// In the clear. For local networks only.
    Test,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Test => "test",
        })
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "file" => Ok(Self::File),
            "test" => Ok(Self::Test),
            other => Err(format!("`{other}` is no keyring backend; right are file and test")),
        }
    }
}

/// What may be shown of a key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyInfo {
    pub name: String,
    pub algorithm: Algorithm,
    pub address: String,
    /// Lower-case hex; of a threshold account, of its protobuf form.
    pub public_key: String,
}

impl KeyInfo {
    /// The keys of a threshold account.
    pub fn multisig(&self) -> Result<MultisigKey, KeyError> {
        if self.algorithm != Algorithm::Multisig {
            return Err(KeyError::BadMultisig(format!("`{}` is a single key", self.name)));
        }
        MultisigKey::from_bytes(&hex::decode(&self.public_key).unwrap_or_default())
    }

    /// The public key itself.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        let bytes = hex::decode(&self.public_key).unwrap_or_default();
        PublicKey::from_bytes(self.algorithm, &bytes)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: String,
    algorithm: Algorithm,
    address: String,
    public_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
    /// Hex; the `test` backend only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain: Option<String>,
}

const FORMAT: &str = "stoa-key/1";

/// The keys under one directory and backend.
#[derive(Clone, Debug)]
pub struct KeyStore {
    dir: PathBuf,
    backend: Backend,
    passphrase: Passphrase,
}

impl KeyStore {
    /// The store in `dir/keyring-<backend>`; nothing is created yet.
    pub fn new(dir: &Path, backend: Backend, passphrase: Passphrase) -> Self {
        Self { dir: dir.join(format!("keyring-{backend}")), backend, passphrase }
    }

    /// How its keys are kept.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Puts a key in under a name that is not taken.
    pub fn add(&self, name: &str, key: &SecretKey) -> Result<KeyInfo, KeyError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(KeyError::Exists(name.into()));
        }
        let mut file = KeyFile {
            format: FORMAT.into(),
            algorithm: key.algorithm(),
            address: key.address().to_string(),
            public_key: hex::encode(key.public().to_bytes()),
            sealed: None,
            plain: None,
        };
        match self.backend {
            Backend::File => {
                let passphrase = self.passphrase.choose(&format!("the new key `{name}`"))?;
                let about = about(&file);
                let secret = key.to_bytes();
                file.sealed = Some(Sealed::seal(secret.as_slice(), &passphrase, about.as_bytes())?);
            }
            Backend::Test => {
                tracing::warn!(
                    "key `{name}` is kept UNENCRYPTED (keyring backend `test`): \
                     never hold real funds with it"
                );
                file.plain = Some(hex::encode(key.to_bytes().as_slice()));
            }
        }
        self.write(&path, &file)?;
        Ok(info(name, &file))
    }

    /// Puts a threshold account in, which has no secret.
    pub fn add_multisig(&self, name: &str, key: &MultisigKey) -> Result<KeyInfo, KeyError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(KeyError::Exists(name.into()));
        }
        let file = KeyFile {
            format: FORMAT.into(),
            algorithm: Algorithm::Multisig,
            address: key.address().to_string(),
            public_key: hex::encode(key.to_bytes()),
            sealed: None,
            plain: None,
        };
        self.write(&path, &file)?;
        Ok(info(name, &file))
    }

    /// Opens a key for signing.
    pub fn get(&self, name: &str) -> Result<SecretKey, KeyError> {
        let (path, file) = self.read(name)?;
        if file.algorithm == Algorithm::Multisig {
            return Err(KeyError::NoSecret(name.into()));
        }
        let bad = |why: &str| KeyError::BadFile(path.display().to_string(), why.into());
        let key = match (&file.sealed, &file.plain) {
            (Some(sealed), None) => {
                let passphrase = self.passphrase.read(&format!("key `{name}`"))?;
                let secret = sealed.open(&passphrase, about(&file).as_bytes())?;
                SecretKey::from_bytes(file.algorithm, &secret)?
            }
            (None, Some(plain)) if self.backend == Backend::Test => {
                let secret = hex::decode(plain).map_err(|_| bad("`plain` is not hex"))?;
                SecretKey::from_bytes(file.algorithm, &secret)?
            }
            _ => return Err(bad("it is not of this backend")),
        };
        if key.address().to_string() != file.address {
            return Err(bad("its address is not that of its key"));
        }
        Ok(key)
    }

    /// What may be shown of a key; needs no passphrase.
    pub fn show(&self, name: &str) -> Result<KeyInfo, KeyError> {
        self.read(name).map(|(_, file)| info(name, &file))
    }

    /// All keys by name; needs no passphrase.
    pub fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(KeyError::io(&self.dir)(e)),
        };
        let mut names = vec![];
        for entry in entries {
            let name = entry.map_err(KeyError::io(&self.dir))?.file_name();
            if let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".json")) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        names.iter().map(|name| self.show(name)).collect()
    }

    /// The name of the key of an address, or an address's own key name.
    pub fn find(&self, name_or_address: &str) -> Result<KeyInfo, KeyError> {
        if name_or_address.parse::<Address>().is_err() {
            return self.show(name_or_address);
        }
        let found = self.list()?.into_iter().find(|k| k.address == name_or_address);
        found.ok_or_else(|| self.not_found(name_or_address))
    }

    /// Removes a key for good.
    pub fn delete(&self, name: &str) -> Result<(), KeyError> {
        let path = self.path(name)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(self.not_found(name)),
            Err(e) => Err(KeyError::io(&path)(e)),
        }
    }

    /// The key as armoured text under a passphrase of its own.
    pub fn export(&self, name: &str, passphrase: &Passphrase) -> Result<String, KeyError> {
        let key = self.get(name)?;
        armor::export(&key, &passphrase.choose(&format!("the export of `{name}`"))?)
    }

    /// Takes an armoured key in.
    pub fn import(
        &self,
        name: &str,
        armoured: &str,
        passphrase: &Passphrase,
    ) -> Result<KeyInfo, KeyError> {
        let key = armor::import(armoured, &passphrase.read("the armoured key")?)?;
        self.add(name, &key)
    }

    fn path(&self, name: &str) -> Result<PathBuf, KeyError> {
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !first || !rest || name.len() > 64 {
            return Err(KeyError::BadName(name.chars().take(80).collect()));
        }
        Ok(self.dir.join(format!("{name}.json")))
    }

    fn not_found(&self, name: &str) -> KeyError {
        KeyError::NotFound { name: name.into(), dir: self.dir.display().to_string() }
    }

    fn read(&self, name: &str) -> Result<(PathBuf, KeyFile), KeyError> {
        let path = self.path(name)?;
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(self.not_found(name)),
            Err(e) => return Err(KeyError::io(&path)(e)),
        };
        let bad = |why: String| KeyError::BadFile(path.display().to_string(), why);
        let mode = file.metadata().map_err(KeyError::io(&path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(bad(format!(
                "others may read it (mode {:o}); `chmod 600` it",
                mode & 0o777
            )));
        }
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text).map_err(KeyError::io(&path))?;
        let text = zeroize::Zeroizing::new(text);
        let parsed: KeyFile = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if parsed.format != FORMAT {
            return Err(bad(format!("its format is `{}`, not `{FORMAT}`", parsed.format)));
        }
        Ok((path, parsed))
    }

    /// Written beside, synced, and linked into place: never half a key, and
    /// never over one that another process put there meanwhile.
    fn write(&self, path: &Path, file: &KeyFile) -> Result<(), KeyError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(KeyError::io(&self.dir))?;
        let text = serde_json::to_vec_pretty(file)
            .map(zeroize::Zeroizing::new)
            .map_err(|e| KeyError::BadFile(path.display().to_string(), e.to_string()))?;
        let temporary = self.dir.join(format!(".new-{:016x}", rand::random::<u64>()));
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(KeyError::io(&temporary))?;
        let written = out.write_all(&text).and_then(|()| out.sync_all());
        let linked = written.and_then(|()| fs::hard_link(&temporary, path));
        let _ = fs::remove_file(&temporary);
        match linked {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                Err(KeyError::Exists(name.into_owned()))
            }
            Err(e) => Err(KeyError::io(path)(e)),
            Ok(()) => fs::File::open(&self.dir)
                .and_then(|d| d.sync_all())
                .map_err(KeyError::io(&self.dir)),
        }
    }
}

fn info(name: &str, file: &KeyFile) -> KeyInfo {
    KeyInfo {
        name: name.into(),
        algorithm: file.algorithm,
        address: file.address.clone(),
        public_key: file.public_key.clone(),
    }
}

fn about(file: &KeyFile) -> String {
    format!("{FORMAT} {} {}", file.algorithm, file.public_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{new_mnemonic, recover};

    fn fixed(text: &str) -> Passphrase {
        Passphrase::Fixed(text.to_owned().into())
    }

    fn key(algorithm: Algorithm) -> SecretKey {
        recover(&new_mnemonic().unwrap(), "", algorithm).unwrap()
    }

    #[test]
    fn keeps_both_kinds_and_refuses_a_wrong_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path(), Backend::File, fixed("correct horse"));
        for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
            let made = key(algorithm);
            store.add(algorithm.name(), &made).unwrap();
            let read = store.get(algorithm.name()).unwrap();
            assert_eq!(*read.to_bytes(), *made.to_bytes());
            let shown = store.show(algorithm.name()).unwrap().public().unwrap();
            assert_eq!(shown, made.public());
        }
        let wrong = KeyStore::new(dir.path(), Backend::File, fixed("battery staple"));
        assert!(matches!(wrong.get("ed25519"), Err(KeyError::WrongPassphrase)));
        assert_eq!(wrong.list().unwrap().len(), 2);
        let text = fs::read_to_string(dir.path().join("keyring-file/ed25519.json")).unwrap();
        let secret = store.get("ed25519").unwrap().to_bytes();
        assert!(!text.contains(&hex::encode(secret.as_slice())));
    }

    #[test]
    fn files_are_private_and_others_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path(), Backend::Test, Passphrase::Prompt);
        store.add("a", &key(Algorithm::Secp256k1)).unwrap();
        let path = dir.path().join("keyring-test/a.json");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = store.get("a").unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn names_are_checked_and_not_taken_twice() {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path(), Backend::Test, Passphrase::Prompt);
        for name in ["", ".hidden", "../up", "a/b", "a b", &"x".repeat(65)] {
            let result = store.add(name, &key(Algorithm::Secp256k1));
            assert!(matches!(result, Err(KeyError::BadName(_))), "{name}");
        }
        let first = store.add("a", &key(Algorithm::Secp256k1)).unwrap();
        let again = store.add("a", &key(Algorithm::Secp256k1));
        assert!(matches!(again, Err(KeyError::Exists(_))));
        assert_eq!(store.find(&first.address).unwrap().name, "a");
        store.delete("a").unwrap();
        assert!(matches!(store.get("a"), Err(KeyError::NotFound { .. })));
        assert!(matches!(store.delete("a"), Err(KeyError::NotFound { .. })));
    }

    #[test]
    fn armour_carries_a_key_to_another_store() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from = KeyStore::new(from.path(), Backend::Test, Passphrase::Prompt);
        let to = KeyStore::new(to.path(), Backend::File, fixed("correct horse"));
        let info = from.add("a", &key(Algorithm::Ed25519)).unwrap();
        let text = from.export("a", &fixed("export secret")).unwrap();
        assert!(text.lines().all(|l| l.len() <= 64));
        let wrong = to.import("b", &text, &fixed("another secret"));
        assert!(matches!(wrong, Err(KeyError::WrongPassphrase)));
        let taken = to.import("b", &text, &fixed("export secret")).unwrap();
        assert_eq!(taken.address, info.address);
        assert!(to.import("c", "hello", &fixed("export secret")).is_err());
    }
}
