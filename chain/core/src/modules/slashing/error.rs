//! What slashing refuses.

use crate::error::Refusal;
use crate::types::{Amount, ValAddress, STAKE_DENOM};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody by this operator.
    #[error("{0} runs no validator")]
    UnknownValidator(ValAddress),
    /// Its time is not over.
    #[error("validator {0} is in jail until {1}")]
    StillJailed(ValAddress, String),
    /// It signed two blocks of one height.
    #[error("validator {0} has signed two blocks of one height; it stays in jail")]
    Tombstoned(ValAddress),
    /// It is free.
    #[error("validator {0} is not jailed")]
    NotJailed(ValAddress),
    /// Nothing of its own.
    #[error("the operator of {0} has delegated nothing to it; delegate first")]
    NoSelfDelegation(ValAddress),
    /// Less of its own than it has promised.
    #[error("{own}{STAKE_DENOM} of its own is under its least self-delegation of {least}")]
    SelfDelegationTooLow {
        /// What the operator has delegated.
        own: Amount,
        /// What it promised.
        least: Amount,
    },
}

impl Refusal for Error {
    const CODESPACE: &'static str = "slashing";

    // Numbers of the Cosmos SDK's `x/slashing/types/errors.go`.
    fn code(&self) -> u32 {
        match self {
            Self::UnknownValidator(_) => 2,
            Self::StillJailed(..) | Self::Tombstoned(_) => 4,
            Self::NotJailed(_) => 5,
            Self::NoSelfDelegation(_) => 6,
            Self::SelfDelegationTooLow { .. } => 7,
        }
    }
}
