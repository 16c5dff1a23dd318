//! What staking refuses.

use crate::error::Refusal;
use crate::types::{Address, Amount, ConsAddress, Dec, ValAddress, STAKE_DENOM};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody by this operator.
    #[error("validator {0} does not exist")]
    UnknownValidator(ValAddress),
    /// An operator runs one validator.
    #[error("{0} runs a validator already; an operator runs one")]
    OperatorExists(ValAddress),
    /// A consensus key is one validator's.
    #[error("the consensus key of {0} is a validator's already; make a new key")]
    KeyExists(ConsAddress),
    /// A double signer's key stays out.
    #[error("the consensus key of {0} has signed two blocks of one height; make a new key")]
    KeyTombstoned(ConsAddress),
    /// A key that is no ed25519 key.
    #[error("keys of validators are /cosmos.crypto.ed25519.PubKey, not {0:?}")]
    KeyType(String),
    /// The message has no key.
    #[error("the validator's consensus key is missing")]
    NoKey,
    /// Jailed.
    #[error("validator {0} is jailed; delegate to it again when it is not")]
    Jailed(ValAddress),
    /// A rate over the whole.
    #[error("a commission of {0} is over 1, which is all")]
    CommissionHuge(Dec),
    /// Over what the validator has promised.
    #[error("a commission of {rate} is over the validator's maximum of {max}")]
    CommissionOverMax {
        /// Wanted.
        rate: Dec,
        /// Promised.
        max: Dec,
    },
    /// Too soon.
    #[error("the commission changed less than a day ago; it can change again at {0}")]
    CommissionChangedToday(String),
    /// A daily change larger than the maximum rate.
    #[error("a daily change of {change} is over the maximum rate of {max}")]
    ChangeRateOverMax {
        /// Most in a day.
        change: Dec,
        /// Ever.
        max: Dec,
    },
    /// A change larger than promised.
    #[error("the commission is {from}; it changes by at most {most} in a day")]
    CommissionJump {
        /// Now.
        from: Dec,
        /// Most in a day.
        most: Dec,
    },
    /// Under the chain's least.
    #[error("a commission of {rate} is under the chain's least of {least}")]
    CommissionUnderMin {
        /// Wanted.
        rate: Dec,
        /// Parameter.
        least: Dec,
    },
    /// Less of its own than it promises.
    #[error("{own}{STAKE_DENOM} of its own is under its least self-delegation of {least}")]
    SelfDelegationTooLow {
        /// What the operator has delegated.
        own: Amount,
        /// What it promises.
        least: Amount,
    },
    /// The promise only rises.
    #[error("the least self-delegation is {0}; it only rises")]
    MinSelfDelegationDecreased(Amount),
    /// Nothing delegated.
    #[error("{0} has nothing delegated to {1}")]
    NoDelegation(Address, ValAddress),
    /// All tokens were slashed.
    #[error("all tokens of {0} were slashed: its shares are worth nothing")]
    WorthNothing(ValAddress),
    /// More than there is.
    #[error("{asked}{STAKE_DENOM} is more than the delegation, which is worth {worth}")]
    TooMuch {
        /// Wanted.
        asked: Amount,
        /// Rounded down.
        worth: Amount,
    },
    /// Too many at a time.
    #[error("{0} unbondings from this validator are under way already; wait until one completes")]
    TooManyUnbondings(u32),
    /// From one to the same.
    #[error("a redelegation goes to another validator")]
    SelfRedelegation,
    /// Nothing would arrive.
    #[error("the redelegation comes to less than 1{STAKE_DENOM}")]
    TinyRedelegation,
    /// Nobody by this operator.
    #[error("validator {0}, to which to redelegate, does not exist")]
    UnknownDestination(ValAddress),
    /// It still answers for another.
    #[error(
        "a redelegation of {0} to {1} is under way; only when it is over can stake be redelegated \
         from there"
    )]
    TransitiveRedelegation(Address, ValAddress),
    /// Too many at a time.
    #[error("{0} such redelegations are under way already; wait until one completes")]
    TooManyRedelegations(u32),
    /// No proportion of shares to tokens.
    #[error("{0} has no proportion of shares to tokens in which to delegate so much")]
    ExchangeRate(ValAddress),
}

impl Refusal for Error {
    const CODESPACE: &'static str = "staking";

    // Numbers of the Cosmos SDK's `x/staking/types/errors.go`.
    fn code(&self) -> u32 {
        match self {
            Self::UnknownValidator(_) => 3,
            Self::OperatorExists(_) => 4,
            Self::KeyExists(_) | Self::KeyTombstoned(_) => 5,
            Self::KeyType(_) => 6,
            Self::Jailed(_) => 7,
            Self::CommissionHuge(_) => 10,
            Self::CommissionOverMax { .. } => 11,
            Self::CommissionChangedToday(_) => 12,
            Self::ChangeRateOverMax { .. } => 14,
            Self::CommissionJump { .. } => 15,
            Self::SelfDelegationTooLow { .. } => 16,
            Self::MinSelfDelegationDecreased(_) => 17,
            Self::NoDelegation(..) => 19,
            Self::WorthNothing(_) => 22,
            Self::TooMuch { .. } => 24,
            Self::TooManyUnbondings(_) => 27,
            Self::SelfRedelegation => 29,
            Self::TinyRedelegation => 30,
            Self::UnknownDestination(_) => 31,
            Self::TransitiveRedelegation(..) => 32,
            Self::TooManyRedelegations(_) => 33,
            Self::ExchangeRate(_) => 34,
            Self::NoKey => 39,
            Self::CommissionUnderMin { .. } => 40,
        }
    }
}
