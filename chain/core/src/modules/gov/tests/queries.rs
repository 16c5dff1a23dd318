//! cosmos.gov.v1's queries.

use super::*;
use crate::error::Failure;
use crate::testing::ask;

fn asked<Q: prost::Message, R: prost::Message + Default>(
    ctx: &Ctx<'_>,
    method: &str,
    request: &Q,
) -> Result<R, Failure> {
    ask(ctx, &format!("/cosmos.gov.v1.Query/{method}"), request)
}

#[test]
fn proposals_are_listed_by_status_voter_and_depositor() {
    let mut ctx = chain();
    let waiting = send::<SubmitProposal>(&mut ctx, submit_msg(Vec::new(), DEPOSIT / 10)).unwrap();
    let voting = submit(&mut ctx, vec![pays(8, 1)]);
    vote_for(&mut ctx, voting, 1, pb::VoteOption::Yes);
    let list = |status: i32, voter: Option<u8>, depositor: Option<u8>| -> Vec<u64> {
        let text = |number: Option<u8>| number.map(|n| address(n).to_string()).unwrap_or_default();
        let request = pb::QueryProposalsRequest {
            proposal_status: status,
            voter: text(voter),
            depositor: text(depositor),
            pagination: None,
        };
        let response: pb::QueryProposalsResponse = asked(&ctx, "Proposals", &request).unwrap();
        response.proposals.iter().map(|proposal| proposal.id).collect()
    };
    assert_eq!(list(0, None, None), [waiting.proposal_id, voting]);
    assert_eq!(list(1, None, None), [waiting.proposal_id]);
    assert_eq!(list(2, None, None), [voting]);
    assert_eq!(list(0, Some(1), None), [voting]);
    assert_eq!(list(0, Some(2), None), [0u64; 0]);
    assert_eq!(list(0, None, Some(5)), [waiting.proposal_id, voting]);
    assert_eq!(list(3, None, None), [0u64; 0]);
}

#[test]
fn a_proposal_is_shown_whole() {
    let mut ctx = chain();
    let id = submit(&mut ctx, vec![pays(8, 1)]);
    let request = pb::QueryProposalRequest { proposal_id: id };
    let response: pb::QueryProposalResponse = asked(&ctx, "Proposal", &request).unwrap();
    let found = response.proposal.unwrap();
    assert_eq!(found.messages, [pays(8, 1)]);
    assert_eq!(found.total_deposit, [coin(DEPOSIT).into()]);
    assert_eq!((found.status, found.proposer), (2, address(5).to_string()));
    let (from, to) = (found.voting_start_time.unwrap(), found.voting_end_time.unwrap());
    assert_eq!(to.seconds - from.seconds, PERIOD as i64);
    let request = pb::QueryProposalRequest { proposal_id: 99 };
    let missing: Result<pb::QueryProposalResponse, _> = asked(&ctx, "Proposal", &request);
    let missing = missing.unwrap_err();
    assert_eq!((missing.codespace, missing.code), ("gov", 2));
}

#[test]
fn the_tally_so_far_is_told_while_votes_come_in_and_while_they_are_counted() {
    let mut ctx = chain();
    register(&mut ctx, 7, 30);
    let id = submit(&mut ctx, Vec::new());
    for (voter, option) in [(11, pb::VoteOption::Yes), (1, pb::VoteOption::No)] {
        vote_for(&mut ctx, id, voter, option);
    }
    vote_for(&mut ctx, id, 7, pb::VoteOption::Abstain);
    let tally = |ctx: &Ctx<'_>| {
        let request = pb::QueryTallyResultRequest { proposal_id: id };
        let response: pb::QueryTallyResultResponse = asked(ctx, "TallyResult", &request).unwrap();
        let tally = response.tally.unwrap();
        [tally.yes_count, tally.no_count, tally.abstain_count, tally.no_with_veto_count]
    };
    let wanted = [250, 50, 30, 0].map(|stoa: u128| (stoa * STOA).to_string());
    assert_eq!(tally(&ctx), wanted);
    let mut ctx = later(ctx, PERIOD);
    super::super::end_block::end_block_within(&mut ctx, 1);
    assert!(count::count(&ctx).is_some());
    assert_eq!(tally(&ctx), wanted);
    end_block(&mut ctx);
    assert_eq!(status(&ctx, id), Status::Passed);
    assert_eq!(tally(&ctx), wanted);
}

#[test]
fn votes_deposits_parameters_and_constitution_are_answered() {
    let mut document = document(&[(11, 11, 100)]);
    document.gov.constitution = "Be kind.".to_owned();
    let mut ctx = ctx_from(&document);
    let id = submit(&mut ctx, Vec::new());
    let msg = pb::MsgVote { metadata: "why".to_owned(), ..vote_msg(id, 11, pb::VoteOption::Yes) };
    send::<VoteOne>(&mut ctx, msg).unwrap();
    let request = pb::QueryVoteRequest { proposal_id: id, voter: address(11).to_string() };
    let vote: pb::QueryVoteResponse = asked(&ctx, "Vote", &request).unwrap();
    let vote = vote.vote.unwrap();
    assert_eq!(
        (vote.options[0].weight.as_str(), vote.metadata.as_str()),
        ("1.000000000000000000", "why")
    );
    let request = pb::QueryVotesRequest { proposal_id: id, pagination: None };
    let votes: pb::QueryVotesResponse = asked(&ctx, "Votes", &request).unwrap();
    assert_eq!(votes.votes, [vote]);
    let request = pb::QueryVoteRequest { proposal_id: id, voter: address(1).to_string() };
    let missing: Result<pb::QueryVoteResponse, _> = asked(&ctx, "Vote", &request);
    assert_eq!(missing.unwrap_err().code, 38);
    let request = pb::QueryDepositRequest { proposal_id: id, depositor: address(5).to_string() };
    let deposit: pb::QueryDepositResponse = asked(&ctx, "Deposit", &request).unwrap();
    let request = pb::QueryDepositsRequest { proposal_id: id, pagination: None };
    let deposits: pb::QueryDepositsResponse = asked(&ctx, "Deposits", &request).unwrap();
    assert_eq!(deposits.deposits, [deposit.deposit.unwrap()]);
    let request = pb::QueryDepositRequest { proposal_id: id, depositor: address(6).to_string() };
    let missing: Result<pb::QueryDepositResponse, _> = asked(&ctx, "Deposit", &request);
    assert_eq!(missing.unwrap_err().code, 38);
    let constitution: pb::QueryConstitutionResponse =
        asked(&ctx, "Constitution", &pb::QueryConstitutionRequest {}).unwrap();
    assert_eq!(constitution.constitution, "Be kind.");
    let request = pb::QueryParamsRequest { params_type: "tallying".to_owned() };
    let params: pb::QueryParamsResponse = asked(&ctx, "Params", &request).unwrap();
    #[allow(deprecated)]
    let tally = params.tally_params.unwrap();
    assert_eq!(tally.quorum, "0.334000000000000000");
    assert_eq!(params.params.unwrap().min_deposit, [coin(DEPOSIT).into()]);
    assert_export_is_whole(ctx);
}
