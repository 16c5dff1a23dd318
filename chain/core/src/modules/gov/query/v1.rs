//! cosmos.gov.v1: decimals are texts here.

use cosmos_sdk_proto::cosmos::gov::v1 as pb;

use super::{deposited, found, status_number, tally, timestamp, voted, Filter};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov::records::{Proposal, Sums, Vote};
use crate::modules::gov::{constitution, keys, params};
use crate::page;
use crate::query::Router;
use crate::types::{Address, Coins};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.gov.v1.Query/Constitution", query_constitution);
    router.mount("/cosmos.gov.v1.Query/Proposal", query_proposal);
    router.mount("/cosmos.gov.v1.Query/Proposals", query_proposals);
    router.mount("/cosmos.gov.v1.Query/Vote", query_vote);
    router.mount("/cosmos.gov.v1.Query/Votes", query_votes);
    router.mount("/cosmos.gov.v1.Query/Params", query_params);
    router.mount("/cosmos.gov.v1.Query/Deposit", query_deposit);
    router.mount("/cosmos.gov.v1.Query/Deposits", query_deposits);
    router.mount("/cosmos.gov.v1.Query/TallyResult", query_tally);
}

fn tally_to_proto(sums: &Sums) -> pb::TallyResult {
    pb::TallyResult {
        yes_count: sums.yes.whole().to_string(),
        abstain_count: sums.abstain.whole().to_string(),
        no_count: sums.no.whole().to_string(),
        no_with_veto_count: sums.no_with_veto.whole().to_string(),
    }
}

fn to_proto(proposal: Proposal) -> pb::Proposal {
    let voting = proposal.voting;
    pb::Proposal {
        id: proposal.id,
        messages: proposal.messages.iter().map(|message| message.to_any()).collect(),
        status: status_number(proposal.status),
        final_tally_result: Some(tally_to_proto(&proposal.tally)),
        submit_time: timestamp(proposal.submitted_at),
        deposit_end_time: timestamp(proposal.deposit_ends_at),
        total_deposit: proposal.total_deposit.to_proto(),
        voting_start_time: voting.and_then(|voting| timestamp(voting.starts_at)),
        voting_end_time: voting.and_then(|voting| timestamp(voting.ends_at)),
        metadata: proposal.metadata,
        title: proposal.title,
        summary: proposal.summary,
        proposer: proposal.proposer.to_string(),
        expedited: proposal.expedited,
        failed_reason: proposal.failed_reason,
    }
}

fn vote_to_proto(proposal_id: u64, voter: Address, vote: Vote) -> pb::Vote {
    let option = |part: &crate::modules::gov::Part| pb::WeightedVoteOption {
        option: part.choice.number(),
        weight: part.weight.to_string(),
    };
    pb::Vote {
        proposal_id,
        voter: voter.to_string(),
        options: vote.parts.iter().map(option).collect(),
        metadata: vote.metadata,
    }
}

fn deposit_to_proto(proposal_id: u64, depositor: Address, coins: &Coins) -> pb::Deposit {
    pb::Deposit { proposal_id, depositor: depositor.to_string(), amount: coins.to_proto() }
}

fn query_constitution(
    ctx: &Ctx<'_>,
    _: pb::QueryConstitutionRequest,
) -> Result<pb::QueryConstitutionResponse, Failure> {
    Ok(pb::QueryConstitutionResponse { constitution: constitution(ctx) })
}

fn query_proposal(
    ctx: &Ctx<'_>,
    request: pb::QueryProposalRequest,
) -> Result<pb::QueryProposalResponse, Failure> {
    let proposal = found(ctx, request.proposal_id)?;
    Ok(pb::QueryProposalResponse { proposal: Some(to_proto(proposal)) })
}

fn query_proposals(
    ctx: &Ctx<'_>,
    request: pb::QueryProposalsRequest,
) -> Result<pb::QueryProposalsResponse, Failure> {
    let filter = Filter::new(request.proposal_status, &request.voter, &request.depositor)?;
    let (proposals, pagination) =
        page::collect(ctx, &keys::proposals(), request.pagination, |key, value| {
            let proposal: Proposal = crate::state::decode(key, value);
            filter.shows(ctx, &proposal).then(|| to_proto(proposal))
        })?;
    Ok(pb::QueryProposalsResponse { proposals, pagination: Some(pagination) })
}

fn query_vote(
    ctx: &Ctx<'_>,
    request: pb::QueryVoteRequest,
) -> Result<pb::QueryVoteResponse, Failure> {
    let id = request.proposal_id;
    let (voter, vote) = voted(ctx, id, &request.voter)?;
    Ok(pb::QueryVoteResponse { vote: Some(vote_to_proto(id, voter, vote)) })
}

fn query_votes(
    ctx: &Ctx<'_>,
    request: pb::QueryVotesRequest,
) -> Result<pb::QueryVotesResponse, Failure> {
    let prefix = keys::votes_on(request.proposal_id);
    let (votes, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        let (id, voter) = keys::parts(key)?;
        Some(vote_to_proto(id, voter, crate::state::decode(key, value)))
    })?;
    Ok(pb::QueryVotesResponse { votes, pagination: Some(pagination) })
}

/// All parameters; the three groups of before only where they are asked for.
#[allow(deprecated, reason = "older software asks for them")]
fn query_params(
    ctx: &Ctx<'_>,
    request: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    let params: pb::Params = params(ctx).into();
    let wanted = |kind: &str| request.params_type == kind;
    let voting = pb::VotingParams { voting_period: params.voting_period };
    let deposit = pb::DepositParams {
        min_deposit: params.min_deposit.clone(),
        max_deposit_period: params.max_deposit_period,
    };
    let tally = pb::TallyParams {
        quorum: params.quorum.clone(),
        threshold: params.threshold.clone(),
        veto_threshold: params.veto_threshold.clone(),
    };
    Ok(pb::QueryParamsResponse {
        voting_params: wanted("voting").then_some(voting),
        deposit_params: wanted("deposit").then_some(deposit),
        tally_params: wanted("tallying").then_some(tally),
        params: Some(params),
    })
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
