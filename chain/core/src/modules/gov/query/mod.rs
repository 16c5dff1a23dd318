//! Cosmos' queries about governance, of v1 and of v1beta1.

mod legacy;
mod v1;

use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::query::Router;
use crate::types::Address;
use cosmos_sdk_proto::Timestamp;

use super::count::Counting;
use super::life::existing;
use super::records::{deposit, proposal, vote, votes_on, Proposal, Status, Sums};
use super::Error;

/// Votes that the tally of a proposal in its voting period is made of.
const MAX_VOTES: usize = 10_000;

/// Mounts them.
pub fn routes(router: &mut Router) {
    v1::routes(router);
    legacy::routes(router);
}

fn timestamp(seconds: u64) -> Option<Timestamp> {
    Some(crate::types::timestamp(seconds))
}

/// In both versions.
fn status_number(status: Status) -> i32 {
    match status {
        Status::Deposit => 1,
        Status::Voting => 2,
        Status::Passed => 3,
        Status::Rejected => 4,
        Status::Failed => 5,
    }
}

/// Which proposals a list shows.
struct Filter {
    status: i32,
    voter: Option<Address>,
    depositor: Option<Address>,
}

impl Filter {
    fn new(status: i32, voter: &str, depositor: &str) -> Result<Self, Failure> {
        let address = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some),
        };
        Ok(Self { status, voter: address(voter)?, depositor: address(depositor)? })
    }

    /// Votes are known until they are counted.
    fn shows(&self, ctx: &Ctx<'_>, proposal: &Proposal) -> bool {
        let id = proposal.id;
        (self.status == 0 || self.status == status_number(proposal.status))
            && self.voter.is_none_or(|voter| vote(ctx, id, &voter).is_some())
            && self.depositor.is_none_or(|depositor| deposit(ctx, id, &depositor).is_some())
    }
}

/// What the votes come to: those so far in the voting period, else the last
/// count's.
fn tally(ctx: &Ctx<'_>, id: u64) -> Result<Sums, Failure> {
    let proposal = existing(ctx, id)?;
    if proposal.status != Status::Voting {
        return Ok(proposal.tally);
    }
    let under_way = Counting::load(ctx).filter(|counting| counting.proposal() == id);
    let mut counting = under_way.unwrap_or_else(|| Counting::begin(ctx, id));
    for (index, (_, voter, vote)) in votes_on(ctx, id).enumerate() {
        if index >= MAX_VOTES {
            return Err(SdkError::NotSupported(format!(
                "the tally of over {MAX_VOTES} votes before they are counted"
            ))
            .into());
        }
        counting.add(ctx, &voter, &vote);
    }
    Ok(counting.close(ctx).sums)
}

fn voted(ctx: &Ctx<'_>, id: u64, voter: &str) -> Result<(Address, super::records::Vote), Failure> {
    let voter: Address = voter.parse()?;
    let missing = || SdkError::NotFound(format!("a vote of {voter} on proposal {id}"));
    Ok((voter, vote(ctx, id, &voter).ok_or_else(missing)?))
}

fn deposited(
    ctx: &Ctx<'_>,
    id: u64,
    depositor: &str,
) -> Result<(Address, crate::types::Coins), Failure> {
    let depositor: Address = depositor.parse()?;
    let missing = || SdkError::NotFound(format!("a deposit of {depositor} on proposal {id}"));
    Ok((depositor, deposit(ctx, id, &depositor).ok_or_else(missing)?))
}

fn found(ctx: &Ctx<'_>, id: u64) -> Result<Proposal, Failure> {
    proposal(ctx, id).ok_or_else(|| Error::UnknownProposal(id).into())
}
