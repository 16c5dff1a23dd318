//! Governance: proposals, deposits, votes, and their execution.
//!
//! A proposal's messages are ordinary ones whose signer is the module's own
//! address ([`authority`]), for which nobody has a key. They are looked at when
//! they are submitted, and executed when the votes are counted: all of them or
//! none.
//!
//! | state | goes on to |
//! | --- | --- |
//! | deposit period | voting, with its whole deposit; dropped at its end; cancelled |
//! | voting period | passed, failed, rejected at its count; cancelled before its end |
//!
//! Who votes: delegators of bonded validators, by their own vote or else by
//! their validator's, and providers with their stake, which no other can vote
//! for and which jailing does not silence. Rules and defaults are those of the
//! Cosmos SDK's gov, but for: votes and deposits end with their period, not
//! with the block after it; a count may take several blocks (see [`count`]).
//!
//! Owns: proposals, deposits, votes that are not counted yet, the count under
//! way, and what is leaving.

mod count;
mod end_block;
mod error;
mod genesis;
mod invariants;
mod keys;
mod life;
mod msgs;
mod params;
mod query;
mod records;
mod tally;
#[cfg(test)]
mod tests;

pub use count::{before_stake_changes, Count, Counted};
pub use end_block::{end_block, EXECUTION_GAS, MAX_WORK};
pub use error::Error;
pub use genesis::{
    export, init, Genesis, GenesisCounted, GenesisDeposit, GenesisLeaving, GenesisVote,
};
pub use invariants::{add_holdings, check_invariants};
pub use msgs::{
    CancelProposal, Deposit, ExecLegacyContent, LegacyDeposit, LegacySubmitProposal, LegacyVote,
    LegacyVoteWeighted, SubmitProposal, UpdateParams, VoteOne, VoteWeighted, MAX_MESSAGES,
};
pub use params::{params, Params};
pub use query::routes;
pub use records::{
    deposit, proposal, proposals, vote, Choice, CutTo, Leaving, Part, Proposal, RawMessage, Status,
    Sums, Vote, Voting,
};

use sha2::{Digest, Sha256};

use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::types::Address;

/// Who may change parameters: the address of the name `gov`.
pub fn authority() -> Address {
    module_address(b"gov")
}

/// As in the Cosmos SDK the first 20 bytes of the name's SHA-256.
fn module_address(name: &[u8]) -> Address {
    Address::new(Sha256::digest(name).first_chunk().copied().unwrap_or_default())
}

/// Refuses everybody but governance.
///
/// # Errors
/// `signer` is somebody else.
pub fn check_authority(signer: &Address) -> Result<(), SdkError> {
    let authority = authority();
    if *signer == authority {
        return Ok(());
    }
    Err(SdkError::Unauthorized(format!(
        "invalid authority; expected {authority} (a proposal of governance), got {signer}"
    )))
}

/// What governance is for, in words; empty where genesis names nothing.
pub fn constitution(ctx: &Ctx<'_>) -> String {
    ctx.get(&keys::constitution()).unwrap_or_default()
}
