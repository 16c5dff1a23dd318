//! What audit refuses.

use crate::error::Refusal;
use crate::types::Address;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody to vouch for.
    #[error("{0} is not registered as a provider; only providers' attributes are signed")]
    UnknownProvider(Address),
    /// Nothing to vouch for.
    #[error("no attributes are given; name at least one")]
    NoAttributes,
    /// Over the parameter.
    #[error("the record would have {count} attributes; at most {max} are allowed")]
    TooManyAttributes {
        /// How many there would be.
        count: usize,
        /// How many there may be.
        max: u32,
    },
    /// Nothing was signed.
    #[error("auditor {auditor} has no record about provider {provider}")]
    NoRecord {
        /// Whose record.
        auditor: Address,
        /// About whom.
        provider: Address,
    },
    /// Something else was signed.
    #[error("the record has no attribute {0:?}; name its keys, or none for the whole record")]
    UnknownKey(String),
}

impl Refusal for Error {
    const CODESPACE: &'static str = "audit";

    fn code(&self) -> u32 {
        match self {
            Self::UnknownProvider(_) => 1,
            Self::NoAttributes => 2,
            Self::TooManyAttributes { .. } => 3,
            Self::NoRecord { .. } => 4,
            Self::UnknownKey(_) => 5,
        }
    }
}
