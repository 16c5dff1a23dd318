//! What staking keeps of validators and delegators.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::types::{Address, Amount, ConsAddress, Dec};

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

impl Validator {
    /// Its address in consensus.
    pub fn consensus(&self) -> ConsAddress {
        ConsAddress::of_key(&self.consensus_key)
    }

    /// Whether it votes.
    pub fn is_bonded(&self) -> bool {
        self.status == Status::Bonded
    }

    /// What so many of its shares are worth, in 10^-18 units, rounded down.
    pub fn worth(&self, shares: Dec) -> crate::types::Fine {
        let worth = crate::types::mul_div_floor(
            shares.raw(),
            self.tokens.to_fine().raw(),
            self.shares.raw(),
        );
        crate::types::Fine::from_raw(worth.unwrap_or_default())
    }
}
