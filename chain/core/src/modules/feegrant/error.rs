//! What feegrant refuses. Codes are those of the Cosmos SDK's
//! `x/feegrant/errors.go`.

use crate::error::Refusal;
use crate::types::Coins;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeegrantError {
    /// More than is left.
    #[error("fee limit exceeded: {what} has {left} left, the fee is {fee}")]
    LimitExceeded {
        /// Which limit.
        what: &'static str,
        /// Of it.
        left: Coins,
        /// Asked for.
        fee: Coins,
    },
    /// Its time is over.
    #[error("fee allowance expired: it ended at {expired_at}, and it is {now} (Unix seconds)")]
    Expired {
        /// Unix seconds.
        expired_at: u64,
        /// Unix seconds.
        now: u64,
    },
    /// A period or an expiration that is none.
    #[error("invalid duration: {0}")]
    InvalidDuration(String),
    /// An allowance that is missing.
    #[error("no allowance: {0}")]
    NoAllowance(String),
    /// A list of messages that allows none.
    #[error("allowed messages are empty; name at least one type URL")]
    NoMessages,
    /// A message that the allowance is not for.
    #[error("message not allowed: {0} is not among the allowance's allowed messages")]
    MessageNotAllowed(String),
}

impl Refusal for FeegrantError {
    const CODESPACE: &'static str = "feegrant";

    fn code(&self) -> u32 {
        match self {
            Self::LimitExceeded { .. } => 2,
            Self::Expired { .. } => 3,
            Self::InvalidDuration(_) => 4,
            Self::NoAllowance(_) => 5,
            Self::NoMessages => 6,
            Self::MessageNotAllowed(_) => 7,
        }
    }
}
