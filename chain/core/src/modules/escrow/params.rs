//! What governance sets for escrow.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::escrow::v1 as pb;

use super::{keys, EscrowError};
use crate::ctx::Ctx;
use crate::types::{Amount, Denom};

/// A denom that the market trades in.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketDenom {
    /// Which.
    pub denom: Denom,
    /// Basis points of each lease's rate that go to the community pool.
    pub take_rate: u32,
    /// Least deposit, in units.
    pub min_deposit: Amount,
}

/// See market.md, "Parameters and their defaults".
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// What the market trades in.
    pub market_denoms: Vec<MarketDenom>,
    /// Seconds that an OVERDRAWN account is kept.
    pub overdrawn_keep: u64,
    /// Depositors of one account.
    pub max_depositors: u32,
}

impl Default for Params {
    fn default() -> Self {
        let ustoa = Denom::try_from("ustoa").map(|denom| MarketDenom {
            denom,
            take_rate: 200,
            min_deposit: Amount::from_raw(1_000_000),
        });
        Self {
            market_denoms: ustoa.into_iter().collect(),
            overdrawn_keep: 7 * 86_400,
            max_depositors: 16,
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// A denom listed twice, or a take over the whole.
    pub fn validate(&self) -> Result<(), String> {
        for (index, denom) in self.market_denoms.iter().enumerate() {
            if denom.take_rate > 10_000 {
                return Err(format!("take_rate of {} is over 10000", denom.denom));
            }
            if self.market_denoms.iter().take(index).any(|other| other.denom == denom.denom) {
                return Err(format!("market denom {} is listed twice", denom.denom));
            }
        }
        if self.max_depositors == 0 {
            return Err("max_depositors is 0; the owner needs a place".to_owned());
        }
        Ok(())
    }
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

/// The market's terms for a denom.
///
/// # Errors
/// The market does not trade in it.
pub fn market_denom(ctx: &Ctx<'_>, denom: &Denom) -> Result<MarketDenom, EscrowError> {
    let all = params(ctx).market_denoms;
    let known = all.iter().map(|known| known.denom.to_string()).collect::<Vec<_>>().join(", ");
    all.into_iter()
        .find(|known| known.denom == *denom)
        .ok_or_else(|| EscrowError::UnknownDenom { denom: denom.clone(), known })
}

impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        let denoms = params.market_denoms.into_iter().map(|denom| pb::MarketDenom {
            denom: denom.denom.to_string(),
            take_rate: denom.take_rate,
            min_deposit: denom.min_deposit.to_string(),
        });
        Self {
            market_denoms: denoms.collect(),
            overdrawn_keep: params.overdrawn_keep,
            max_depositors: params.max_depositors,
        }
    }
}
