//! What a slash takes from whom.

use super::*;
use crate::testing::{assert_export_is_whole, balance, refusal};

const TENTH: Dec = Dec::percent(10);

/// Validator 1 with 10 votes, of which account 7 has delegated 4; 2 with 5.
fn two() -> Ctx<'static> {
    let mut ctx = chain_of(&[6 * VOTE, 5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 1, 4 * VOTE)).unwrap();
    end(&mut ctx);
    later(ctx, 1)
}

#[test]
fn a_slash_burns_a_part_of_what_the_power_was_worth() {
    let mut ctx = two();
    let (before, height) = (supply(&ctx), ctx.height());
    assert_eq!(slash(&mut ctx, &consensus(1), height, 10, TENTH).raw(), VOTE);
    assert_eq!(supply(&ctx), before - VOTE);
    assert_eq!(of(&ctx, 1).tokens.raw(), 9 * VOTE);
    assert_eq!(shares(&ctx, 7, 1), 4 * VOTE, "delegators keep their shares");
    assert_eq!(bonded_tokens(&ctx).raw(), 14 * VOTE);
    assert_eq!(end(&mut ctx), [(1, 9)]);
    assert_export_is_whole(ctx);
}

#[test]
fn it_is_the_power_at_the_infraction_that_counts_and_at_most_all_tokens_go() {
    let mut ctx = two();
    let height = ctx.height();
    assert_eq!(slash(&mut ctx, &consensus(1), height, 20, TENTH).raw(), 2 * VOTE);
    assert_eq!(slash(&mut ctx, &consensus(1), height, 20, Dec::ONE).raw(), 8 * VOTE);
    assert_eq!(slash(&mut ctx, &consensus(1), height, 20, Dec::ONE).raw(), 0);
    assert_eq!(slash(&mut ctx, &consensus(9), height, 20, Dec::ONE).raw(), 0, "unknown");
    end(&mut ctx);
}

#[test]
fn what_left_since_the_infraction_pays_its_part_and_the_validator_the_rest() {
    let mut ctx = two();
    let infraction = ctx.height();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 2 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    assert_eq!(slash(&mut ctx, &consensus(1), infraction, 10, TENTH).raw(), VOTE);
    let entry = unbonding(&ctx, &address(7), &address(1)).unwrap().entries.remove(0);
    assert_eq!((entry.initial.raw(), entry.balance.raw()), (2 * VOTE, 1_800_000));
    assert_eq!(of(&ctx, 1).tokens.raw(), 8 * VOTE - 800_000);
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(balance(&ctx, &address(7)), FUNDS - 4 * VOTE + 1_800_000);
}

#[test]
fn what_left_before_the_infraction_or_is_due_pays_nothing() {
    let mut ctx = two();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 2 * VOTE)).unwrap();
    let left_at = ctx.height();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let balance_of = |ctx: &Ctx<'_>| unbonding(ctx, &address(7), &address(1)).unwrap().balance();
    slash(&mut ctx, &consensus(1), left_at + 1, 8, TENTH);
    assert_eq!(balance_of(&ctx).raw(), 2 * VOTE);
    assert_eq!(of(&ctx, 1).tokens.raw(), 8 * VOTE - 800_000);
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING - 1);
    slash(&mut ctx, &consensus(1), left_at, 8, TENTH);
    assert_eq!(balance_of(&ctx).raw(), 2 * VOTE, "it is due, though not paid yet");
    end(&mut ctx);
}

