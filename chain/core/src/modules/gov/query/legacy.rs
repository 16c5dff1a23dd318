//! cosmos.gov.v1beta1, which CosmJS asks. Decimals are integers 10^18-fold
//! here. A proposal without a content of old is shown as a text with its title
//! and summary, so that lists of them are whole.

use cosmos_sdk_proto::cosmos::gov::v1::MsgExecLegacyContent;
use cosmos_sdk_proto::cosmos::gov::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use prost::{Message as _, Name};

use super::{deposited, found, status_number, tally, timestamp, voted, Filter};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::gov::params::duration;
use crate::modules::gov::records::{Part, Proposal, Sums, Vote};
use crate::modules::gov::{keys, params};
use crate::page;
use crate::query::Router;
use crate::types::{Address, Coins, Dec};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.gov.v1beta1.Query/Proposal", query_proposal);
    router.mount("/cosmos.gov.v1beta1.Query/Proposals", query_proposals);
    router.mount("/cosmos.gov.v1beta1.Query/Vote", query_vote);
    router.mount("/cosmos.gov.v1beta1.Query/Votes", query_votes);
    router.mount("/cosmos.gov.v1beta1.Query/Params", query_params);
    router.mount("/cosmos.gov.v1beta1.Query/Deposit", query_deposit);
    router.mount("/cosmos.gov.v1beta1.Query/Deposits", query_deposits);
    router.mount("/cosmos.gov.v1beta1.Query/TallyResult", query_tally);
}

fn tally_to_proto(sums: &Sums) -> pb::TallyResult {
    pb::TallyResult {
        yes: sums.yes.whole().to_string(),
        abstain: sums.abstain.whole().to_string(),
        no: sums.no.whole().to_string(),
        no_with_veto: sums.no_with_veto.whole().to_string(),
    }
}

fn content(proposal: &Proposal) -> Any {
    let legacy = proposal
        .messages
        .iter()
        .find(|message| message.type_url == MsgExecLegacyContent::type_url())
        .and_then(|message| MsgExecLegacyContent::decode(message.value.as_slice()).ok())
        .and_then(|message| message.content);
    legacy.unwrap_or_else(|| {
        let text = pb::TextProposal {
            title: proposal.title.clone(),
            description: proposal.summary.clone(),
        };
        Any { type_url: pb::TextProposal::type_url(), value: text.encode_to_vec() }
    })
}

fn to_proto(proposal: &Proposal) -> pb::Proposal {
    let voting = proposal.voting;
    pb::Proposal {
        proposal_id: proposal.id,
        content: Some(content(proposal)),
        status: status_number(proposal.status),
        final_tally_result: Some(tally_to_proto(&proposal.tally)),
        submit_time: timestamp(proposal.submitted_at),
        deposit_end_time: timestamp(proposal.deposit_ends_at),
        total_deposit: proposal.total_deposit.to_proto(),
        // Not optional in the Cosmos SDK: before the voting it is year 1.
        voting_start_time: timestamp_or_never(voting.map(|voting| voting.starts_at)),
        voting_end_time: timestamp_or_never(voting.map(|voting| voting.ends_at)),
    }
}

fn timestamp_or_never(seconds: Option<u64>) -> Option<cosmos_sdk_proto::Timestamp> {
    const YEAR_ONE: i64 = -62_135_596_800;
    match seconds {
        Some(seconds) => timestamp(seconds),
        None => Some(cosmos_sdk_proto::Timestamp { seconds: YEAR_ONE, nanos: 0 }),
    }
}

#[allow(deprecated, reason = "older software reads the one option")]
fn vote_to_proto(proposal_id: u64, voter: Address, vote: &Vote) -> pb::Vote {
    let option = |part: &Part| pb::WeightedVoteOption {
        option: part.choice.number(),
        weight: part.weight.to_wire(),
    };
    let one = match vote.parts.as_slice() {
        [part] if part.weight == Dec::ONE => part.choice.number(),
        _ => 0,
    };
    pb::Vote {
        proposal_id,
        voter: voter.to_string(),
        option: one,
        options: vote.parts.iter().map(option).collect(),
    }
}

fn deposit_to_proto(proposal_id: u64, depositor: Address, coins: &Coins) -> pb::Deposit {
    pb::Deposit { proposal_id, depositor: depositor.to_string(), amount: coins.to_proto() }
}

