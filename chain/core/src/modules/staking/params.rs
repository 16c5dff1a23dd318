//! What governance sets for staking.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::Dec;

/// Bounds and times. The bond denom is [`crate::types::STAKE_DENOM`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Seconds until undelegated coins return.
    pub unbonding_time: u64,
    /// Validators that vote.
    pub max_validators: u32,
    /// Unbondings under way of one delegator from one validator; likewise
    /// redelegations between two.
    pub max_entries: u32,
    /// Least commission of any validator.
    pub min_commission_rate: Dec,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            unbonding_time: 21 * 86_400,
            max_validators: 100,
            max_entries: 7,
            min_commission_rate: Dec::ZERO,
        }
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}
