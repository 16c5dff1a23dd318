//! The files.

use std::{fs, io::Write, path::PathBuf};

use serde::{Deserialize, Serialize};
use stoa_client::{
    keys::{Backend, Sealed},
    sealing::Value,
};
use zeroize::Zeroizing;

use super::{make_dir, private};
use crate::{context::Context, exit::Code, exit::Failure, text};

const FORMAT: &str = "stoa-secret/1";
/// The account's key signs this, and what comes out stretches to the key of
/// the files: signatures of account keys are deterministic and never this one
/// elsewhere.
const DOMAIN: &[u8] = b"stoa-secret-files/1";

/// One file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    /// Unix seconds.
    set_at: u64,
    /// In the clear, where the keyring is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

/// A name and when its value was set.
pub struct Kept {
    pub name: String,
    /// Unix seconds.
    pub set_at: u64,
}

/// The secrets of a home.
pub struct Secrets {
    context: Context,
    dir: PathBuf,
    /// Asked for once a command.
    opens: Option<Zeroizing<String>>,
}

impl Secrets {
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let dir = context.config.home.join("secrets");
        Ok(Self { context: context.clone(), dir, opens: None })
    }

    /// Keeps a value: whole or not at all.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<(), Failure> {
        let mut file =
            File { format: FORMAT.into(), set_at: text::now(), value: None, sealed: None };
        match self.is_encrypted() {
            true => {
                let sealed =
                    Sealed::seal(value.expose().as_bytes(), self.opener()?, name.as_bytes());
                file.sealed = Some(sealed?);
            }
            false => file.value = Some(value.clone()),
        }
        let path = self.path(name);
        let temporary = self.dir.join(format!(".{name}.new"));
        let bytes = serde_json::to_vec(&file).map_err(|e| Failure::new(e.to_string()))?;
        let bytes = Zeroizing::new(bytes);
        let write = || -> std::io::Result<()> {
            make_dir(&self.dir)?;
            let mut file = private(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|e| Failure::new(format!("{}: {e}", path.display())))
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    pub fn get(&mut self, name: &str) -> Result<Value, Failure> {
        let file = self.read(name)?;
        if let Some(value) = file.value {
            return Ok(value);
        }
        let sealed = file.sealed.ok_or_else(|| self.bad(name, "neither value nor sealed value"))?;
        let bytes = sealed.open(self.opener()?, name.as_bytes()).map_err(|_| {
            self.bad(name, "it was set with another key than the one that signs now; set it anew")
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.bad(name, "it is no text"))?;
        Ok(Value::new(text.to_owned()))
    }

    /// By name.
    pub fn list(&self) -> Result<Vec<Kept>, Failure> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(Failure::new(format!("{}: {e}", self.dir.display()))),
        };
        let mut kept = vec![];
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".json").filter(|n| !n.starts_with('.')) {
                kept.push(Kept { name: name.into(), set_at: self.read(name)?.set_at });
            }
        }
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(kept)
    }

    /// Whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, Failure> {
        match fs::remove_file(self.path(name)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.bad(name, &e.to_string())),
        }
    }

    fn read(&self, name: &str) -> Result<File, Failure> {
        let text = match fs::read(self.path(name)) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let words = format!("no secret {name} is kept here");
                return Err(Failure::with(Code::NotFound, words));
            }
            Err(e) => return Err(self.bad(name, &e.to_string())),
        };
        // serde's own words might repeat a piece of the value.
        let file: File = serde_json::from_slice(&text)
            .map_err(|_| self.bad(name, "it is not of the form that it should be"))?;
        match file.format == FORMAT {
            true => Ok(file),
            false => Err(self.bad(name, &format!("its format is not {FORMAT}"))),
        }
    }

    fn is_encrypted(&self) -> bool {
        self.context.config.keyring_backend == Backend::File
    }

    /// What opens the files: known to whoever can open the account's key.
    fn opener(&mut self) -> Result<&str, Failure> {
        if self.opens.is_none() {
            let signature = Zeroizing::new(self.context.signer()?.sign(DOMAIN));
            self.opens = Some(Zeroizing::new(hex::encode(signature.as_slice())));
        }
        Ok(self.opens.as_deref().map(String::as_str).unwrap_or_default())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    fn bad(&self, name: &str, why: &str) -> Failure {
        Failure::new(format!("secret {name} ({}): {why}", self.path(name).display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use stoa_client::keys::{new_mnemonic, recover, Algorithm, KeyStore, Passphrase};

    use super::*;
    use crate::args::Globals;

    fn context(dir: &std::path::Path, backend: Backend) -> Context {
        let globals = Globals {
            home: Some(dir.into()),
            keyring_backend: Some(backend),
            ..Globals::default()
        };
        let key = recover(&new_mnemonic().unwrap(), "", Algorithm::Secp256k1).unwrap();
        let pass = Passphrase::Fixed(Zeroizing::new("correct horse".to_owned()));
        KeyStore::new(dir, backend, pass).add("alice", &key).unwrap();
        Context::new(&globals).unwrap()
    }

    #[test]
    fn values_are_kept_privately_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(dir.path(), Backend::Test);
        let mut secrets = Secrets::of(&context).unwrap();
        assert!(!secrets.has("db"));
        secrets.set("db", &Value::new("one".into())).unwrap();
        secrets.set("db", &Value::new("two".into())).unwrap();
        secrets.set("api", &Value::new("three".into())).unwrap();
        assert_eq!(secrets.get("db").unwrap().expose(), "two");
        let names: Vec<String> = secrets.list().unwrap().into_iter().map(|k| k.name).collect();
        assert_eq!(names, ["api", "db"]);
        let mode = fs::metadata(dir.path().join("secrets/db.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(secrets.remove("db").unwrap());
        assert!(!secrets.remove("db").unwrap());
        assert_eq!(secrets.get("db").unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn with_an_encrypted_keyring_no_value_stands_in_the_clear() {
        let dir = tempfile::tempdir().unwrap();
        let context = context(dir.path(), Backend::File);
        let mut secrets = Secrets::of(&context).unwrap();
        // What the account's key gives; it needs no terminal here.
        secrets.opens = Some(Zeroizing::new("from the key".to_owned()));
        secrets.set("db", &Value::new("plainly visible".into())).unwrap();
        let text = fs::read_to_string(dir.path().join("secrets/db.json")).unwrap();
        assert!(!text.contains("visible"), "{text}");
        assert_eq!(secrets.get("db").unwrap().expose(), "plainly visible");
        secrets.opens = Some(Zeroizing::new("from another key".to_owned()));
        assert!(secrets.get("db").unwrap_err().to_string().contains("another key"));
    }
}
