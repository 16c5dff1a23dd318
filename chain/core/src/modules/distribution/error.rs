//! Distribution's refusals. Codes are those of the Cosmos SDK's
//! `x/distribution/types/errors.go`.

use crate::error::Refusal;
use crate::types::{Address, Coins, ValAddress};

/// Why distribution refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DistributionError {
    /// No commission of at least one unit.
    #[error("no validator commission to withdraw: {0} has earned less than one unit")]
    NoCommission(ValAddress),
    /// Governance has switched withdraw addresses off.
    #[error("set withdraw address disabled; rewards are paid to the delegator itself")]
    WithdrawAddressDisabled,
    /// More than the pool has.
    #[error("community pool does not have sufficient coins to distribute: {wanted} of {has}")]
    PoolTooSmall {
        /// What was asked for.
        wanted: Coins,
        /// What there is.
        has: String,
    },
    /// No such validator.
    #[error("validator does not exist: {0}")]
    NoValidator(ValAddress),
    /// No such delegation.
    #[error("delegation does not exist: {delegator} has none with {validator}")]
    NoDelegation {
        /// Who.
        delegator: Address,
        /// With whom.
        validator: ValAddress,
    },
}

impl Refusal for DistributionError {
    const CODESPACE: &'static str = "distribution";

    fn code(&self) -> u32 {
        match self {
            Self::NoCommission(_) => 7,
            Self::WithdrawAddressDisabled => 8,
            Self::PoolTooSmall { .. } => 9,
            Self::NoValidator(_) => 12,
            Self::NoDelegation { .. } => 13,
        }
    }
}
