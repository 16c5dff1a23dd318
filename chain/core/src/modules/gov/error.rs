//! What governance refuses.

use crate::error::Refusal;
use crate::types::{Address, Coins};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such proposal, or no longer.
    #[error("proposal {0} not found")]
    UnknownProposal(u64),
    /// It takes no votes, or no deposits.
    #[error("inactive proposal: {id} takes no {what} now; {when}")]
    Inactive {
        /// Which.
        id: u64,
        /// Votes or deposits.
        what: &'static str,
        /// When it did or will.
        when: String,
    },
    /// A legacy content that is wrong in itself.
    #[error("invalid proposal content: {0}")]
    InvalidContent(String),
    /// A legacy content of another type.
    #[error(
        "invalid proposal type: {0:?}; of the old contents only TextProposal is served, all else \
         is a message of MsgSubmitProposal of cosmos.gov.v1"
    )]
    InvalidType(String),
    /// Parts that make no vote.
    #[error("invalid vote option: {0}")]
    InvalidVote(String),
    /// A message that is wrong in itself, or too much of them.
    #[error("invalid proposal message: {0}")]
    InvalidMessage(String),
    /// A message that another signs.
    #[error(
        "expected gov account as only signer for proposal message: message {index} is signed by \
         {signer}, not by {authority}"
    )]
    InvalidSigner {
        /// Which message.
        index: usize,
        /// Who would sign it.
        signer: Address,
        /// Who should.
        authority: Address,
    },
    /// Over a bound.
    #[error("metadata too long: {0} bytes; at most 255 are allowed")]
    MetadataTooLong(usize),
    /// Under a bound.
    #[error("minimum deposit is too small: {given} is given, at least {needed} is asked for")]
    DepositTooSmall {
        /// Given.
        given: Coins,
        /// Asked for.
        needed: Coins,
    },
    /// Somebody else's proposal.
    #[error("invalid proposer: {given} is not {proposer}, who proposed it")]
    InvalidProposer {
        /// Who asks.
        given: Address,
        /// Who may.
        proposer: Address,
    },
    /// Too late.
    #[error("voting period already ended: of proposal {0}")]
    VotingEnded(u64),
    /// Without title, or without summary, or in a state that does not allow it.
    #[error("invalid proposal: {0}")]
    InvalidProposal(String),
    /// Over a bound.
    #[error("summary too long: {0} bytes; at most 10200 are allowed")]
    SummaryTooLong(usize),
    /// In another denom.
    #[error("invalid deposit denom: {given} is given; deposits are in the denoms of {taken}")]
    InvalidDenom {
        /// Given.
        given: Coins,
        /// Taken.
        taken: Coins,
    },
    /// Over a bound.
    #[error("title too long: {0} bytes; at most 255 are allowed")]
    TitleTooLong(usize),
    /// Parameters that are wrong in themselves.
    #[error("invalid parameters: {0}")]
    InvalidParams(String),
}

impl Refusal for Error {
    const CODESPACE: &'static str = "gov";

    // Up to 23 as in the Cosmos SDK's `x/gov/types/errors.go`.
    fn code(&self) -> u32 {
        match self {
            Self::UnknownProposal(_) => 2,
            Self::Inactive { .. } => 3,
            Self::InvalidContent(_) => 5,
            Self::InvalidType(_) => 6,
            Self::InvalidVote(_) => 7,
            Self::InvalidMessage(_) => 12,
            Self::InvalidSigner { .. } => 13,
            Self::MetadataTooLong(_) => 15,
            Self::DepositTooSmall { .. } => 16,
            Self::InvalidProposer { .. } => 18,
            Self::VotingEnded(_) => 20,
            Self::InvalidProposal(_) => 21,
            Self::SummaryTooLong(_) => 22,
            Self::InvalidDenom { .. } => 23,
            Self::TitleTooLong(_) => 100,
            Self::InvalidParams(_) => 101,
        }
    }
}
