//! What staking keeps of validators and delegators.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{mul_div_floor, mul_div_rem, Address, Amount, ConsAddress, Dec, Fine};

/// Stake for one vote in consensus, in units: the Cosmos SDK's power reduction.
pub const UNITS_PER_POWER: u128 = 1_000_000;

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// Account of its operator.
    pub operator: Address,
    /// ed25519 key by which it votes.
    #[serde(with = "hex::serde")]
    pub consensus_key: [u8; 32],
    /// Out of the active set until it unjails itself.
    pub jailed: bool,
    /// Whether it votes, or when its stake is free.
    pub status: Status,
    /// What is delegated to it, less what was slashed.
    pub tokens: Amount,
    /// Sum of its delegations' shares.
    pub shares: Dec,
    /// What it says of itself.
    pub description: Description,
    /// Its part of its delegators' rewards.
    pub commission: Commission,
    /// Under this much of its operator's own it is jailed.
    pub min_self_delegation: Amount,
}

/// Whether a validator votes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does not, and its stake is free.
    Unbonded,
    /// It does no more; its stake answers for its votes until then.
    Unbonding {
        /// Height of the block in which it ceased to vote.
        height: u64,
        /// Unix seconds.
        completes_at: u64,
    },
    /// It does.
    Bonded,
}

/// What a validator says of itself, as bounded as in the Cosmos SDK.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields, default)]
pub struct Description {
    /// At most 70 bytes.
    pub moniker: String,
    /// At most 3000 bytes.
    pub identity: String,
    /// At most 140 bytes.
    pub website: String,
    /// At most 140 bytes.
    pub security_contact: String,
    /// At most 280 bytes.
    pub details: String,
}

/// A validator's part of its delegators' rewards.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commission {
    /// Now.
    pub rate: Dec,
    /// Ever.
    pub max_rate: Dec,
    /// Most by which it rises or falls in a day.
    pub max_change_rate: Dec,
    /// Unix seconds of its last change.
    pub updated_at: u64,
}

/// What a delegator has with a validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Whose.
    pub delegator: Address,
    /// With whom: the operator.
    pub validator: Address,
    /// Part of the validator's shares.
    pub shares: Dec,
}

/// Coins on their way back from a validator.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unbonding {
    /// To whom.
    pub delegator: Address,
    /// From whom: the operator.
    pub validator: Address,
    /// At least one, in the order in which they began.
    pub entries: Vec<UnbondingEntry>,
}

/// What was undelegated at one time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnbondingEntry {
    /// Height of the block in which it began.
    pub height: u64,
    /// Unix second from which on it is paid out.
    pub completes_at: u64,
    /// What began, less what was cancelled: slashes are parts of it.
    pub initial: Amount,
    /// What returns.
    pub balance: Amount,
}

/// Stake that has moved from one validator to another, and answers for the
/// first until its unbonding time is over.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redelegation {
    /// Whose.
    pub delegator: Address,
    /// Operator of the validator that it left.
    pub from: Address,
    /// Operator of the validator where it is.
    pub to: Address,
    /// At least one, in the order in which they began.
    pub entries: Vec<RedelegationEntry>,
}

/// What was moved at one time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedelegationEntry {
    /// Height of the block in which it began; of that in which the source
    /// ceased to vote, if it had.
    pub height: u64,
    /// Unix second from which on it answers no more.
    pub completes_at: u64,
    /// Tokens that moved: slashes are parts of it.
    pub initial: Amount,
    /// Shares of the destination for them.
    pub shares: Dec,
}

impl Validator {
    /// Its address in consensus.
    pub fn consensus(&self) -> ConsAddress {
        ConsAddress::of_key(&self.consensus_key)
    }

    /// Whether it votes.
    pub fn is_bonded(&self) -> bool {
        self.status == Status::Bonded
    }

    /// Voting power of its tokens, whether or not it votes.
    pub fn power(&self) -> u64 {
        let power = self.tokens.raw().checked_div(UNITS_PER_POWER).unwrap_or_default();
        u64::try_from(power).unwrap_or(u64::MAX)
    }

    /// The power with which it competes for the active set; none where it may
    /// not: jailed, or with too little for one vote.
    pub fn competes_with(&self) -> Option<u64> {
        Some(self.power()).filter(|power| *power > 0 && !self.jailed)
    }

    /// What so many of its shares are worth, in 10^-18 units, rounded down.
    pub fn worth(&self, shares: Dec) -> Fine {
        let worth = mul_div_floor(shares.raw(), self.tokens.to_fine().raw(), self.shares.raw());
        Fine::from_raw(worth.unwrap_or_default())
    }

    /// The shares that so much gets: in proportion, rounded down, the first
    /// one a unit. None where there is no proportion, for all tokens were
    /// slashed, or where it comes to none or to more than a number holds.
    pub fn shares_for(&self, amount: Amount) -> Option<Dec> {
        let shares = if self.shares.is_zero() {
            Some(amount.to_fine().raw())
        } else {
            mul_div_floor(self.shares.raw(), amount.raw(), self.tokens.raw())
        };
        let shares = shares.map(Dec::from_raw).filter(|shares| !shares.is_zero())?;
        self.shares.checked_add(shares).map(|_| shares)
    }

    /// The shares of `owned` ones that leave with so much, rounded up, so that
    /// they are worth it; all, where only rounding is lacking. None where
    /// `owned` is worth less.
    pub fn shares_worth(&self, amount: Amount, owned: Dec) -> Option<Dec> {
        let (floor, rest) = mul_div_rem(self.shares.raw(), amount.raw(), self.tokens.raw())?;
        if floor > owned.raw() {
            return None;
        }
        let ceiling = if rest == 0 { floor } else { floor.saturating_add(1) };
        Some(Dec::from_raw(ceiling.min(owned.raw())))
    }
}
