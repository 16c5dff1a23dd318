//! v1beta1, which CosmJS speaks.

use super::*;
use crate::testing::ask;
use cosmos_sdk_proto::cosmos::gov::v1beta1 as old;

fn text() -> Any {
    any(&old::TextProposal { title: "A text".to_owned(), description: "of old".to_owned() })
}

fn proposes(content: Option<Any>) -> old::MsgSubmitProposal {
    old::MsgSubmitProposal {
        content,
        initial_deposit: vec![coin(DEPOSIT / 2).into()],
        proposer: address(5).to_string(),
    }
}

#[test]
fn a_text_is_proposed_deposited_on_and_voted_on_as_cosmjs_does() {
    let mut ctx = chain();
    let response = send::<LegacySubmitProposal>(&mut ctx, proposes(Some(text()))).unwrap();
    let id = response.proposal_id;
    let deposit = old::MsgDeposit {
        proposal_id: id,
        depositor: address(6).to_string(),
        amount: vec![coin(DEPOSIT / 2).into()],
    };
    send::<LegacyDeposit>(&mut ctx, deposit).unwrap();
    assert_eq!(status(&ctx, id), Status::Voting);
    let yes = old::MsgVote { proposal_id: id, voter: address(11).to_string(), option: 1 };
    send::<LegacyVote>(&mut ctx, yes).unwrap();
    let half = |option| old::WeightedVoteOption { option, weight: (ONE / 2).to_string() };
    let parts = old::MsgVoteWeighted {
        proposal_id: id,
        voter: address(12).to_string(),
        options: vec![half(1), half(3)],
    };
    send::<LegacyVoteWeighted>(&mut ctx, parts).unwrap();
    let ctx = over(ctx);
    assert_eq!(counted(&ctx, id), [400, 0, 100, 0]);
    assert_eq!(status(&ctx, id), Status::Passed);
}

#[test]
fn contents_other_than_texts_are_refused() {
    let mut ctx = chain();
    let other = Any {
        type_url: "/cosmos.params.v1beta1.ParameterChangeProposal".to_owned(),
        value: vec![],
    };
    let untitled = old::TextProposal { title: String::new(), description: "of old".to_owned() };
    let mut padded = text();
    padded.value.extend([0x78, 0x01]);
    let cases = [
        (Some(other), 6),
        (None, 5),
        (Some(any(&untitled)), 5),
        (Some(padded), 5),
        (Some(Any { value: vec![0xff], ..text() }), 5),
    ];
    for (content, code) in cases {
        assert_eq!(refusal::<LegacySubmitProposal>(&mut ctx, proposes(content), "gov"), code);
    }
    let stranger =
        pb::MsgExecLegacyContent { content: Some(text()), authority: address(1).to_string() };
    assert_eq!(refusal::<ExecLegacyContent>(&mut ctx, stranger, "sdk"), 4);
}

#[test]
fn both_versions_show_a_proposal_of_either() {
    let mut ctx = chain();
    send::<LegacySubmitProposal>(&mut ctx, proposes(Some(text()))).unwrap();
    submit(&mut ctx, vec![pays(8, 1)]);
    let all: old::QueryProposalsResponse =
        ask(&ctx, "/cosmos.gov.v1beta1.Query/Proposals", &old::QueryProposalsRequest::default())
            .unwrap();
    let read = |proposal: &old::Proposal| {
        let content = proposal.content.clone().unwrap();
        assert_eq!(content.type_url, "/cosmos.gov.v1beta1.TextProposal");
        old::TextProposal::decode(content.value.as_slice()).unwrap().title
    };
    let titles: Vec<String> = all.proposals.iter().map(read).collect();
    assert_eq!(titles, ["A text", "A proposal"]);
    assert_eq!(all.proposals[0].voting_end_time.unwrap().seconds, -62_135_596_800);
    let one: pb::QueryProposalResponse =
        ask(&ctx, "/cosmos.gov.v1.Query/Proposal", &pb::QueryProposalRequest { proposal_id: 1 })
            .unwrap();
    let one = one.proposal.unwrap();
    assert_eq!((one.title.as_str(), one.summary.as_str()), ("A text", "of old"));
    assert_eq!(one.messages[0].type_url, "/cosmos.gov.v1.MsgExecLegacyContent");
}

#[test]
fn the_three_groups_of_parameters_are_answered_in_bytes_of_integers() {
    let ctx = chain();
    let asked = |kind: &str| -> Result<old::QueryParamsResponse, _> {
        let request = old::QueryParamsRequest { params_type: kind.to_owned() };
        ask(&ctx, "/cosmos.gov.v1beta1.Query/Params", &request)
    };
    let tally = asked("tallying").unwrap().tally_params.unwrap();
    assert_eq!(tally.quorum, b"334000000000000000");
    assert_eq!(tally.threshold, b"500000000000000000");
    let deposit = asked("deposit").unwrap().deposit_params.unwrap();
    assert_eq!(deposit.min_deposit[0].amount, DEPOSIT.to_string());
    let voting = asked("voting").unwrap().voting_params.unwrap();
    assert_eq!(voting.voting_period.unwrap().seconds as u64, PERIOD);
    assert_eq!(asked("").unwrap_err().code, 18);
}

#[test]
fn votes_and_deposits_of_v1_are_shown() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 11, pb::VoteOption::NoWithVeto);
    let vote: old::QueryVoteResponse = ask(
        &ctx,
        "/cosmos.gov.v1beta1.Query/Vote",
        &old::QueryVoteRequest { proposal_id: id, voter: address(11).to_string() },
    )
    .unwrap();
    let vote = vote.vote.unwrap();
    #[allow(deprecated)]
    let option = vote.option;
    assert_eq!((option, vote.options[0].weight.clone()), (4, ONE.to_string()));
    let votes: old::QueryVotesResponse = ask(
        &ctx,
        "/cosmos.gov.v1beta1.Query/Votes",
        &old::QueryVotesRequest { proposal_id: id, pagination: None },
    )
    .unwrap();
    assert_eq!(votes.votes, [vote]);
    let deposit: old::QueryDepositResponse = ask(
        &ctx,
        "/cosmos.gov.v1beta1.Query/Deposit",
        &old::QueryDepositRequest { proposal_id: id, depositor: address(5).to_string() },
    )
    .unwrap();
    let deposits: old::QueryDepositsResponse = ask(
        &ctx,
        "/cosmos.gov.v1beta1.Query/Deposits",
        &old::QueryDepositsRequest { proposal_id: id, pagination: None },
    )
    .unwrap();
    assert_eq!(deposits.deposits, [deposit.deposit.unwrap()]);
    let tally: old::QueryTallyResultResponse = ask(
        &ctx,
        "/cosmos.gov.v1beta1.Query/TallyResult",
        &old::QueryTallyResultRequest { proposal_id: id },
    )
    .unwrap();
    assert_eq!(tally.tally.unwrap().no_with_veto, (300 * STOA).to_string());
    let shown: old::QueryProposalResponse = ask(
        &ctx,
        "/cosmos.gov.v1beta1.Query/Proposal",
        &old::QueryProposalRequest { proposal_id: id },
    )
    .unwrap();
    assert_eq!(shown.proposal.unwrap().status, 2);
}