fn query_proposal(
    ctx: &Ctx<'_>,
    request: pb::QueryProposalRequest,
) -> Result<pb::QueryProposalResponse, Failure> {
    let proposal = found(ctx, request.proposal_id)?;
    Ok(pb::QueryProposalResponse { proposal: Some(to_proto(&proposal)) })
}

fn query_proposals(
    ctx: &Ctx<'_>,
    request: pb::QueryProposalsRequest,
) -> Result<pb::QueryProposalsResponse, Failure> {
    let filter = Filter::new(request.proposal_status, &request.voter, &request.depositor)?;
    let (proposals, pagination) =
        page::collect(ctx, &keys::proposals(), request.pagination, |key, value| {
            let proposal: Proposal = crate::state::decode(key, value);
            filter.shows(ctx, &proposal).then(|| to_proto(&proposal))
        })?;
    Ok(pb::QueryProposalsResponse { proposals, pagination: Some(pagination) })
}

fn query_vote(
    ctx: &Ctx<'_>,
    request: pb::QueryVoteRequest,
) -> Result<pb::QueryVoteResponse, Failure> {
    let id = request.proposal_id;
    let (voter, vote) = voted(ctx, id, &request.voter)?;
    Ok(pb::QueryVoteResponse { vote: Some(vote_to_proto(id, voter, &vote)) })
}

fn query_votes(
    ctx: &Ctx<'_>,
    request: pb::QueryVotesRequest,
) -> Result<pb::QueryVotesResponse, Failure> {
    let prefix = keys::votes_on(request.proposal_id);
    let (votes, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        let (id, voter) = keys::parts(key)?;
        Some(vote_to_proto(id, voter, &crate::state::decode(key, value)))
    })?;
    Ok(pb::QueryVotesResponse { votes, pagination: Some(pagination) })
}

fn query_params(
    ctx: &Ctx<'_>,
    request: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    let params = params(ctx);
    let bytes = |part: Dec| part.to_wire().into_bytes();
    let mut response = pb::QueryParamsResponse::default();
    match request.params_type.as_str() {
        "voting" => {
            let voting = pb::VotingParams { voting_period: duration(params.voting_period) };
            response.voting_params = Some(voting);
        }
        "deposit" => {
            response.deposit_params = Some(pb::DepositParams {
                min_deposit: params.min_deposit.to_proto(),
                max_deposit_period: duration(params.max_deposit_period),
            });
        }
        "tallying" => {
            response.tally_params = Some(pb::TallyParams {
                quorum: bytes(params.quorum),
                threshold: bytes(params.threshold),
                veto_threshold: bytes(params.veto_threshold),
            });
        }
        other => {
            let other: String = other.chars().take(100).collect();
            return Err(SdkError::InvalidRequest(format!(
                "params_type {other:?}; voting, deposit or tallying is right"
            ))
            .into());
        }
    }
    Ok(response)
}

fn query_deposit(
    ctx: &Ctx<'_>,
    request: pb::QueryDepositRequest,
) -> Result<pb::QueryDepositResponse, Failure> {
    let id = request.proposal_id;
    let (depositor, coins) = deposited(ctx, id, &request.depositor)?;
    Ok(pb::QueryDepositResponse { deposit: Some(deposit_to_proto(id, depositor, &coins)) })
}

fn query_deposits(
    ctx: &Ctx<'_>,
    request: pb::QueryDepositsRequest,
) -> Result<pb::QueryDepositsResponse, Failure> {
    let prefix = keys::deposits_on(request.proposal_id);
    let (deposits, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        let (id, depositor) = keys::parts(key)?;
        Some(deposit_to_proto(id, depositor, &crate::state::decode(key, value)))
    })?;
    Ok(pb::QueryDepositsResponse { deposits, pagination: Some(pagination) })
}

fn query_tally(
    ctx: &Ctx<'_>,
    request: pb::QueryTallyResultRequest,
) -> Result<pb::QueryTallyResultResponse, Failure> {
    let sums = tally(ctx, request.proposal_id)?;
    Ok(pb::QueryTallyResultResponse { tally: Some(tally_to_proto(&sums)) })
}
