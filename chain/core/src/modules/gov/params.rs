//! What governance sets for itself. Times in whole seconds.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::gov::v1 as pb;
use cosmos_sdk_proto::tendermint::google::protobuf::Duration;
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::Ctx;
use crate::types::{Address, Amount, Coin, Coins, Dec, Denom};

/// Most seconds of any period: a year.
const MAX_PERIOD: u64 = 365 * 86_400;

/// The parameters of the Cosmos SDK's gov, by their meaning there.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// With this much a proposal is voted on.
    pub min_deposit: Coins,
    /// Seconds in which it must come together.
    pub max_deposit_period: u64,
    /// Seconds of voting.
    pub voting_period: u64,
    /// Least part of all stake that votes.
    pub quorum: Dec,
    /// Of the votes that do not abstain, more than this part is yes.
    pub threshold: Dec,
    /// Of all votes, more than this part with veto rejects.
    pub veto_threshold: Dec,
    /// Part of `min_deposit` that a proposal begins with.
    pub min_initial_deposit_ratio: Dec,
    /// Part of the deposits that cancelling costs.
    pub proposal_cancel_ratio: Dec,
    /// Who gets it; none: it is burned.
    pub proposal_cancel_dest: Option<Address>,
    /// Seconds of voting on an expedited proposal.
    pub expedited_voting_period: u64,
    /// `threshold` of an expedited proposal.
    pub expedited_threshold: Dec,
    /// `min_deposit` of an expedited proposal.
    pub expedited_min_deposit: Coins,
    /// Whether a proposal without quorum loses its deposits.
    pub burn_vote_quorum: bool,
    /// Whether one without enough deposits loses those it has.
    pub burn_proposal_deposit_prevote: bool,
    /// Whether one that is rejected with veto loses its deposits.
    pub burn_vote_veto: bool,
    /// Part of `min_deposit` that each deposit is at least.
    pub min_deposit_ratio: Dec,
}

impl Default for Params {
    fn default() -> Self {
        let stake = |amount| -> Coins {
            [Coin::new(Denom::stake(), Amount::from_raw(amount))].into_iter().collect()
        };
        Self {
            min_deposit: stake(10_000_000),
            max_deposit_period: 2 * 86_400,
            voting_period: 2 * 86_400,
            quorum: Dec::from_raw(334_000_000_000_000_000),
            threshold: Dec::percent(50),
            veto_threshold: Dec::from_raw(334_000_000_000_000_000),
            min_initial_deposit_ratio: Dec::percent(10),
            proposal_cancel_ratio: Dec::percent(50),
            proposal_cancel_dest: None,
            expedited_voting_period: 86_400,
            expedited_threshold: Dec::from_raw(667_000_000_000_000_000),
            expedited_min_deposit: stake(50_000_000),
            burn_vote_quorum: false,
            burn_proposal_deposit_prevote: false,
            burn_vote_veto: true,
            min_deposit_ratio: Dec::percent(1),
        }
    }
}

impl Params {
    /// What is wrong with them.
    ///
    /// # Errors
    /// The first parameter that is out of its bounds, and what they are.
    pub fn validate(&self) -> Result<(), String> {
        self.check_deposits()?;
        let periods = [
            ("max_deposit_period", self.max_deposit_period),
            ("voting_period", self.voting_period),
            ("expedited_voting_period", self.expedited_voting_period),
        ];
        for (name, period) in periods {
            if period == 0 || period > MAX_PERIOD {
                return Err(format!("{name} is {period} s; 1 s to {MAX_PERIOD} s are allowed"));
            }
        }
        if self.expedited_voting_period >= self.voting_period {
            return Err("expedited_voting_period is shorter than voting_period".to_owned());
        }
        self.check_parts()
    }

