//! What is refused, each with its code.

use super::*;
use cosmos_sdk_proto::cosmos::gov::v1beta1 as legacy_pb;

fn refused(ctx: &mut Ctx<'_>, msg: pb::MsgSubmitProposal) -> u32 {
    refusal::<SubmitProposal>(ctx, msg, "gov")
}

#[test]
fn texts_are_there_and_bounded() {
    let mut ctx = chain();
    let msg = || submit_msg(Vec::new(), DEPOSIT);
    let long = |bytes: usize| "x".repeat(bytes);
    let cases = [
        (pb::MsgSubmitProposal { title: String::new(), ..msg() }, 21),
        (pb::MsgSubmitProposal { summary: String::new(), ..msg() }, 21),
        (pb::MsgSubmitProposal { metadata: long(256), ..msg() }, 15),
        (pb::MsgSubmitProposal { summary: long(10_201), ..msg() }, 22),
        (pb::MsgSubmitProposal { title: long(256), ..msg() }, 100),
    ];
    for (msg, code) in cases {
        assert_eq!(refused(&mut ctx, msg), code);
    }
    let most = pb::MsgSubmitProposal {
        title: long(255),
        metadata: long(255),
        summary: long(10_200),
        ..msg()
    };
    send::<SubmitProposal>(&mut ctx, most).unwrap();
}

#[test]
fn messages_are_known_governances_own_few_and_small() {
    let mut ctx = chain();
    let of = |messages| submit_msg(messages, DEPOSIT);
    let unknown = Any { type_url: "/cosmos.Nothing".to_owned(), value: Vec::new() };
    assert_eq!(refused(&mut ctx, of(vec![unknown])), 12);
    let mut broken = pays(8, 1);
    broken.value.push(7);
    assert_eq!(refused(&mut ctx, of(vec![pays(8, 1), broken])), 12);
    assert_eq!(refused(&mut ctx, of(vec![pays(8, 1); 17])), 12);
    let large = pb::MsgUpdateParams { authority: "x".repeat(70_000), params: None };
    assert_eq!(refused(&mut ctx, of(vec![any(&large)])), 12);
    let others = any(&vote_msg(1, 8, pb::VoteOption::Yes));
    assert_eq!(refused(&mut ctx, of(vec![pays(8, 1), others])), 13);
    send::<SubmitProposal>(&mut ctx, of(vec![pays(8, 1); 16])).unwrap();
}

#[test]
fn proposals_do_not_nest() {
    let mut ctx = chain();
    let inner = pb::MsgSubmitProposal {
        proposer: authority().to_string(),
        ..submit_msg(Vec::new(), DEPOSIT)
    };
    assert_eq!(refused(&mut ctx, submit_msg(vec![any(&inner)], DEPOSIT)), 12);
    let legacy = legacy_pb::MsgSubmitProposal::default();
    assert_eq!(refused(&mut ctx, submit_msg(vec![any(&legacy)], DEPOSIT)), 12);
    let executes = Any { type_url: "/cosmos.authz.v1beta1.MsgExec".to_owned(), value: Vec::new() };
    assert_eq!(refused(&mut ctx, submit_msg(vec![executes], DEPOSIT)), 12);
}

#[test]
fn deposits_are_large_enough_and_in_the_right_denom() {
    let mut ctx = chain();
    let small = submit_msg(Vec::new(), DEPOSIT / 10 - 1);
    assert_eq!(refused(&mut ctx, small), 16);
    let none = pb::MsgSubmitProposal { initial_deposit: Vec::new(), ..submit_msg(Vec::new(), 0) };
    assert_eq!(refused(&mut ctx, none), 16);
    let mut other = submit_msg(Vec::new(), DEPOSIT);
    other.initial_deposit[0].denom = "uother".to_owned();
    assert_eq!(refused(&mut ctx, other), 23);
    let rich = submit_msg(Vec::new(), FUNDS + 1);
    assert_eq!(refusal::<SubmitProposal>(&mut ctx, rich, "sdk"), 5);
    assert_eq!(next_proposal(&ctx), 1, "what is refused takes no id");

    let id = submit(&mut ctx, Vec::new());
    let deposit = |proposal_id, amount| pb::MsgDeposit {
        proposal_id,
        depositor: address(6).to_string(),
        amount: vec![coin(amount).into()],
    };
    assert_eq!(refusal::<Deposit>(&mut ctx, deposit(id + 1, DEPOSIT), "gov"), 2);
    assert_eq!(refusal::<Deposit>(&mut ctx, deposit(id, DEPOSIT / 100 - 1), "gov"), 16);
    let nothing = pb::MsgDeposit { amount: Vec::new(), ..deposit(id, 1) };
    assert_eq!(refusal::<Deposit>(&mut ctx, nothing, "sdk"), 10);
    send::<Deposit>(&mut ctx, deposit(id, DEPOSIT / 100)).unwrap();
}

