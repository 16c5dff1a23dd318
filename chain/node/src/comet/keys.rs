//! CometBFT's key files, read only: this node never holds a consensus key.

use std::{fs, path::Path};

use base64::{engine::general_purpose::STANDARD, Engine as _};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::CometError;

/// CometBFT's name for ed25519 public keys in JSON.
pub const ED25519_JSON_TYPE: &str = "tendermint/PubKeyEd25519";

#[derive(Deserialize)]
struct JsonKey {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Deserialize)]
struct ValidatorFile {
    pub_key: JsonKey,
}

#[derive(Deserialize)]
struct NodeFile {
    priv_key: JsonKey,
}

/// The public half of `priv_validator_key.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidatorKey {
    public: [u8; 32],
}

impl ValidatorKey {
    /// Reads the public key of a validator's key file.
    pub fn read(path: &Path) -> Result<Self, CometError> {
        let file: ValidatorFile = read_json(path)?;
        let refuse = |reason: &str| format_error(path, reason);
        if file.pub_key.kind != ED25519_JSON_TYPE {
            return Err(refuse("the validator's key must be ed25519"));
        }
        let bytes = STANDARD
            .decode(&file.pub_key.value)
            .map_err(|_| refuse("the public key is not base64"))?;
        let public = bytes.try_into().map_err(|_| refuse("the public key must have 32 bytes"))?;
        Ok(Self { public })
    }

    /// The raw ed25519 public key.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// The public key as CometBFT writes it.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.public)
    }

    /// CometBFT's address: 20 bytes of SHA-256, in upper-case hex.
    pub fn address(&self) -> String {
        address(&self.public).to_uppercase()
    }
}

/// The identity of this node among its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeKey {
    id: String,
}

impl NodeKey {
    /// Reads `node_key.json`, and of it only the public half that the secret ends with.
    pub fn read(path: &Path) -> Result<Self, CometError> {
        let file: NodeFile = read_json(path)?;
        let refuse = |reason: &str| format_error(path, reason);
        if file.priv_key.kind != "tendermint/PrivKeyEd25519" {
            return Err(refuse("the node's key must be ed25519"));
        }
        let secret = zeroize::Zeroizing::new(
            STANDARD.decode(&file.priv_key.value).map_err(|_| refuse("the key is not base64"))?,
        );
        let public = secret.get(32..64).filter(|_| secret.len() == 64);
        let public = public.ok_or_else(|| refuse("the key must have 64 bytes"))?;
        Ok(Self { id: address(public) })
    }

    /// The id in `ID@host:port`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// First 20 bytes of the key's SHA-256, in hex.
fn address(public: &[u8]) -> String {
    Sha256::digest(public).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CometError> {
    let text = fs::read_to_string(path)
        .map(zeroize::Zeroizing::new)
        .map_err(|source| CometError::File { path: path.to_owned(), source })?;
    // serde's message may quote the input, which holds a secret: say only where it stopped.
    serde_json::from_str(&text).map_err(|error| {
        format_error(path, &format!("line {}, column {}", error.line(), error.column()))
    })
}

fn format_error(path: &Path, reason: &str) -> CometError {
    CometError::Format { path: path.to_owned(), reason: reason.to_owned() }
}
