//! What governance sets for staking.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::{duration, Dec, STAKE_DENOM};

/// Most validators that may vote: their votes have to fit in a block.
pub const MAX_VALIDATORS: u32 = 1_000;
/// Most entries of one unbonding or redelegation: each is one record.
pub const MAX_ENTRIES: u32 = 100;
/// Longest unbonding time in seconds: ten years.
pub const MAX_UNBONDING_TIME: u64 = 315_360_000;

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

impl Params {
    /// Whether they can be in force.
    ///
    /// # Errors
    /// The first that is out of bounds, with them.
    pub fn validate(&self) -> Result<(), String> {
        let Self { unbonding_time, max_validators, max_entries, min_commission_rate } = self;
        if !(1..=MAX_UNBONDING_TIME).contains(unbonding_time) {
            return Err(format!(
                "unbonding_time is {unbonding_time} s; it is 1 to {MAX_UNBONDING_TIME} s"
            ));
        }
        if !(1..=MAX_VALIDATORS).contains(max_validators) {
            return Err(format!("max_validators is {max_validators}; it is 1 to {MAX_VALIDATORS}"));
        }
        if !(1..=MAX_ENTRIES).contains(max_entries) {
            return Err(format!("max_entries is {max_entries}; it is 1 to {MAX_ENTRIES}"));
        }
        if *min_commission_rate > Dec::ONE {
            return Err(format!("min_commission_rate is {min_commission_rate}; it is at most 1"));
        }
        Ok(())
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        Self {
            unbonding_time: Some(duration(params.unbonding_time)),
            max_validators: params.max_validators,
            max_entries: params.max_entries,
            historical_entries: 0,
            bond_denom: STAKE_DENOM.to_owned(),
            min_commission_rate: params.min_commission_rate.to_wire(),
        }
    }
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(params: pb::Params) -> Result<Self, String> {
        if params.bond_denom != STAKE_DENOM {
            return Err(format!("bond_denom is {:?}; it stays {STAKE_DENOM}", params.bond_denom));
        }
        if params.historical_entries != 0 {
            return Err("historical_entries is over 0; this chain keeps none".to_owned());
        }
        let time = params.unbonding_time.unwrap_or_default();
        let unbonding_time = u64::try_from(time.seconds)
            .ok()
            .filter(|_| time.nanos == 0)
            .ok_or("unbonding_time is in whole seconds and not negative")?;
        let min_commission_rate = Dec::from_wire(&params.min_commission_rate)
            .map_err(|error| format!("min_commission_rate: {error}"))?;
        let params = Self {
            unbonding_time,
            max_validators: params.max_validators,
            max_entries: params.max_entries,
            min_commission_rate,
        };
        params.validate()?;
        Ok(params)
    }
}
