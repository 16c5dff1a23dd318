//! Who votes, and what the engine is told.

use super::*;
use crate::testing::{assert_export_is_whole, refusal};

#[test]
fn the_strongest_vote_and_equals_by_operator() {
    let mut ctx = chain_of(&[2 * VOTE, 3 * VOTE, 2 * VOTE]);
    send::<CreateValidator>(&mut ctx, create(4, 2 * VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [], "of equals the first in order stays");
    let mut ctx = later(ctx, 1);
    send::<Delegate>(&mut ctx, delegate(7, 4, VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(4, 3), (3, 0)]);
    assert_eq!(
        of(&ctx, 3).status,
        Status::Unbonding { height: ctx.height(), completes_at: ctx.now() + UNBONDING }
    );
    let set: Vec<u64> = validator_set(&ctx).iter().map(|update| update.power).collect();
    assert_eq!(set, [3, 3, 2]);
    let mut ctx = later(ctx, 10);
    send::<Delegate>(&mut ctx, delegate(7, 3, 5 * VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 7), (1, 0)], "it may come back while it unbonds");
    assert!(of(&ctx, 3).is_bonded());
    assert_export_is_whole(ctx);
}

#[test]
fn a_validator_with_less_than_a_vote_does_not_vote() {
    let mut ctx = chain_of(&[2 * VOTE, VOTE]);
    send::<CreateValidator>(&mut ctx, create(3, VOTE - 1)).unwrap();
    assert_eq!(end(&mut ctx), []);
    send::<Undelegate>(&mut ctx, undelegate(2, 2, 1)).unwrap();
    assert_eq!(end(&mut ctx), [(2, 0)]);
    send::<Delegate>(&mut ctx, delegate(3, 3, 1)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 1)]);
}

#[test]
fn a_jailed_validator_is_out_until_it_is_unjailed() {
    let mut ctx = chain_of(&[2 * VOTE, VOTE]);
    jail(&mut ctx, &consensus(1));
    jail(&mut ctx, &consensus(1));
    assert_eq!(end(&mut ctx), [(1, 0)]);
    send::<Delegate>(&mut ctx, delegate(7, 1, VOTE)).unwrap();
    assert_eq!(end(&mut ctx), []);
    unjail(&mut ctx, &consensus(1));
    assert_eq!(end(&mut ctx), [(1, 3)]);
}

#[test]
fn a_validator_that_comes_back_at_once_is_no_change() {
    let mut ctx = chain_of(&[2 * VOTE, VOTE]);
    jail(&mut ctx, &consensus(1));
    unjail(&mut ctx, &consensus(1));
    assert_eq!(end(&mut ctx), []);
    assert!(of(&ctx, 1).is_bonded());
}

#[test]
fn the_last_set_stays_where_nobody_else_may_vote() {
    let mut ctx = chain_of(&[3 * VOTE, 2 * VOTE]);
    jail(&mut ctx, &consensus(1));
    jail(&mut ctx, &consensus(2));
    assert_eq!(end(&mut ctx), [], "the engine refuses an empty set");
    assert!(of(&ctx, 1).is_bonded() && of(&ctx, 2).is_bonded());
    let mut ctx = later(ctx, 1);
    // Even where their stake goes: the powers of which the engine knows stay.
    send::<Undelegate>(&mut ctx, undelegate(2, 2, 2 * VOTE)).unwrap();
    assert_eq!(end(&mut ctx), []);
    assert_eq!(validator_set(&ctx).iter().map(|u| u.power).collect::<Vec<_>>(), [3, 2]);
    let mut ctx = later(ctx, UNBONDING);
    assert_eq!(end(&mut ctx), []);
    assert_eq!(of(&ctx, 2).shares, Dec::ZERO);
    let mut ctx = later(ctx, 1);
    send::<CreateValidator>(&mut ctx, create(3, VOTE)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 1), (1, 0), (2, 0)]);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(validator(&ctx, &address(2)), None);
    assert_export_is_whole(ctx);
}

#[test]
fn a_smaller_maximum_sends_the_weakest_away_and_a_larger_one_calls_them_back() {
    let ctx = chain_of(&[3 * VOTE, 2 * VOTE, VOTE]);
    let mut ctx = later(ctx, 1);
    let update = |max: u32, authority: Address| pb::MsgUpdateParams {
        authority: authority.to_string(),
        params: Some(pb::Params { max_validators: max, ..Params::default().into() }),
    };
    let gov = crate::modules::gov::authority();
    assert_eq!(refusal::<UpdateParams>(&mut ctx, update(2, address(1)), "sdk"), 4);
    assert_eq!(refusal::<UpdateParams>(&mut ctx, update(0, gov), "sdk"), 18);
    send::<UpdateParams>(&mut ctx, update(2, gov)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 0)]);
    let mut ctx = later(ctx, 1);
    send::<UpdateParams>(&mut ctx, update(3, gov)).unwrap();
    assert_eq!(end(&mut ctx), [(3, 1)]);
}

#[test]
fn parameters_that_the_chain_cannot_have_are_refused() {
    let gov = crate::modules::gov::authority().to_string();
    let good = pb::Params::from(Params::default());
    type Spoil = fn(&mut pb::Params);
    let cases: [Spoil; 7] = [
        |p| p.bond_denom = "uother".to_owned(),
        |p| p.historical_entries = 1,
        |p| p.max_entries = 0,
        |p| p.max_validators = MAX_VALIDATORS + 1,
        |p| p.unbonding_time = None,
        |p| p.unbonding_time.as_mut().unwrap().nanos = 1,
        |p| p.min_commission_rate = wire("1.1"),
    ];
    let mut ctx = chain();
    for (index, spoil) in cases.into_iter().enumerate() {
        let mut params = good.clone();
        spoil(&mut params);
        let msg = pb::MsgUpdateParams { authority: gov.clone(), params: Some(params) };
        assert_eq!(refusal::<UpdateParams>(&mut ctx, msg, "sdk"), 18, "case {index}");
    }
    let msg = pb::MsgUpdateParams { authority: gov, params: Some(good) };
    send::<UpdateParams>(&mut ctx, msg).unwrap();
    assert_eq!(params(&ctx), Params::default());
}

#[test]
fn a_block_without_staking_work_reads_the_marker_and_the_queue_alone() {
    let ctx = chain_of(&[3 * VOTE, 2 * VOTE, VOTE]);
    let mut ctx = later(ctx, 1);
    let before = ctx.meter().used();
    assert_eq!(super::super::end_block(&mut ctx), []);
    assert_eq!(ctx.meter().used() - before, crate::gas::READ);
}
