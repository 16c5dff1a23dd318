//! Account addresses: bech32, prefix `stoa`, 20 bytes.

use std::{fmt, str::FromStr};

use bech32::{Bech32, Hrp};
use ripemd::Ripemd160;
use sha2::{Digest, Sha256};

/// The prefix of every account address.
pub const PREFIX: &str = "stoa";

/// The prefix of validators' operators.
pub const OPERATOR_PREFIX: &str = "stoavaloper";

/// An account address, checked once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// Why a text is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no address of this chain: {why}; right is `stoa1…`, 43 characters")]
pub struct AddressError {
    text: String,
    why: String,
}

impl Address {
    /// RIPEMD-160 of SHA-256 of a compressed secp256k1 key, as in Cosmos.
    pub fn of_secp256k1(compressed: &[u8]) -> Self {
        Self(Ripemd160::digest(Sha256::digest(compressed)).into())
    }

    /// The first 20 bytes of SHA-256 of an ed25519 key, as in CometBFT.
    pub fn of_ed25519(key: &[u8; 32]) -> Self {
        Self::of_hashed(key)
    }

    /// The first 20 bytes of SHA-256.
    pub fn of_hashed(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let mut out = [0; 20];
        out.copy_from_slice(&hash[..20]);
        Self(out)
    }

    /// The 20 bytes.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

/// The same bytes under the prefix of validators' operators, from an account's
/// address or such a one; none where the text is neither.
pub fn operator_address(text: &str) -> Option<String> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    if ![PREFIX, OPERATOR_PREFIX].contains(&checked.hrp().as_str()) {
        return None;
    }
    let bytes: [u8; 20] = checked.byte_iter().collect::<Vec<_>>().try_into().ok()?;
    bech32::encode::<Bech32>(Hrp::parse_unchecked(OPERATOR_PREFIX), &bytes).ok()
}

/// Governance's address, for which nobody has a key: the first 20 bytes of
/// SHA-256 of its name, as in the Cosmos SDK.
pub fn governance() -> Address {
    let hash = Sha256::digest(b"gov");
    let mut out = [0; 20];
    out.copy_from_slice(&hash[..20]);
    Address(out)
}

impl From<[u8; 20]> for Address {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = Hrp::parse_unchecked(PREFIX);
        bech32::encode_to_fmt::<Bech32, _>(f, prefix, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |why: String| AddressError { text: text.chars().take(90).collect(), why };
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text)
            .map_err(|e| refuse(e.to_string()))?;
        if checked.hrp().as_str() != PREFIX {
            return Err(refuse(format!("its prefix is `{}`, not `{PREFIX}`", checked.hrp())));
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let length = bytes.len();
        let bytes =
            bytes.try_into().map_err(|_| refuse(format!("it holds {length} bytes, not 20")))?;
        // bech32 allows all-capitals; the chain has one spelling.
        let address = Self(bytes);
        if address.to_string() != text {
            return Err(refuse("it is not in lower case".into()));
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let a = Address([7; 20]);
        let text = a.to_string();
        assert!(text.starts_with("stoa1"));
        assert_eq!(text.len(), 43);
        assert_eq!(text.parse::<Address>().unwrap(), a);
    }

    #[test]
    fn an_operator_is_named_by_either_of_its_addresses() {
        let account = Address([7; 20]).to_string();
        let operator = operator_address(&account).unwrap();
        assert!(operator.starts_with("stoavaloper1"));
        assert_eq!(operator_address(&operator), Some(operator));
        assert_eq!(operator_address("alice"), None);
    }

    #[test]
    fn refuses_wrong_prefix_checksum_and_case() {
        let cosmos = "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4";
        assert!(cosmos.parse::<Address>().unwrap_err().to_string().contains("prefix"));
        let mut text = Address([7; 20]).to_string();
        assert!(text.to_uppercase().parse::<Address>().is_err());
        let last = text.pop().unwrap();
        text.push(if last == 'q' { 'p' } else { 'q' });
        assert!(text.parse::<Address>().is_err());
    }
}
