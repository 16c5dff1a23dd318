//! Taking a proposal back.

use cosmos_sdk_proto::cosmos::gov::v1 as pb;
use cosmos_sdk_proto::Timestamp;

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event::Event;
use crate::modules::gov::life::{drop_proposal, existing};
use crate::modules::gov::params::params;
use crate::modules::gov::records::{CutTo, Leaving, Status};
use crate::modules::gov::{module_address, Error};
use crate::tx::Message;
use crate::types::Address;

/// Takes back one's proposal that is not decided yet. A part of its deposits
/// is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelProposal {
    proposal: u64,
    proposer: Address,
}

impl TryFrom<pb::MsgCancelProposal> for CancelProposal {
    type Error = Failure;

    fn try_from(msg: pb::MsgCancelProposal) -> Result<Self, Failure> {
        Ok(Self { proposal: msg.proposal_id, proposer: msg.proposer.parse()? })
    }
}

impl Message for CancelProposal {
    type Proto = pb::MsgCancelProposal;
    type Response = pb::MsgCancelProposalResponse;

    fn signer(&self) -> Address {
        self.proposer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { proposal: id, proposer: given } = self;
        let proposal = existing(ctx, id)?;
        if given != proposal.proposer {
            let proposer = proposal.proposer;
            return Err(Error::InvalidProposer { given, proposer }.into());
        }
        match proposal.status {
            Status::Deposit => {}
            Status::Voting if proposal.takes_votes(ctx.now()) => {}
            Status::Voting => return Err(Error::VotingEnded(id).into()),
            Status::Passed | Status::Rejected | Status::Failed => {
                let text = "only one in its deposit or voting period can be cancelled";
                return Err(Error::InvalidProposal(text.to_owned()).into());
            }
        }
        let leaving = Leaving::Cut(params(ctx).proposal_cancel_ratio, cut_to(ctx));
        drop_proposal(ctx, &proposal, leaving);
        let event = Event::new("cancel_proposal").with("sender", given);
        ctx.emit(event.with("proposal_id", id));
        let seconds = i64::try_from(ctx.now()).unwrap_or(i64::MAX);
        Ok(pb::MsgCancelProposalResponse {
            proposal_id: id,
            canceled_time: Some(Timestamp { seconds, nanos: 0 }),
            canceled_height: ctx.height(),
        })
    }
}

/// The address of the Cosmos SDK's distribution module stands for the
/// community pool.
fn cut_to(ctx: &Ctx<'_>) -> CutTo {
    match params(ctx).proposal_cancel_dest {
        None => CutTo::Burn,
        Some(address) if address == module_address(b"distribution") => CutTo::Pool,
        Some(address) => CutTo::Account(address),
    }
}