    fn check_deposits(&self) -> Result<(), String> {
        if self.min_deposit.is_empty() {
            return Err("min_deposit names at least one coin".to_owned());
        }
        let (most, expedited) = (&self.min_deposit, &self.expedited_min_deposit);
        if !covers(expedited, most) || expedited == most || expedited.len() != most.len() {
            return Err("expedited_min_deposit is over min_deposit, in the same denoms".to_owned());
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), String> {
        let parts = [
            ("quorum", self.quorum),
            ("threshold", self.threshold),
            ("veto_threshold", self.veto_threshold),
            ("min_initial_deposit_ratio", self.min_initial_deposit_ratio),
            ("proposal_cancel_ratio", self.proposal_cancel_ratio),
            ("expedited_threshold", self.expedited_threshold),
            ("min_deposit_ratio", self.min_deposit_ratio),
        ];
        for (name, part) in parts {
            if part > Dec::ONE {
                return Err(format!("{name} is {part}; 0 to 1 are allowed"));
            }
        }
        if self.threshold.is_zero() || self.veto_threshold.is_zero() {
            return Err("threshold and veto_threshold are over 0".to_owned());
        }
        if self.expedited_threshold <= self.threshold {
            return Err("expedited_threshold is over threshold".to_owned());
        }
        Ok(())
    }

    /// The deposit with which a proposal is voted on.
    pub fn deposit_needed(&self, expedited: bool) -> &Coins {
        if expedited {
            &self.expedited_min_deposit
        } else {
            &self.min_deposit
        }
    }

    /// How long it is voted on.
    pub fn voting_seconds(&self, expedited: bool) -> u64 {
        if expedited {
            self.expedited_voting_period
        } else {
            self.voting_period
        }
    }
}

/// Whether there is at least as much of each coin as is needed.
pub fn covers(has: &Coins, needed: &Coins) -> bool {
    needed.iter().all(|coin| has.of(&coin.denom) >= coin.amount)
}

/// This part of each coin, rounded down.
pub fn part_of(coins: &Coins, part: Dec) -> Coins {
    coins.iter().map(|coin| Coin::new(coin.denom, part.of(coin.amount))).collect()
}

/// The parameters in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

fn seconds(name: &str, duration: Option<Duration>) -> Result<u64, String> {
    let wrong = || format!("{name} is a number of whole seconds");
    let duration = duration.ok_or_else(wrong)?;
    if duration.nanos != 0 {
        return Err(wrong());
    }
    u64::try_from(duration.seconds).map_err(|_| wrong())
}

/// A period as protobuf has it.
pub fn duration(seconds: u64) -> Option<Duration> {
    Some(crate::types::duration(seconds))
}

fn part(name: &str, text: &str) -> Result<Dec, String> {
    text.parse().map_err(|error| format!("{name}: {error}"))
}

fn coins(
    name: &str,
    coins: Vec<cosmos_sdk_proto::cosmos::base::v1beta1::Coin>,
) -> Result<Coins, String> {
    Coins::from_proto(coins).map_err(|error| format!("{name}: {error}"))
}

impl TryFrom<pb::Params> for Params {
    type Error = String;

    fn try_from(from: pb::Params) -> Result<Self, String> {
        let dest = match from.proposal_cancel_dest.as_str() {
            "" => None,
            address => Some(address.parse().map_err(|error| format!("{error}"))?),
        };
        let params = Self {
            min_deposit: coins("min_deposit", from.min_deposit)?,
            max_deposit_period: seconds("max_deposit_period", from.max_deposit_period)?,
            voting_period: seconds("voting_period", from.voting_period)?,
            quorum: part("quorum", &from.quorum)?,
            threshold: part("threshold", &from.threshold)?,
            veto_threshold: part("veto_threshold", &from.veto_threshold)?,
            min_initial_deposit_ratio: part(
                "min_initial_deposit_ratio",
                &from.min_initial_deposit_ratio,
            )?,
            proposal_cancel_ratio: part("proposal_cancel_ratio", &from.proposal_cancel_ratio)?,
            proposal_cancel_dest: dest,
            expedited_voting_period: seconds(
                "expedited_voting_period",
                from.expedited_voting_period,
            )?,
            expedited_threshold: part("expedited_threshold", &from.expedited_threshold)?,
            expedited_min_deposit: coins("expedited_min_deposit", from.expedited_min_deposit)?,
            burn_vote_quorum: from.burn_vote_quorum,
            burn_proposal_deposit_prevote: from.burn_proposal_deposit_prevote,
            burn_vote_veto: from.burn_vote_veto,
            min_deposit_ratio: part("min_deposit_ratio", &from.min_deposit_ratio)?,
        };
        params.validate()?;
        Ok(params)
    }
}

/// Ratios are decimals as text here, unlike elsewhere in Cosmos' protobuf.
impl From<Params> for pb::Params {
    fn from(params: Params) -> Self {
        Self {
            min_deposit: params.min_deposit.to_proto(),
            max_deposit_period: duration(params.max_deposit_period),
            voting_period: duration(params.voting_period),
            quorum: params.quorum.to_string(),
            threshold: params.threshold.to_string(),
            veto_threshold: params.veto_threshold.to_string(),
            min_initial_deposit_ratio: params.min_initial_deposit_ratio.to_string(),
            proposal_cancel_ratio: params.proposal_cancel_ratio.to_string(),
            proposal_cancel_dest: params
                .proposal_cancel_dest
                .map(|address| address.to_string())
                .unwrap_or_default(),
            expedited_voting_period: duration(params.expedited_voting_period),
            expedited_threshold: params.expedited_threshold.to_string(),
            expedited_min_deposit: params.expedited_min_deposit.to_proto(),
            burn_vote_quorum: params.burn_vote_quorum,
            burn_proposal_deposit_prevote: params.burn_proposal_deposit_prevote,
            burn_vote_veto: params.burn_vote_veto,
            min_deposit_ratio: params.min_deposit_ratio.to_string(),
        }
    }
}
