//! What governance sets for escrow.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::escrow::v1 as pb;

use super::{keys, EscrowError};
use crate::ctx::Ctx;
use crate::modules::update_params::update_params;
use crate::types::{Amount, Denom, MAX_COINS};

/// Most seconds of any time: ten years.
const MAX_SECONDS: u64 = 315_360_000;
/// Most that [`Params::max_depositors`] may be.
const MAX_DEPOSITORS: u32 = 1_024;

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
        let denoms = self.market_denoms.len();
        if denoms > MAX_COINS {
            return Err(format!("{denoms} market_denoms; at most {MAX_COINS} are allowed"));
        }
        for (index, denom) in self.market_denoms.iter().enumerate() {
            if denom.take_rate > 10_000 {
                return Err(format!("take_rate of {} is over 10000", denom.denom));
            }
            if denom.min_deposit > Amount::MAX_SUPPLY {
                let most = Amount::MAX_SUPPLY;
                return Err(format!("min_deposit of {} is over {most}", denom.denom));
            }
            if self.market_denoms.iter().take(index).any(|other| other.denom == denom.denom) {
                return Err(format!("market denom {} is listed twice", denom.denom));
            }
        }
        if self.max_depositors == 0 {
            return Err("max_depositors is 0; the owner needs a place".to_owned());
        }
        if self.max_depositors > MAX_DEPOSITORS {
            return Err(format!("max_depositors is at most {MAX_DEPOSITORS}"));
        }
        if self.overdrawn_keep > MAX_SECONDS {
            return Err(format!("overdrawn_keep is at most {MAX_SECONDS} s"));
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

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(params: pb::Params) -> Result<Self, String> {
        let denom = |denom: pb::MarketDenom| -> Result<MarketDenom, String> {
            let min_deposit = Amount::try_from(denom.min_deposit);
            Ok(MarketDenom {
                denom: Denom::try_from(denom.denom).map_err(|error| error.to_string())?,
                take_rate: denom.take_rate,
                min_deposit: min_deposit.map_err(|error| format!("min_deposit: {error}"))?,
            })
        };
        let params = Self {
            market_denoms: params.market_denoms.into_iter().map(denom).collect::<Result<_, _>>()?,
            overdrawn_keep: params.overdrawn_keep,
            max_depositors: params.max_depositors,
        };
        params.validate()?;
        Ok(params)
    }
}

update_params! {
    /// Replaces escrow's parameters. Accounts in a denom that the market no
    /// longer trades in go on; leases that they open from then on pay no take.
    pb, Params, keys::params
}
