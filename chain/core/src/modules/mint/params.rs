//! What governance sets for inflation.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::mint::v1beta1 as pb;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::{Dec, STAKE_DENOM};

/// Blocks of a year that Cosmos software reads in the parameters: one each five
/// seconds, the Cosmos SDK's default. We mint by seconds, so it sets nothing.
pub const BLOCKS_PER_YEAR: u64 = 6_311_520;

/// Bounds and speed of inflation. The mint denom is
/// [`crate::types::STAKE_DENOM`]. Defaults are the Cosmos SDK's.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Most by which a year's inflation changes in a year.
    pub inflation_rate_change: Dec,
    /// Most new coins of a year, as a part of the supply.
    pub inflation_max: Dec,
    /// Least.
    pub inflation_min: Dec,
    /// Bonded part of the supply under which inflation rises.
    pub goal_bonded: Dec,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            inflation_rate_change: Dec::percent(13),
            inflation_max: Dec::percent(20),
            inflation_min: Dec::percent(7),
            goal_bonded: Dec::percent(67),
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// A part over the whole, a goal of nothing, or bounds in the wrong order.
    pub fn validate(&self) -> Result<(), String> {
        for (name, part) in [
            ("inflation_rate_change", self.inflation_rate_change),
            ("inflation_max", self.inflation_max),
            ("inflation_min", self.inflation_min),
            ("goal_bonded", self.goal_bonded),
        ] {
            if part > Dec::ONE {
                return Err(format!("{name} {part} is over 1"));
            }
        }
        if self.goal_bonded.is_zero() {
            return Err("goal_bonded is 0; it must be over 0".to_owned());
        }
        if self.inflation_min > self.inflation_max {
            return Err(format!(
                "inflation_min {} is over inflation_max {}",
                self.inflation_min, self.inflation_max
            ));
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
            mint_denom: STAKE_DENOM.to_owned(),
            inflation_rate_change: params.inflation_rate_change.to_wire(),
            inflation_max: params.inflation_max.to_wire(),
            inflation_min: params.inflation_min.to_wire(),
            goal_bonded: params.goal_bonded.to_wire(),
            blocks_per_year: BLOCKS_PER_YEAR,
        }
    }
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(proto: pb::Params) -> Result<Self, String> {
        if proto.mint_denom != STAKE_DENOM {
            return Err(format!("mint_denom is {:?}, not {STAKE_DENOM}", proto.mint_denom));
        }
        if proto.blocks_per_year != BLOCKS_PER_YEAR {
            return Err(format!(
                "blocks_per_year is {}; coins are minted by seconds, leave it at {BLOCKS_PER_YEAR}",
                proto.blocks_per_year
            ));
        }
        let dec =
            |name: &str, text: &str| Dec::from_wire(text).map_err(|why| format!("{name}: {why}"));
        let params = Self {
            inflation_rate_change: dec("inflation_rate_change", &proto.inflation_rate_change)?,
            inflation_max: dec("inflation_max", &proto.inflation_max)?,
            inflation_min: dec("inflation_min", &proto.inflation_min)?,
            goal_bonded: dec("goal_bonded", &proto.goal_bonded)?,
        };
        params.validate()?;
        Ok(params)
    }
}
