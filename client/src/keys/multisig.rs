//! A threshold account's key: some of several keys sign.

use prost::Message as _;
use stoa_proto::{cosmos::crypto::multisig::LegacyAminoPubKey, Any};

use super::{Algorithm, KeyError, PublicKey};
use crate::Address;

/// Most keys of one account, the chain's bound.
pub const MAX_MULTISIG_KEYS: usize = 16;

const TYPE_URL: &str = "/cosmos.crypto.multisig.LegacyAminoPubKey";
/// Amino's prefix of `tendermint/PubKeyMultisigThreshold`.
const AMINO_PREFIX: [u8; 4] = [0x22, 0xc1, 0xf7, 0xe2];

/// Keys of which a number must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultisigKey {
    threshold: u32,
    keys: Vec<PublicKey>,
}

impl MultisigKey {
    /// So many of these keys, sorted by address, so that everybody who names
    /// the same keys names the same account.
    pub fn new(threshold: u32, mut keys: Vec<PublicKey>) -> Result<Self, KeyError> {
        keys.sort_by_key(|key| *key.address().bytes());
        Self::checked(threshold, keys)
    }

    fn checked(threshold: u32, keys: Vec<PublicKey>) -> Result<Self, KeyError> {
        let bad = |why: String| Err(KeyError::BadMultisig(why));
        if keys.is_empty() || keys.len() > MAX_MULTISIG_KEYS {
            return bad(format!("it has {} keys; 1 to {MAX_MULTISIG_KEYS} are right", keys.len()));
        }
        if threshold == 0 || threshold as usize > keys.len() {
            return bad(format!("{threshold} of {} keys cannot sign", keys.len()));
        }
        if (1..keys.len()).any(|i| keys[..i].contains(&keys[i])) {
            return bad("a key is named twice".into());
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

    /// Its account: the first 20 bytes of SHA-256 of the key in amino's binary
    /// form.
    pub fn address(&self) -> Address {
        let mut bytes = AMINO_PREFIX.to_vec();
        bytes.push(0x08);
        prost::encoding::encode_varint(self.threshold.into(), &mut bytes);
        for key in &self.keys {
            let prefix = match key.algorithm() {
                Algorithm::Ed25519 => [0x16, 0x24, 0xde, 0x64],
                _ => [0xeb, 0x5a, 0xe9, 0x87],
            };
            let key = key.to_bytes();
            bytes.push(0x12);
            bytes.push(key.len() as u8 + 5);
            bytes.extend(prefix);
            bytes.push(key.len() as u8);
            bytes.extend(key);
        }
        Address::of_hashed(&bytes)
    }

    /// Its protobuf form, which key files hold.
    pub fn to_bytes(&self) -> Vec<u8> {
        let public_keys = self.keys.iter().map(PublicKey::to_any).collect();
        LegacyAminoPubKey { threshold: self.threshold, public_keys }.encode_to_vec()
    }

    /// From its protobuf form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bad = |why: String| KeyError::BadMultisig(why);
        let key = LegacyAminoPubKey::decode(bytes).map_err(|e| bad(e.to_string()))?;
        let keys = key.public_keys.iter().map(PublicKey::from_any).collect::<Result<_, _>>()?;
        Self::checked(key.threshold, keys)
    }

    /// As a transaction's signer info carries it.
    pub fn to_any(&self) -> Any {
        Any { type_url: TYPE_URL.into(), value: self.to_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    fn key(seed: u8, algorithm: Algorithm) -> PublicKey {
        SecretKey::from_bytes(algorithm, &[seed; 32]).unwrap().public()
    }

    #[test]
    fn the_order_in_which_keys_are_named_does_not_matter() {
        let keys = [
            key(1, Algorithm::Secp256k1),
            key(2, Algorithm::Secp256k1),
            key(3, Algorithm::Ed25519),
        ];
        let one = MultisigKey::new(2, keys.to_vec()).unwrap();
        let other = MultisigKey::new(2, keys.iter().rev().copied().collect()).unwrap();
        assert_eq!(one, other);
        assert_eq!(MultisigKey::from_bytes(&one.to_bytes()).unwrap(), one);
        assert_ne!(MultisigKey::new(1, keys.to_vec()).unwrap().address(), one.address());
    }

    // Made with CosmJS: createMultisigThresholdPubkey and pubkeyToAddress.
    #[test]
    fn the_account_is_the_one_that_other_software_computes() {
        let keys = [1, 2, 3].map(|seed| key(seed, Algorithm::Secp256k1));
        let address = MultisigKey::new(2, keys.to_vec()).unwrap().address();
        assert_eq!(address.to_string(), "stoa10522r7w8h7s4pwu0sp7lxthcmjatdxcn5hkzhn");
    }

    #[test]
    fn thresholds_and_keys_are_bounded() {
        let keys = |n: u8| (1..=n).map(|n| key(n, Algorithm::Ed25519)).collect::<Vec<_>>();
        assert!(MultisigKey::new(0, keys(2)).is_err());
        assert!(MultisigKey::new(3, keys(2)).is_err());
        assert!(MultisigKey::new(1, keys(16)).is_ok());
        assert!(MultisigKey::new(1, keys(17)).is_err());
        assert!(MultisigKey::new(1, [keys(1), keys(1)].concat()).is_err());
    }
}
