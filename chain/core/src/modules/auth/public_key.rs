//! Public keys and signatures of accounts.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::crypto::{ed25519 as pb_ed25519, secp256k1 as pb_secp256k1};
use cosmos_sdk_proto::Any;
use prost::Message;
use ripemd::Ripemd160;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::SdkError;
use crate::gas;
use crate::types::Address;

const SECP256K1_URL: &str = "/cosmos.crypto.secp256k1.PubKey";
const ED25519_URL: &str = "/cosmos.crypto.ed25519.PubKey";

/// One public key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub enum PublicKey {
    /// Compressed, 33 bytes.
    Secp256k1([u8; 33]),
    /// 32 bytes.
    Ed25519([u8; 32]),
}

impl PublicKey {
    /// From a transaction's `Any`.
    pub fn from_any(any: &Any) -> Result<Self, SdkError> {
        let malformed = |what: &str| SdkError::InvalidPubKey(what.to_owned());
        let canonical = |encoded: Vec<u8>| {
            let same = encoded == any.value;
            same.then_some(()).ok_or_else(|| malformed("the key holds an unknown field"))
        };
        match any.type_url.as_str() {
            SECP256K1_URL => {
                let key = pb_secp256k1::PubKey::decode(any.value.as_slice())
                    .map_err(|error| SdkError::InvalidPubKey(error.to_string()))?;
                canonical(key.encode_to_vec())?;
                let key: [u8; 33] = key
                    .key
                    .try_into()
                    .map_err(|_| malformed("a secp256k1 key has 33 bytes, compressed"))?;
                secp256k1::PublicKey::from_slice(&key)
                    .map_err(|_| malformed("the secp256k1 key is no point of the curve"))?;
                Ok(Self::Secp256k1(key))
            }
            ED25519_URL => {
                let key = pb_ed25519::PubKey::decode(any.value.as_slice())
                    .map_err(|error| SdkError::InvalidPubKey(error.to_string()))?;
                canonical(key.encode_to_vec())?;
                let key: [u8; 32] =
                    key.key.try_into().map_err(|_| malformed("an ed25519 key has 32 bytes"))?;
                ed25519_dalek::VerifyingKey::from_bytes(&key)
                    .map_err(|_| malformed("the ed25519 key is no point of the curve"))?;
                Ok(Self::Ed25519(key))
            }
            other => Err(SdkError::InvalidPubKey(format!(
                "type {other:?}; keys of accounts are {SECP256K1_URL} or {ED25519_URL}"
            ))),
        }
    }

    /// As a transaction or an account's query carries it.
    pub fn to_any(self) -> Any {
        match self {
            Self::Secp256k1(key) => Any {
                type_url: SECP256K1_URL.to_owned(),
                value: pb_secp256k1::PubKey { key: key.to_vec() }.encode_to_vec(),
            },
            Self::Ed25519(key) => Any {
                type_url: ED25519_URL.to_owned(),
                value: pb_ed25519::PubKey { key: key.to_vec() }.encode_to_vec(),
            },
        }
    }

    /// The account's address: RIPEMD-160 of SHA-256 for secp256k1, the first
    /// 20 bytes of SHA-256 for ed25519.
    pub fn address(&self) -> Address {
        let mut bytes = [0; Address::LEN];
        match self {
            Self::Secp256k1(key) => {
                bytes.copy_from_slice(&Ripemd160::digest(Sha256::digest(key)));
            }
            Self::Ed25519(key) => {
                if let Some(first) = Sha256::digest(key).first_chunk::<{ Address::LEN }>() {
                    bytes = *first;
                }
            }
        }
        Address::new(bytes)
    }

    /// Amino's binary form: four bytes of its type's name, length, key.
    pub(super) fn amino_bytes(&self) -> Vec<u8> {
        match self {
            Self::Secp256k1(key) => [&[0xeb, 0x5a, 0xe9, 0x87, 33][..], key].concat(),
            Self::Ed25519(key) => [&[0x16, 0x24, 0xde, 0x64, 32][..], key].concat(),
        }
    }

    /// Gas for verifying one of its signatures.
    pub fn verification_gas(&self) -> u64 {
        match self {
            Self::Secp256k1(_) => gas::VERIFY_SECP256K1,
            Self::Ed25519(_) => gas::VERIFY_ED25519,
        }
    }
}

/// As documents write it: `secp256k1:` or `ed25519:`, then hexadecimal.
impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        match key {
            PublicKey::Secp256k1(key) => format!("secp256k1:{}", hex::encode(key)),
            PublicKey::Ed25519(key) => format!("ed25519:{}", hex::encode(key)),
        }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no key: secp256k1: or ed25519:, then hexadecimal");
        let (kind, digits) = text.split_once(':').ok_or_else(wrong)?;
        let key = hex::decode(digits).map_err(|_| wrong())?;
        let any = match kind {
            "secp256k1" => Any {
                type_url: SECP256K1_URL.to_owned(),
                value: pb_secp256k1::PubKey { key }.encode_to_vec(),
            },
            "ed25519" => Any {
                type_url: ED25519_URL.to_owned(),
                value: pb_ed25519::PubKey { key }.encode_to_vec(),
            },
            _ => return Err(wrong()),
        };
        Self::from_any(&any).map_err(|error| error.to_string())
    }
}

/// A signature to be verified over exactly these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureCheck {
    /// Whose.
    pub public_key: PublicKey,
    /// What was signed. The keys of a threshold account share it.
    pub sign_bytes: Arc<[u8]>,
    /// 64 bytes: r ‖ s, or R ‖ s.
    pub signature: Vec<u8>,
}

impl SignatureCheck {
    /// Whether the signature is right. secp256k1 in low-S form only, ed25519
    /// strictly: one signature has one form.
    pub fn verify(&self) -> bool {
        match &self.public_key {
            PublicKey::Secp256k1(key) => self.verify_secp256k1(key),
            PublicKey::Ed25519(key) => self.verify_ed25519(key),
        }
    }

    fn verify_secp256k1(&self, key: &[u8; 33]) -> bool {
        let Ok(key) = secp256k1::PublicKey::from_slice(key) else { return false };
        let Ok(signature) = secp256k1::ecdsa::Signature::from_compact(&self.signature) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(&self.sign_bytes).into();
        // libsecp256k1 verifies low-S signatures alone.
        let message = secp256k1::Message::from_digest(digest);
        secp256k1::Secp256k1::verification_only().verify_ecdsa(message, &signature, &key).is_ok()
    }

    fn verify_ed25519(&self, key: &[u8; 32]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(key) else { return false };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(&self.signature) else {
            return false;
        };
        key.verify_strict(&self.sign_bytes, &signature).is_ok()
    }
}

/// Who verifies signatures: the node remembers those that it has verified.
pub trait Signatures: Sync {
    /// Whether the signature is right.
    fn verify(&self, check: &SignatureCheck) -> bool;
}

/// Verifies each signature when it is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyEach;

impl Signatures for VerifyEach {
    fn verify(&self, check: &SignatureCheck) -> bool {
        check.verify()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_encoding() {
        let key = secp256k1::SecretKey::from_byte_array([7; 32]).unwrap();
        let key = key.public_key(&secp256k1::Secp256k1::signing_only()).serialize();
        let mut any = PublicKey::Secp256k1(key).to_any();
        assert_eq!(PublicKey::from_any(&any).unwrap(), PublicKey::Secp256k1(key));
        // Field 15, a number.
        any.value.extend([0x78, 0x01]);
        assert!(PublicKey::from_any(&any).is_err());
    }
}
