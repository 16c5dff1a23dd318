//! Governance's own parameters.

use super::*;

fn wrong(change: impl FnOnce(&mut Params)) -> String {
    let mut params = Params::default();
    change(&mut params);
    let error = params.validate().unwrap_err();
    let mut ctx = chain();
    let msg =
        pb::MsgUpdateParams { authority: authority().to_string(), params: Some(params.into()) };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, msg, "gov"), 101);
    error
}

#[test]
fn parameters_out_of_their_bounds_are_refused_and_say_what_is_right() {
    let coins = |amount: u128| -> Coins { [coin(amount)].into_iter().collect() };
    assert!(wrong(|p| p.min_deposit = Coins::new()).contains("min_deposit"));
    assert!(wrong(|p| p.expedited_min_deposit = coins(DEPOSIT)).contains("expedited_min_deposit"));
    assert!(wrong(|p| p.expedited_min_deposit = coins(1)).contains("expedited_min_deposit"));
    assert!(wrong(|p| p.voting_period = 0).contains("voting_period"));
    assert!(wrong(|p| p.max_deposit_period = 366 * 86_400).contains("max_deposit_period"));
    assert!(wrong(|p| p.expedited_voting_period = PERIOD).contains("shorter"));
    assert!(wrong(|p| p.quorum = Dec::percent(101)).contains("quorum"));
    assert!(wrong(|p| p.threshold = Dec::ZERO).contains("threshold"));
    assert!(wrong(|p| p.veto_threshold = Dec::ZERO).contains("veto_threshold"));
    assert!(wrong(|p| p.expedited_threshold = Dec::percent(50)).contains("expedited_threshold"));
    assert!(wrong(|p| p.proposal_cancel_ratio = Dec::percent(200)).contains("cancel_ratio"));
}

#[test]
fn parameters_read_back_from_protobuf_where_ratios_are_decimals() {
    let params = Params {
        proposal_cancel_dest: Some(address(9)),
        burn_vote_quorum: true,
        ..Params::default()
    };
    let proto = pb::Params::from(params.clone());
    assert_eq!(proto.quorum, "0.334000000000000000");
    assert_eq!(Params::try_from(proto.clone()), Ok(params));
    let fraction = pb::Params {
        voting_period: proto.voting_period.map(|mut period| {
            period.nanos = 1;
            period
        }),
        ..proto.clone()
    };
    assert!(Params::try_from(fraction).unwrap_err().contains("voting_period"));
    let missing = pb::Params { max_deposit_period: None, ..proto };
    assert!(Params::try_from(missing).unwrap_err().contains("max_deposit_period"));
}

#[test]
fn changed_parameters_leave_what_stands_whole() {
    let mut ctx = chain();
    let small = submit_msg(Vec::new(), DEPOSIT / 10);
    let waiting = send::<SubmitProposal>(&mut ctx, small).unwrap().proposal_id;
    let voting = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, voting, 11, pb::VoteOption::Yes);
    let ends_at = proposal(&ctx, voting).unwrap().voting.unwrap().ends_at;
    let changed = Params {
        min_deposit: [coin(DEPOSIT / 10)].into_iter().collect(),
        voting_period: 20,
        expedited_voting_period: 10,
        max_deposit_period: 5,
        ..Params::default()
    };
    let msg =
        pb::MsgUpdateParams { authority: authority().to_string(), params: Some(changed.into()) };
    send::<UpdateParams>(&mut ctx, msg).unwrap();
    let mut ctx = later(ctx, 100);
    end_block(&mut ctx);
    // Ends that were given stay; a deposit that is enough now needs one more.
    assert_eq!(status(&ctx, waiting), Status::Deposit);
    assert_eq!(proposal(&ctx, voting).unwrap().voting.unwrap().ends_at, ends_at);
    let more = pb::MsgDeposit {
        proposal_id: waiting,
        depositor: address(6).to_string(),
        amount: vec![coin(DEPOSIT / 1_000).into()],
    };
    send::<Deposit>(&mut ctx, more).unwrap();
    assert_eq!(status(&ctx, waiting), Status::Voting);
    let mut ctx = later(ctx, 20);
    end_block(&mut ctx);
    assert_eq!(status(&ctx, waiting), Status::Rejected);
    let ctx = over(ctx);
    assert_eq!(status(&ctx, voting), Status::Passed);
}

#[test]
fn a_denom_that_is_no_longer_taken_returns_all_the_same() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    let other = |amount: u128| -> Coins {
        let denom = crate::types::Denom::try_from("uother").unwrap();
        [crate::types::Coin::new(denom, Amount::from_raw(amount))].into_iter().collect()
    };
    let changed =
        Params { min_deposit: other(5), expedited_min_deposit: other(6), ..Params::default() };
    let msg =
        pb::MsgUpdateParams { authority: authority().to_string(), params: Some(changed.into()) };
    send::<UpdateParams>(&mut ctx, msg).unwrap();
    let ctx = over(ctx);
    assert_eq!(status(&ctx, id), Status::Rejected);
    assert_eq!(balance(&ctx, &address(5)), FUNDS);
    later(ctx, 1);
}
