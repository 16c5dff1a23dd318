//! What distribution keeps of validators and delegations.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::{FineCoins, Ratios};
use crate::types::Dec;

/// What a validator has earned, for its delegators and for itself.
///
/// outstanding ≥ commission + current + what delegations have earned since
/// their starts; the difference is what ratios round off.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct ValidatorRewards {
    /// Number of the running period. One ends whenever a delegation changes or
    /// is paid, so that within a period nobody's share changes.
    pub period: u64,
    /// All that was allocated to it and not paid yet.
    pub outstanding: FineCoins,
    /// Its own part of that.
    pub commission: FineCoins,
    /// Its delegators' rewards of the running period.
    pub current: FineCoins,
    /// What a share has earned in all the periods before.
    pub earned: Ratios,
}

impl ValidatorRewards {
    /// Ends the running period, in which the validator had so many shares.
    /// Answers what nobody has a share of.
    pub fn end_period(&mut self, shares: Dec) -> FineCoins {
        let mut unshared = FineCoins::default();
        for (denom, money) in std::mem::take(&mut self.current).iter() {
            if self.earned.add(denom, money, shares).is_none() {
                unshared.add(denom, money);
            }
        }
        self.outstanding.take_all(&unshared);
        self.period = self.period.saturating_add(1);
        unshared
    }

    /// What so many shares have earned since `start`, to the end of the last
    /// period.
    pub fn earned_since(&self, start: &Start, shares: Dec) -> FineCoins {
        self.earned.earned_since(&start.earned, shares).collect()
    }
}

/// Where a delegation's rewards begin: when it was made, changed or paid last.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// What a share of its validator had earned by then.
    pub earned: Ratios,
    /// Height of that block.
    pub height: u64,
}

/// A part of a validator's tokens that was taken, for those who ask. Rewards
/// go by shares, of which slashing takes none.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Slash {
    /// Of its tokens.
    pub fraction: Dec,
}
