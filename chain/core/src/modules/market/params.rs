//! What governance sets for the market. Times in seconds.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::market::v1 as pb;

use super::keys;
use crate::ctx::Ctx;
use crate::modules::update_params::update_params;
use crate::types::Amount;

/// Most seconds of any time: ten years.
const MAX_SECONDS: u64 = 315_360_000;
/// Most that [`Params::max_end_block_work`] may be.
const MAX_WORK: u64 = 1_000_000;
/// Most that [`Params::max_leases_per_withdrawal`] may be.
const MAX_LEASES: u32 = 1_000;

/// See market.md, "Parameters and their defaults".
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Least that an order stays open.
    pub min_bid_window: u64,
    /// Most that an order stays open.
    pub max_bid_window: u64,
    /// Where the tenant names none.
    pub default_bid_window: u64,
    /// After a sealed order's window.
    pub reveal_window: u64,
    /// Basis points by which a new lowest bid must be lower.
    pub bid_step: u32,
    /// Open bids on an order.
    pub max_bids_per_order: u32,
    /// Units of the order's denom.
    pub min_bid_deposit: Amount,
    /// That a PENDING lease has to be started.
    pub lease_start_deadline: u64,
    /// Weight of the deadlines worked in one block.
    pub max_end_block_work: u64,
    /// Basis points; 0: no fee on second-price leases.
    pub second_price_fee_cap: u32,
    /// That closed records are kept.
    pub keep_closed: u64,
    /// Reopenings of a group on one day.
    pub max_reopens: u32,
    /// Leases of one withdrawal.
    pub max_leases_per_withdrawal: u32,
    /// Least reclamation window.
    pub min_reclamation: u64,
    /// Most reclamation window.
    pub max_reclamation: u64,
    /// Stake that earns half of the stake's part of reputation.
    pub rep_half_stake: Amount,
    /// What a tenant's leases must pay in a week to count for reputation.
    pub rep_min_fee: Amount,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_bid_window: 5,
            max_bid_window: 604_800,
            default_bid_window: 30,
            reveal_window: 15,
            bid_step: 10,
            max_bids_per_order: 64,
            min_bid_deposit: Amount::from_raw(500_000),
            lease_start_deadline: 600,
            max_end_block_work: 20_000,
            second_price_fee_cap: 0,
            keep_closed: 30 * 86_400,
            max_reopens: 8,
            max_leases_per_withdrawal: 100,
            min_reclamation: 3_600,
            max_reclamation: 720 * 3_600,
            rep_half_stake: Amount::from_raw(10_000_000_000),
            rep_min_fee: Amount::from_raw(1_000_000),
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// A parameter that no market can run with.
    pub fn validate(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(what.to_owned());
        if self.min_bid_window == 0 || self.min_bid_window > self.max_bid_window {
            return wrong("min_bid_window is over 0 and at most max_bid_window");
        }
        if !(self.min_bid_window..=self.max_bid_window).contains(&self.default_bid_window) {
            return wrong("default_bid_window is between min_bid_window and max_bid_window");
        }
        if self.bid_step >= 10_000 || self.second_price_fee_cap > 10_000 {
            return wrong("bid_step and second_price_fee_cap are in basis points, under 10000");
        }
        if self.max_bids_per_order == 0 || self.max_bids_per_order > 1_024 {
            return wrong("max_bids_per_order is 1 to 1024");
        }
        if self.lease_start_deadline == 0 || self.reveal_window == 0 {
            return wrong("lease_start_deadline and reveal_window are over 0");
        }
        if self.max_end_block_work == 0 || self.max_end_block_work > MAX_WORK {
            return wrong("max_end_block_work is 1 to 1000000");
        }
        if self.max_leases_per_withdrawal == 0 || self.max_leases_per_withdrawal > MAX_LEASES {
            return wrong("max_leases_per_withdrawal is 1 to 1000");
        }
        if self.min_reclamation > self.max_reclamation {
            return wrong("min_reclamation is at most max_reclamation");
        }
        if self.min_bid_deposit > Amount::MAX_SUPPLY || self.rep_half_stake > Amount::MAX_SUPPLY {
            return wrong("min_bid_deposit and rep_half_stake are at most what may exist, 10^20");
        }
        self.check_times()
    }

    fn check_times(&self) -> Result<(), String> {
        let times = [
            ("max_bid_window", self.max_bid_window),
            ("reveal_window", self.reveal_window),
            ("lease_start_deadline", self.lease_start_deadline),
            ("keep_closed", self.keep_closed),
            ("max_reclamation", self.max_reclamation),
        ];
        for (name, seconds) in times {
            if seconds > MAX_SECONDS {
                return Err(format!("{name} is {seconds} s; at most {MAX_SECONDS} s are allowed"));
            }
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
            min_bid_window: params.min_bid_window,
            max_bid_window: params.max_bid_window,
            default_bid_window: params.default_bid_window,
            reveal_window: params.reveal_window,
            bid_step: params.bid_step,
            max_bids_per_order: params.max_bids_per_order,
            min_bid_deposit: params.min_bid_deposit.to_string(),
            lease_start_deadline: params.lease_start_deadline,
            max_end_block_work: params.max_end_block_work,
            second_price_fee_cap: params.second_price_fee_cap,
            keep_closed: params.keep_closed,
            max_reopens: params.max_reopens,
            max_leases_per_withdrawal: params.max_leases_per_withdrawal,
            min_reclamation: params.min_reclamation,
            max_reclamation: params.max_reclamation,
            rep_half_stake: params.rep_half_stake.to_string(),
            rep_min_fee: params.rep_min_fee.to_string(),
        }
    }
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(params: pb::Params) -> Result<Self, String> {
        let amount = |name: &str, text: String| {
            Amount::try_from(text).map_err(|error| format!("{name}: {error}"))
        };
        let params = Self {
            min_bid_window: params.min_bid_window,
            max_bid_window: params.max_bid_window,
            default_bid_window: params.default_bid_window,
            reveal_window: params.reveal_window,
            bid_step: params.bid_step,
            max_bids_per_order: params.max_bids_per_order,
            min_bid_deposit: amount("min_bid_deposit", params.min_bid_deposit)?,
            lease_start_deadline: params.lease_start_deadline,
            max_end_block_work: params.max_end_block_work,
            second_price_fee_cap: params.second_price_fee_cap,
            keep_closed: params.keep_closed,
            max_reopens: params.max_reopens,
            max_leases_per_withdrawal: params.max_leases_per_withdrawal,
            min_reclamation: params.min_reclamation,
            max_reclamation: params.max_reclamation,
            rep_half_stake: amount("rep_half_stake", params.rep_half_stake)?,
            rep_min_fee: amount("rep_min_fee", params.rep_min_fee)?,
        };
        params.validate()?;
        Ok(params)
    }
}

update_params! {
    /// Replaces the market's parameters. What stands keeps the terms that it
    /// was opened with.
    pb, Params, keys::params
}
