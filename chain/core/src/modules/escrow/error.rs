//! Escrow's refusals.

use crate::error::Refusal;
use crate::types::{Amount, Coin, Denom, DeploymentId};

/// Why escrow refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EscrowError {
    /// No such account.
    #[error("deployment {0} has no escrow account")]
    NotFound(DeploymentId),
    /// The market does not trade in the denom.
    #[error("the market does not trade in {denom}; it does in {known}")]
    UnknownDenom {
        /// What was given.
        denom: Denom,
        /// What would be right.
        known: String,
    },
    /// A deposit in another denom than the account's.
    #[error("the deposit is in {given}; the account of {id} is in {denom}")]
    OtherDenom {
        /// The account.
        id: DeploymentId,
        /// What was given.
        given: Denom,
        /// What would be right.
        denom: Denom,
    },
    /// A deposit of nothing.
    #[error("the deposit is zero")]
    NothingDeposited,
    /// Under the least deposit.
    #[error("the deposit {given} is under the minimum of {least}{}", given.denom)]
    DepositTooSmall {
        /// What was given.
        given: Coin,
        /// What would be right.
        least: Amount,
    },
    /// A CLOSED account.
    #[error("the account of {0} is closed and takes no deposit")]
    Closed(DeploymentId),
    /// Too many depositors.
    #[error("the account of {id} has {max} depositors already; one of them can add to it")]
    TooManyDepositors {
        /// The account.
        id: DeploymentId,
        /// The bound.
        max: u32,
    },
    /// An OVERDRAWN account cannot take on more.
    #[error("the account of {id} is overdrawn; deposit until it holds {least}{denom}")]
    Overdrawn {
        /// The account.
        id: DeploymentId,
        /// What makes it OPEN again.
        least: Amount,
        /// Of this.
        denom: Denom,
    },
}

impl Refusal for EscrowError {
    const CODESPACE: &'static str = "escrow";

    fn code(&self) -> u32 {
        match self {
            Self::NotFound(_) => 2,
            Self::UnknownDenom { .. } => 3,
            Self::OtherDenom { .. } => 4,
            Self::NothingDeposited => 5,
            Self::DepositTooSmall { .. } => 6,
            Self::Closed(_) => 7,
            Self::TooManyDepositors { .. } => 8,
            Self::Overdrawn { .. } => 9,
        }
    }
}
