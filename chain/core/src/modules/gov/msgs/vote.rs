//! Voting.

use cosmos_sdk_proto::cosmos::gov::{v1 as pb, v1beta1 as legacy};

use super::submit::check_metadata;
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event::Event;
use crate::modules::gov::life::{existing, inactive};
use crate::modules::gov::records::{Choice, Part, Vote};
use crate::modules::gov::{keys, Error};
use crate::tx::Message;
use crate::types::{Address, Dec};

/// Gas that pays for the vote's count.
const COUNT_GAS: u64 = 20_000;

/// Parts from protobuf: 1 to 4, distinct, their weights over 0 and 1 together.
fn parts(options: Vec<(i32, Result<Dec, String>)>) -> Result<Vec<Part>, Error> {
    let wrong = |text: String| Err(Error::InvalidVote(text));
    if options.is_empty() || options.len() > 4 {
        return wrong(format!("{} options; 1 to 4 are allowed", options.len()));
    }
    let mut parts: Vec<Part> = Vec::with_capacity(options.len());
    let mut sum = Dec::ZERO;
    for (number, weight) in options {
        let weight = weight.map_err(|error| Error::InvalidVote(format!("weight: {error}")))?;
        let Some(choice) = Choice::from_number(number) else {
            return wrong(format!("{number}; 1 (yes), 2 (abstain), 3 (no) or 4 (veto) is right"));
        };
        if parts.iter().any(|part| part.choice == choice) {
            return wrong(format!("{} is given twice", choice.name()));
        }
        if weight.is_zero() || weight > Dec::ONE {
            return wrong(format!("weight {weight}; over 0 and at most 1 is right"));
        }
        sum = sum.saturating_add(weight);
        parts.push(Part { choice, weight });
    }
    if sum != Dec::ONE {
        return wrong(format!("the weights are {sum} together, not 1"));
    }
    Ok(parts)
}

/// Sets somebody's vote, in place of the one he gave before.
fn cast(ctx: &mut Ctx<'_>, id: u64, voter: Address, vote: Vote) -> Result<(), Failure> {
    ctx.charge(COUNT_GAS);
    let proposal = existing(ctx, id)?;
    if !proposal.takes_votes(ctx.now()) {
        return Err(inactive(&proposal, "votes").into());
    }
    ctx.put(keys::vote(id, &voter), &vote);
    let event = Event::new("proposal_vote").with("voter", voter);
    ctx.emit(event.with("option", written(&vote.parts)).with("proposal_id", id));
    Ok(())
}

/// As the Cosmos SDK writes it in events.
fn written(parts: &[Part]) -> String {
    let part = |part: &Part| format!("option:{} weight:\"{}\"", part.choice.name(), part.weight);
    parts.iter().map(part).collect::<Vec<_>>().join("\n")
}

macro_rules! vote {
    ($(#[$doc:meta])* $name:ident = $proto:ty, $response:path, $options:expr, $metadata:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            proposal: u64,
            voter: Address,
            vote: Vote,
        }

        impl TryFrom<$proto> for $name {
            type Error = Failure;

            fn try_from(msg: $proto) -> Result<Self, Failure> {
                let (proposal, voter) = (msg.proposal_id, msg.voter.parse()?);
                let metadata: fn(&$proto) -> String = $metadata;
                let metadata = metadata(&msg);
                check_metadata(&metadata)?;
                let options: fn($proto) -> Vec<(i32, Result<Dec, String>)> = $options;
                let parts = parts(options(msg))?;
                Ok(Self { proposal, voter, vote: Vote { parts, metadata } })
            }
        }

        impl Message for $name {
            type Proto = $proto;
            type Response = $response;

            fn signer(&self) -> Address {
                self.voter
            }

            fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
                cast(ctx, self.proposal, self.voter, self.vote)?;
                Ok(<$response>::default())
            }
        }
    };
}

vote! {
    /// A vote for one option.
    VoteOne = pb::MsgVote, pb::MsgVoteResponse,
    |msg| vec![(msg.option, Ok(Dec::ONE))], |msg| msg.metadata.clone()
}
vote! {
    /// A vote in parts. A weight is a decimal as text here.
    VoteWeighted = pb::MsgVoteWeighted, pb::MsgVoteWeightedResponse,
    |msg| msg.options.into_iter().map(|part| (part.option, part.weight.parse())).collect(),
    |msg| msg.metadata.clone()
}
vote! {
    /// A vote for one option by v1beta1.
    LegacyVote = legacy::MsgVote, legacy::MsgVoteResponse,
    |msg| vec![(msg.option, Ok(Dec::ONE))], |_| String::new()
}
vote! {
    /// A vote in parts by v1beta1. A weight is the integer 10^18-fold here.
    LegacyVoteWeighted = legacy::MsgVoteWeighted, legacy::MsgVoteWeightedResponse,
    |msg| msg.options.into_iter().map(|part| (part.option, Dec::from_wire(&part.weight))).collect(),
    |_| String::new()
}
