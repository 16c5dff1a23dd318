//! Where the network is and who signs: flag over environment over file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    keys::{Backend, KeyStore, Passphrase},
    Error, Result,
};

/// What a network that nobody configured is taken to be: one on this machine.
const DEFAULT_RPC: &str = "http://127.0.0.1:26657";
const DEFAULT_GRPC: &str = "http://127.0.0.1:9090";
/// Per unit of gas.
pub const DEFAULT_GAS_PRICE: &str = "0.0025ustoa";

/// `config.toml` as it is on disk, and, as flags, what overrides it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Such as `stoa-1`. Where absent, the node's own is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<String>,
    /// CometBFT RPC addresses; the first that answers is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc: Option<Vec<String>>,
    /// gRPC addresses, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Vec<String>>,
    /// Such as `0.0025ustoa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring_backend: Option<Backend>,
    /// Name of the key that signs where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// All of it settled.
#[derive(Clone, Debug)]
pub struct Config {
    pub home: PathBuf,
    pub chain_id: Option<String>,
    pub rpc: Vec<String>,
    pub grpc: Vec<String>,
    pub gas_price: String,
    pub keyring_dir: PathBuf,
    pub keyring_backend: Backend,
    pub key: Option<String>,
}

impl Settings {
    /// From the environment's `STOA_…` variables.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }

    fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let backend = get("STOA_KEYRING_BACKEND").map(|t| t.parse()).transpose();
        Ok(Self {
            chain_id: get("STOA_CHAIN_ID"),
            rpc: get("STOA_RPC").map(|t| split(&t)),
            grpc: get("STOA_GRPC").map(|t| split(&t)),
            gas_price: get("STOA_GAS_PRICE"),
            keyring_dir: get("STOA_KEYRING_DIR").map(Into::into),
            keyring_backend: backend
                .map_err(|e| Error::Invalid(format!("STOA_KEYRING_BACKEND: {e}")))?,
            key: get("STOA_KEY"),
        })
    }

    /// Reads a file; one that is not there says nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io(path)(e)),
        };
        toml::from_str(&text).map_err(|e| Error::Invalid(format!("{}: {e}", path.display())))
    }

    /// As TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::Invalid(e.to_string()))
    }

    /// This one's values, and the other's where it has none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            chain_id: self.chain_id.or(other.chain_id),
            rpc: self.rpc.or(other.rpc),
            grpc: self.grpc.or(other.grpc),
            gas_price: self.gas_price.or(other.gas_price),
            keyring_dir: self.keyring_dir.or(other.keyring_dir),
            keyring_backend: self.keyring_backend.or(other.keyring_backend),
            key: self.key.or(other.key),
        }
    }
}

impl Config {
    /// `--home`, else `STOA_HOME`, else `~/.stoa`.
    pub fn home(flag: Option<PathBuf>) -> Result<PathBuf> {
        flag.or_else(|| std::env::var_os("STOA_HOME").map(Into::into))
            .or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join(".stoa")))
            .ok_or_else(|| Error::Invalid("no home: name one with --home or STOA_HOME".into()))
    }

    /// Flags over environment over `<home>/config.toml` over defaults.
    pub fn load(home: PathBuf, flags: Settings) -> Result<Self> {
        let file = Settings::read(&home.join("config.toml"))?;
        Ok(Self::settle(home, flags.or(Settings::from_env()?).or(file)))
    }

    /// Fills in the defaults.
    pub fn settle(home: PathBuf, settings: Settings) -> Self {
        Self {
            chain_id: settings.chain_id,
            rpc: settings.rpc.unwrap_or_else(|| vec![DEFAULT_RPC.into()]),
            grpc: settings.grpc.unwrap_or_else(|| vec![DEFAULT_GRPC.into()]),
            gas_price: settings.gas_price.unwrap_or_else(|| DEFAULT_GAS_PRICE.into()),
            keyring_dir: settings.keyring_dir.unwrap_or_else(|| home.clone()),
            keyring_backend: settings.keyring_backend.unwrap_or(Backend::File),
            key: settings.key,
            home,
        }
    }

    /// The key store that it names, with the passphrase from the environment
    /// or the terminal.
    pub fn key_store(&self) -> KeyStore {
        KeyStore::new(&self.keyring_dir, self.keyring_backend, Passphrase::from_env())
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_over_environment_over_file_over_default() {
        let file: Settings =
            toml::from_str("chain_id = 'f'\nkey = 'f'\ngas_price = '1ustoa'").unwrap();
        let env = Settings::from_lookup(|name| match name {
            "STOA_KEY" => Some("e".into()),
            "STOA_RPC" => Some("http://a:1, http://b:2".into()),
            "STOA_GAS_PRICE" => Some("2ustoa".into()),
            _ => None,
        })
        .unwrap();
        let flags = Settings { gas_price: Some("3ustoa".into()), ..Settings::default() };
        let config = Config::settle("/h".into(), flags.or(env).or(file));
        assert_eq!(config.chain_id.as_deref(), Some("f"));
        assert_eq!(config.key.as_deref(), Some("e"));
        assert_eq!(config.rpc, ["http://a:1", "http://b:2"]);
        assert_eq!(config.grpc, [DEFAULT_GRPC]);
        assert_eq!(config.gas_price, "3ustoa");
        assert_eq!(config.keyring_dir, Path::new("/h"));
    }

    #[test]
    fn unknown_keys_and_backends_are_refused() {
        assert!(toml::from_str::<Settings>("chian_id = 'x'").is_err());
        let bad = Settings::from_lookup(|n| (n == "STOA_KEYRING_BACKEND").then(|| "os".into()));
        assert!(bad.unwrap_err().to_string().contains("file and test"));
    }
}
