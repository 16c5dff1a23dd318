//! What an account signs with: one key, or a threshold of several.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::crypto::multisig as pb;
use cosmos_sdk_proto::Any;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PublicKey;
use crate::error::SdkError;
use crate::types::Address;

/// Most keys of one threshold account.
pub const MAX_MULTISIG_KEYS: usize = 16;

const MULTISIG_URL: &str = "/cosmos.crypto.multisig.LegacyAminoPubKey";
/// Amino's prefix of `tendermint/PubKeyMultisigThreshold`.
const AMINO_PREFIX: [u8; 4] = [0x22, 0xc1, 0xf7, 0xe2];

/// What an account signs with.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccountKey {
    /// One key.
    Single(PublicKey),
    /// Some of several.
    Multisig(Multisig),
}

/// Keys of which a number must sign. At least 1, at most all of at most
/// [`MAX_MULTISIG_KEYS`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Multisig {
    threshold: u32,
    keys: Vec<PublicKey>,
}

impl Multisig {
    /// So many of these keys. Their order is part of the account's address.
    ///
    /// # Errors
    /// A threshold that cannot be met or needs nobody, or too many keys.
    pub fn new(threshold: u32, keys: Vec<PublicKey>) -> Result<Self, SdkError> {
        check_count(keys.len())?;
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        if threshold == 0 || threshold > count {
            return Err(SdkError::InvalidPubKey(format!(
                "a threshold of {threshold} for {count} keys; it is 1 to {count}"
            )));
        }
        Ok(Self { threshold, keys })
    }

    /// How many must sign.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Who may.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    fn from_proto(value: &[u8]) -> Result<Self, SdkError> {
        let malformed = |what: String| SdkError::InvalidPubKey(what);
        let key = pb::LegacyAminoPubKey::decode(value).map_err(|e| malformed(e.to_string()))?;
        if key.encode_to_vec() != value {
            return Err(malformed("the key holds an unknown field".to_owned()));
        }
        check_count(key.public_keys.len())?;
        let keys = key.public_keys.iter().map(PublicKey::from_any).collect::<Result<_, _>>()?;
        Self::new(key.threshold, keys)
    }

    /// Amino's binary form, whose hash is the address.
    fn amino_bytes(&self) -> Vec<u8> {
        let mut bytes = AMINO_PREFIX.to_vec();
        bytes.push(0x08);
        prost::encoding::encode_varint(self.threshold.into(), &mut bytes);
        for key in &self.keys {
            let key = key.amino_bytes();
            bytes.push(0x12);
            let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
            prost::encoding::encode_varint(length, &mut bytes);
            bytes.extend(key);
        }
        bytes
    }
}

fn check_count(count: usize) -> Result<(), SdkError> {
    if count > MAX_MULTISIG_KEYS {
        return Err(SdkError::InvalidPubKey(format!(
            "{count} keys; a threshold account has at most {MAX_MULTISIG_KEYS}"
        )));
    }
    Ok(())
}

impl AccountKey {
    /// From a transaction's `Any`.
    ///
    /// # Errors
    /// An unknown type, or a key that is malformed.
    pub fn from_any(any: &Any) -> Result<Self, SdkError> {
        if any.type_url == MULTISIG_URL {
            return Multisig::from_proto(&any.value).map(Self::Multisig);
        }
        PublicKey::from_any(any).map(Self::Single)
    }

    /// As a transaction or an account's query carries it.
    pub fn to_any(&self) -> Any {
        match self {
            Self::Single(key) => key.to_any(),
            Self::Multisig(multisig) => {
                let public_keys = multisig.keys.iter().map(|key| key.to_any()).collect();
                let key = pb::LegacyAminoPubKey { threshold: multisig.threshold, public_keys };
                Any { type_url: MULTISIG_URL.to_owned(), value: key.encode_to_vec() }
            }
        }
    }

    /// The account's address: the key's own, or the first 20 bytes of SHA-256
    /// of the threshold key in amino's binary form.
    pub fn address(&self) -> Address {
        match self {
            Self::Single(key) => key.address(),
            Self::Multisig(multisig) => {
                let digest = Sha256::digest(multisig.amino_bytes());
                Address::new(digest.first_chunk().copied().unwrap_or_default())
            }
        }
    }

    /// How many keys it has.
    pub fn count(&self) -> usize {
        match self {
            Self::Single(_) => 1,
            Self::Multisig(multisig) => multisig.keys.len(),
        }
    }
}

impl From<PublicKey> for AccountKey {
    fn from(key: PublicKey) -> Self {
        Self::Single(key)
    }
}

/// As documents write it: a key, or `multisig:THRESHOLD:KEY,KEY,…`.
impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(key) => f.write_str(&String::from(*key)),
            Self::Multisig(multisig) => {
                let keys: Vec<String> = multisig.keys.iter().copied().map(String::from).collect();
                write!(f, "multisig:{}:{}", multisig.threshold, keys.join(","))
            }
        }
    }
}

impl From<AccountKey> for String {
    fn from(key: AccountKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for AccountKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("multisig:") else {
            return PublicKey::try_from(text).map(Self::Single);
        };
        let wrong = || format!("{text:?} is no threshold key: multisig:THRESHOLD:KEY,KEY");
        let (threshold, keys) = rest.split_once(':').ok_or_else(wrong)?;
        let threshold = threshold.parse().map_err(|_| wrong())?;
        let keys = keys.split(',').map(|key| PublicKey::try_from(key.to_owned()));
        let keys = keys.collect::<Result<_, _>>()?;
        Multisig::new(threshold, keys).map(Self::Multisig).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> PublicKey {
        let key = secp256k1::SecretKey::from_byte_array([seed; 32]).unwrap();
        PublicKey::Secp256k1(key.public_key(&secp256k1::Secp256k1::signing_only()).serialize())
    }

    #[test]
    fn a_threshold_key_reads_back_from_both_its_forms() {
        let key = AccountKey::Multisig(Multisig::new(2, vec![key(1), key(2), key(3)]).unwrap());
        assert_eq!(AccountKey::from_any(&key.to_any()), Ok(key.clone()));
        assert_eq!(AccountKey::try_from(key.to_string()), Ok(key.clone()));
        let mut any = key.to_any();
        any.value.extend([0x78, 0x01]);
        assert!(AccountKey::from_any(&any).is_err());
    }

    #[test]
    fn thresholds_and_numbers_of_keys_are_bounded() {
        let keys = |n: usize| vec![key(1); n];
        assert!(Multisig::new(0, keys(2)).is_err());
        assert!(Multisig::new(3, keys(2)).is_err());
        assert!(Multisig::new(1, keys(0)).is_err());
        assert!(Multisig::new(1, keys(MAX_MULTISIG_KEYS)).is_ok());
        assert!(Multisig::new(1, keys(MAX_MULTISIG_KEYS + 1)).is_err());
        let many = pb::LegacyAminoPubKey {
            threshold: 1,
            public_keys: vec![key(1).to_any(); MAX_MULTISIG_KEYS + 1],
        };
        let any = Any { type_url: MULTISIG_URL.to_owned(), value: many.encode_to_vec() };
        assert!(AccountKey::from_any(&any).is_err());
        // A threshold account among the keys of another.
        let inner = AccountKey::Multisig(Multisig::new(1, keys(1)).unwrap()).to_any();
        let nested = pb::LegacyAminoPubKey { threshold: 1, public_keys: vec![inner] };
        let any = Any { type_url: MULTISIG_URL.to_owned(), value: nested.encode_to_vec() };
        assert!(AccountKey::from_any(&any).is_err());
    }
}
