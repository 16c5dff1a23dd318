//! Account addresses: 20 bytes, written in bech32 with the prefix `stoa`.

use std::fmt;
use std::str::FromStr;

use bech32::{Bech32, Hrp};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::error::SdkError;

/// Human-readable part of every address.
pub const PREFIX: &str = "stoa";

/// An account's address.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Address([u8; Address::LEN]);

impl Address {
    /// Bytes of an address.
    pub const LEN: usize = 20;

    /// An address of these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode(f, PREFIX, &self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = SdkError;

    fn from_str(text: &str) -> Result<Self, SdkError> {
        decode(PREFIX, text).map(Self)
    }
}

/// Writes an address's bytes under a prefix.
pub(super) fn encode(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    bech32::encode_to_fmt::<Bech32, _>(f, Hrp::parse_unchecked(prefix), bytes)
        .map_err(|_| fmt::Error)
}

/// Reads an address of 20 bytes under a prefix.
///
/// An address is written in one way: lower case, bech32, our prefix.
pub(super) fn decode(prefix: &str, text: &str) -> Result<[u8; Address::LEN], SdkError> {
    let invalid = |why: String| SdkError::InvalidAddress(format!("{text:?} {why}"));
    if text.len() > 90 {
        return Err(SdkError::InvalidAddress("longer than 90 bytes".to_owned()));
    }
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text)
        .map_err(|error| invalid(format!("is not bech32: {error}")))?;
    if checked.hrp().as_str() != prefix {
        return Err(invalid(format!("does not start with \"{prefix}1\"")));
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    let bytes: [u8; Address::LEN] = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| invalid(format!("has {} bytes, not 20", bytes.len())))?;
    // A letter after the last byte would hold bits that no byte takes.
    let again = bech32::encode::<Bech32>(Hrp::parse_unchecked(prefix), &bytes);
    if again.as_deref() != Ok(text) {
        return Err(invalid("is not the one way to write its address".to_owned()));
    }
    Ok(bytes)
}

impl TryFrom<String> for Address {
    type Error = SdkError;

    fn try_from(text: String) -> Result<Self, SdkError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use bech32::{ByteIterExt, Fe32IterExt};

    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        let address = Address::new([7; 20]);
        assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        assert!(address.to_string().starts_with("stoa1"));
    }

    #[test]
    fn other_prefixes_cases_lengths_and_checksums_are_refused() {
        let address = Address::new([7; 20]);
        let text = address.to_string();
        assert!(text.to_uppercase().parse::<Address>().is_err());
        assert!("cosmos1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnrujsuw".parse::<Address>().is_err());
        let mut damaged = text.clone();
        damaged.replace_range(10..11, if &text[10..11] == "q" { "p" } else { "q" });
        assert!(damaged.parse::<Address>().is_err());
        assert!("".parse::<Address>().is_err());
        // One letter more holds five bits that no byte takes.
        let letters = address.as_bytes().iter().copied().bytes_to_fes().chain([bech32::Fe32::L]);
        let hrp = Hrp::parse_unchecked(PREFIX);
        let longer: String = letters.with_checksum::<Bech32>(&hrp).chars().collect();
        assert_ne!(longer, text);
        assert!(longer.parse::<Address>().is_err(), "{longer}");
    }
}
