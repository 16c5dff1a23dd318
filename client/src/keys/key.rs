//! One private key of either kind, and its public half.

use std::{fmt, str::FromStr};

use k256::ecdsa::signature::{Signer as _, Verifier as _};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use stoa_proto::{cosmos::crypto, Any};
use zeroize::Zeroizing;

use super::KeyError;
use crate::Address;

const SECP256K1_URL: &str = "/cosmos.crypto.secp256k1.PubKey";
const ED25519_URL: &str = "/cosmos.crypto.ed25519.PubKey";

/// What signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Secp256k1,
    Ed25519,
    /// Some of several keys; has no secret of its own.
    Multisig,
}

impl Algorithm {
    /// Its name as written in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secp256k1 => "secp256k1",
            Self::Ed25519 => "ed25519",
            Self::Multisig => "multisig",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text {
            "secp256k1" => Ok(Self::Secp256k1),
            "ed25519" => Ok(Self::Ed25519),
            other => Err(KeyError::BadAlgorithm(other.chars().take(40).collect())),
        }
    }
}

/// A private key. Its bytes are wiped when it is dropped.
#[derive(Clone)]
pub enum SecretKey {
    Secp256k1(k256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, {})", self.algorithm(), self.address())
    }
}

impl SecretKey {
    /// From 32 raw bytes.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Secp256k1 => k256::ecdsa::SigningKey::from_slice(bytes)
                .map(Self::Secp256k1)
                .map_err(|_| KeyError::BadKey("secp256k1")),
            Algorithm::Ed25519 => <[u8; 32]>::try_from(bytes)
                .map(|b| Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&b)))
                .map_err(|_| KeyError::BadKey("ed25519")),
            Algorithm::Multisig => Err(KeyError::BadKey("multisig")),
        }
    }

    /// The 32 raw bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Secp256k1(key) => Zeroizing::new(key.to_bytes().into()),
            Self::Ed25519(key) => Zeroizing::new(key.to_bytes()),
        }
    }

    /// Which kind it is.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secp256k1(_) => Algorithm::Secp256k1,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Secp256k1(key) => PublicKey::Secp256k1(*key.verifying_key()),
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key()),
        }
    }

    /// Its account.
    pub fn address(&self) -> Address {
        self.public().address()
    }

    /// 64 bytes: over SHA-256 of the message in low-S form for secp256k1, over
    /// the message itself for ed25519.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Secp256k1(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }
}

/// As key files and command lines name it: `secp256k1:` or `ed25519:`, then hex.
impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bad = || KeyError::BadMultisig(format!("`{text}` is no public key"));
        let (algorithm, digits) = text.split_once(':').ok_or_else(bad)?;
        Self::from_bytes(algorithm.parse()?, &hex::decode(digits).map_err(|_| bad())?)
    }
}

/// A public key of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKey {
    Secp256k1(k256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl PublicKey {
    /// From 33 bytes compressed, or 32.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Secp256k1 => k256::ecdsa::VerifyingKey::from_sec1_bytes(bytes)
                .map(Self::Secp256k1)
                .map_err(|_| KeyError::BadKey("secp256k1")),
            Algorithm::Ed25519 => <[u8; 32]>::try_from(bytes)
                .ok()
                .and_then(|b| ed25519_dalek::VerifyingKey::from_bytes(&b).ok())
                .map(Self::Ed25519)
                .ok_or(KeyError::BadKey("ed25519")),
            Algorithm::Multisig => Err(KeyError::BadKey("multisig")),
        }
    }

    /// Which kind it is.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secp256k1(_) => Algorithm::Secp256k1,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// From a signer info's form.
    pub fn from_any(any: &Any) -> Result<Self, KeyError> {
        let bad = |_| KeyError::BadMultisig("a key in it does not decode".into());
        let value = any.value.as_slice();
        match any.type_url.as_str() {
            SECP256K1_URL => {
                let key = crypto::secp256k1::PubKey::decode(value).map_err(bad)?.key;
                Self::from_bytes(Algorithm::Secp256k1, &key)
            }
            ED25519_URL => {
                let key = crypto::ed25519::PubKey::decode(value).map_err(bad)?.key;
                Self::from_bytes(Algorithm::Ed25519, &key)
            }
            other => Err(KeyError::BadMultisig(format!("a key in it is of type `{other}`"))),
        }
    }

    /// 33 bytes compressed, or 32.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Secp256k1(key) => key.to_encoded_point(true).as_bytes().to_vec(),
            Self::Ed25519(key) => key.to_bytes().to_vec(),
        }
    }

    /// Its account.
    pub fn address(&self) -> Address {
        match self {
            Self::Secp256k1(_) => Address::of_secp256k1(&self.to_bytes()),
            Self::Ed25519(key) => Address::of_ed25519(key.as_bytes()),
        }
    }

    /// As a transaction's signer info carries it.
    pub fn to_any(&self) -> Any {
        let key = self.to_bytes();
        match self {
            Self::Secp256k1(_) => Any {
                type_url: SECP256K1_URL.into(),
                value: crypto::secp256k1::PubKey { key }.encode_to_vec(),
            },
            Self::Ed25519(_) => Any {
                type_url: ED25519_URL.into(),
                value: crypto::ed25519::PubKey { key }.encode_to_vec(),
            },
        }
    }

    /// Whether the signature is this key's over the message, by the chain's
    /// rules: low-S only for secp256k1, strict for ed25519.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secp256k1(key) => k256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|s| s.normalize_s().is_none() && key.verify(message, &s).is_ok()),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|s| key.verify_strict(message, &s).is_ok()),
        }
    }
}