#[test]
fn an_unbonding_slashed_twice_pays_at_most_what_it_has() {
    let mut ctx = two();
    let infraction = ctx.height();
    send::<Undelegate>(&mut ctx, undelegate(7, 1, 2 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let most = Dec::percent(60);
    slash(&mut ctx, &consensus(1), infraction, 10, most);
    assert_eq!(of(&ctx, 1).tokens.raw(), 8 * VOTE - 4_800_000);
    slash(&mut ctx, &consensus(1), infraction, 10, most);
    let entry = unbonding(&ctx, &address(7), &address(1)).unwrap().entries.remove(0);
    assert_eq!(entry.balance.raw(), 0);
    // What the unbonding owes is not the validator's debt.
    assert_eq!(of(&ctx, 1).tokens.raw(), 0);
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(unbondings(&ctx).count(), 0);
    assert_eq!(balance(&ctx, &address(7)), FUNDS - 4 * VOTE);
}

#[test]
fn redelegated_stake_pays_where_it_is() {
    let mut ctx = two();
    let infraction = ctx.height();
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 1, 2, 2 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let before = supply(&ctx);
    assert_eq!(slash(&mut ctx, &consensus(1), infraction, 10, TENTH).raw(), VOTE);
    assert_eq!(supply(&ctx), before - VOTE);
    assert_eq!(shares(&ctx, 7, 2), 1_800_000, "its delegation is reduced");
    assert_eq!(of(&ctx, 2).tokens.raw(), 6_800_000);
    assert_eq!(of(&ctx, 2).shares.raw(), 6_800_000 * ONE, "and nobody else's there");
    assert_eq!(of(&ctx, 1).tokens.raw(), 8 * VOTE - 800_000);
    assert_eq!(end(&mut ctx), [(1, 7), (2, 6)]);
    assert_export_is_whole(ctx);
}

#[test]
fn stake_that_was_redelegated_and_then_undelegated_does_not_escape() {
    let mut ctx = two();
    let infraction = ctx.height();
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 1, 2, 2 * VOTE)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    send::<Undelegate>(&mut ctx, undelegate(7, 2, 1_900_000)).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    assert_eq!(slash(&mut ctx, &consensus(1), infraction, 10, TENTH).raw(), VOTE);
    let entry = unbonding(&ctx, &address(7), &address(2)).unwrap().entries.remove(0);
    assert_eq!(entry.balance.raw(), 1_700_000, "first what unbonds");
    assert_eq!(shares(&ctx, 7, 2), 100_000);
    let all = Dec::ONE;
    slash(&mut ctx, &consensus(1), infraction, 10, all);
    assert_eq!(unbonding(&ctx, &address(7), &address(2)).unwrap().balance().raw(), 0);
    // Of 2,000,000 owed 1,700,000 were found there; 15 of 100 of the shares go.
    assert_eq!(shares(&ctx, 7, 2), 0);
    end(&mut ctx);
}

#[test]
fn a_slash_of_redelegated_stake_may_jail_an_operator_there() {
    let mut ctx = two();
    let infraction = ctx.height();
    send::<Delegate>(&mut ctx, delegate(2, 1, 4 * VOTE)).unwrap();
    send::<BeginRedelegate>(&mut ctx, redelegate(2, 1, 2, 4 * VOTE)).unwrap();
    let promise = pb::MsgEditValidator {
        description: create(2, 1).description,
        validator_address: valoper(2),
        min_self_delegation: (8 * VOTE).to_string(),
        ..Default::default()
    };
    send::<EditValidator>(&mut ctx, promise).unwrap();
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    slash(&mut ctx, &consensus(1), infraction, 14, Dec::percent(25));
    assert_eq!(of(&ctx, 2).tokens.raw(), 8 * VOTE);
    assert!(!of(&ctx, 2).jailed);
    slash(&mut ctx, &consensus(1), infraction, 14, Dec::percent(25));
    assert!(of(&ctx, 2).jailed);
    assert_eq!(end(&mut ctx), [(1, 5), (2, 0)]);
}

#[test]
fn stake_that_is_free_is_not_slashed() {
    let mut ctx = two();
    jail(&mut ctx, &consensus(1));
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let height = ctx.height();
    assert_eq!(slash(&mut ctx, &consensus(1), height, 10, TENTH).raw(), VOTE, "it unbonds");
    assert_eq!(not_bonded_tokens(&ctx).raw(), 9 * VOTE);
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert_eq!(of(&ctx, 1).status, Status::Unbonded);
    let height = ctx.height();
    assert_eq!(slash(&mut ctx, &consensus(1), height, 10, TENTH).raw(), 0);
}

#[test]
fn of_a_validator_without_tokens_delegators_take_leave_with_nothing_and_it_is_removed_with_the_last(
) {
    let mut ctx = two();
    let height = ctx.height();
    slash(&mut ctx, &consensus(1), height, 10, Dec::ONE);
    jail(&mut ctx, &consensus(1));
    end(&mut ctx);
    let mut ctx = later(ctx, 1);
    let before = balance(&ctx, &address(7));
    // Nobody can buy into it, nor move nothing elsewhere.
    assert_eq!(refusal::<Delegate>(&mut ctx, delegate(8, 1, VOTE), "staking"), 34);
    let moved = redelegate(7, 1, 2, VOTE);
    assert_eq!(refusal::<BeginRedelegate>(&mut ctx, moved, "staking"), 22);
    assert_eq!(refusal::<Undelegate>(&mut ctx, undelegate(8, 1, VOTE), "staking"), 19);
    let answer = send::<Undelegate>(&mut ctx, undelegate(7, 1, 1)).unwrap();
    assert_eq!(answer.amount.unwrap().amount, "0");
    assert_eq!(shares(&ctx, 7, 1), 0, "all of it is gone");
    assert!(unbonding(&ctx, &address(7), &address(1)).is_none(), "nothing is on its way");
    send::<Undelegate>(&mut ctx, undelegate(1, 1, VOTE)).unwrap();
    assert!(of(&ctx, 1).shares.is_zero());
    end(&mut ctx);
    let mut ctx = later(ctx, UNBONDING);
    end(&mut ctx);
    assert!(validator(&ctx, &address(1)).is_none(), "once it is unbonded");
    assert_eq!(balance(&ctx, &address(7)), before);
    assert_export_is_whole(ctx);
}
