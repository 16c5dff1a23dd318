//! Validators' two addresses: the operator's account under another prefix, and
//! that of the consensus key.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::address::{decode, encode};
use super::Address;
use crate::error::SdkError;

/// Human-readable part of operators' addresses.
pub const OPERATOR_PREFIX: &str = "stoavaloper";
/// Human-readable part of consensus addresses.
pub const CONSENSUS_PREFIX: &str = "stoavalcons";

macro_rules! prefixed {
    ($(#[$doc:meta])* $name:ident, $prefix:expr) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; Address::LEN]);

        impl $name {
            /// An address of these bytes.
            pub const fn new(bytes: [u8; Address::LEN]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; Address::LEN] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode(f, $prefix, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = SdkError;

            fn from_str(text: &str) -> Result<Self, SdkError> {
                decode($prefix, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = SdkError;

            fn try_from(text: String) -> Result<Self, SdkError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(address: $name) -> Self {
                address.to_string()
            }
        }
    };
}

prefixed! {
    /// A validator's operator: the bytes of its account's address.
    ValAddress, OPERATOR_PREFIX
}
prefixed! {
    /// A validator to the consensus engine: first 20 bytes of SHA-256 of its
    /// ed25519 key.
    ConsAddress, CONSENSUS_PREFIX
}

impl ValAddress {
    /// The operator's account.
    pub const fn account(&self) -> Address {
        Address::new(self.0)
    }
}

impl From<Address> for ValAddress {
    fn from(account: Address) -> Self {
        Self(*account.as_bytes())
    }
}

impl ConsAddress {
    /// The address of a consensus key.
    pub fn of_key(ed25519: &[u8; 32]) -> Self {
        let digest = Sha256::digest(ed25519);
        Self(digest.first_chunk().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_address_do_not_read_as_one_another() {
        let account = Address::new([7; 20]);
        let operator = ValAddress::from(account);
        let consensus = ConsAddress::new([7; 20]);
        assert!(operator.to_string().starts_with("stoavaloper1"));
        assert!(consensus.to_string().starts_with("stoavalcons1"));
        assert_eq!(operator.to_string().parse::<ValAddress>().unwrap(), operator);
        assert_eq!(operator.account(), account);
        assert!(operator.to_string().parse::<Address>().is_err());
        assert!(operator.to_string().parse::<ConsAddress>().is_err());
        assert!(account.to_string().parse::<ValAddress>().is_err());
    }
}