fn next_proposal(ctx: &Ctx<'_>) -> u64 {
    super::super::life::next_id(ctx)
}

#[test]
fn an_expedited_proposal_begins_with_a_tenth_of_its_own_deposit() {
    let mut ctx = chain();
    let msg = pb::MsgSubmitProposal { expedited: true, ..submit_msg(Vec::new(), 4_999_999) };
    assert_eq!(refused(&mut ctx, msg), 16);
    let msg = pb::MsgSubmitProposal { expedited: true, ..submit_msg(Vec::new(), 5_000_000) };
    let id = send::<SubmitProposal>(&mut ctx, msg).unwrap().proposal_id;
    assert_eq!(status(&ctx, id), Status::Deposit);
}

fn weighted(id: u64, options: &[(i32, &str)]) -> pb::MsgVoteWeighted {
    let option = |(option, weight): &(i32, &str)| pb::WeightedVoteOption {
        option: *option,
        weight: (*weight).to_owned(),
    };
    pb::MsgVoteWeighted {
        proposal_id: id,
        voter: address(1).to_string(),
        options: options.iter().map(option).collect(),
        metadata: String::new(),
    }
}

#[test]
fn parts_of_a_vote_are_distinct_and_one_together() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    let wrong: [&[(i32, &str)]; 9] = [
        &[],
        &[(0, "1")],
        &[(5, "1")],
        &[(1, "0.5"), (1, "0.5")],
        &[(1, "0.5"), (2, "0.4")],
        &[(1, "0"), (2, "1")],
        &[(1, "1.1")],
        &[(1, "half"), (2, "0.5")],
        &[(1, "1"), (2, "1"), (3, "1"), (4, "1"), (1, "1")],
    ];
    for options in wrong {
        let code = refusal::<VoteWeighted>(&mut ctx, weighted(id, options), "gov");
        assert_eq!(code, 7, "{options:?}");
    }
    let quarter = "0.25";
    let all = [(1, quarter), (2, quarter), (3, quarter), (4, quarter)];
    send::<VoteWeighted>(&mut ctx, weighted(id, &all)).unwrap();
    let legacy = legacy_pb::MsgVote { proposal_id: id, voter: address(1).to_string(), option: 0 };
    assert_eq!(refusal::<LegacyVote>(&mut ctx, legacy, "gov"), 7);
}

#[test]
fn votes_are_on_proposals_that_are_voted_on() {
    let mut ctx = chain();
    let yes = pb::VoteOption::Yes;
    assert_eq!(refusal::<VoteOne>(&mut ctx, vote_msg(1, 1, yes), "gov"), 2);
    let msg = submit_msg(Vec::new(), DEPOSIT / 10);
    let id = send::<SubmitProposal>(&mut ctx, msg).unwrap().proposal_id;
    assert_eq!(refusal::<VoteOne>(&mut ctx, vote_msg(id, 1, yes), "gov"), 3);
    let wordy = pb::MsgVote { metadata: "x".repeat(256), ..vote_msg(id, 1, yes) };
    assert_eq!(refusal::<VoteOne>(&mut ctx, wordy, "gov"), 15);
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 11, yes);
    let mut ctx = over(ctx);
    assert_eq!(refusal::<VoteOne>(&mut ctx, vote_msg(id, 1, yes), "gov"), 3);
}

#[test]
fn nobody_but_governance_sets_its_parameters() {
    let mut ctx = chain();
    let msg = pb::MsgUpdateParams {
        authority: address(1).to_string(),
        params: Some(Params::default().into()),
    };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, msg, "sdk"), 4);
    assert!(check_authority(&authority()).is_ok());
}
