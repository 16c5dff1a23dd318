//! Who earns what.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as stake;

use super::*;

fn pending_of(ctx: &Ctx<'_>, delegator: Address, validator: Address) -> u128 {
    pending(ctx, &delegator, &validator).unwrap().of(&ustoa()).raw()
}

#[test]
fn fees_go_by_voting_power_after_the_tax_whether_one_signed_or_not() {
    let mut ctx = stage();
    collect(&mut ctx, 1_000);
    let input = votes(&ctx, &[(V1, 3, true), (V2, 1, false)]);
    begin_block(&mut ctx, &input);
    // 2% of 1000 is the community's, 980 are shared 3 to 1.
    assert_eq!(pool(&ctx), 20 * ONE);
    assert_eq!(outstanding(&ctx, &V1), 735 * ONE);
    assert_eq!(outstanding(&ctx, &V2), 245 * ONE);
    assert_eq!(rewards(&ctx, &V1).commission.of(&ustoa()), Fine::from_raw(735 * ONE / 10));
    assert!(bank::collected_fees(&ctx).is_empty());
    // 661.5 of V1 are its delegators': 1/3 its own, 2/3 D1's.
    assert_just_under(pending_of(&ctx, V1, V1), 661_500_000_000_000_000_000 / 3, 2);
    assert_just_under(pending_of(&ctx, D1, V1), 661_500_000_000_000_000_000 / 3 * 2, 2);
    assert_just_under(pending_of(&ctx, V2, V2), 245 * ONE, 2);
    assert_sound(&ctx);
}

#[test]
fn what_cannot_be_divided_goes_to_the_community() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    collect(&mut ctx, 1);
    let input = votes(&ctx, &[(V1, 1, true), (V2, 2, true)]);
    begin_block(&mut ctx, &input);
    assert_eq!(outstanding(&ctx, &V1), ONE / 3);
    assert_eq!(outstanding(&ctx, &V2), ONE / 3 * 2);
    assert_eq!(pool(&ctx), ONE - ONE / 3 * 3);
    assert_sound(&ctx);
}

#[test]
fn without_votes_all_is_the_communitys_and_so_is_the_part_of_a_validator_that_is_no_more() {
    let mut ctx = stage();
    collect(&mut ctx, 1_000);
    let nobody = ctx.block().clone().into();
    begin_block(&mut ctx, &nobody);
    assert_eq!(pool(&ctx), 1_000 * ONE);
    collect(&mut ctx, 1_000);
    let mut input = votes(&ctx, &[(V1, 1, true)]);
    let gone = crate::types::ConsAddress::new([99; 20]);
    input.votes.push(Vote { validator: gone, power: 1, signed: true });
    begin_block(&mut ctx, &input);
    assert_eq!(pool(&ctx), 1_000 * ONE + 20 * ONE + 490 * ONE);
    assert_sound(&ctx);
}

#[test]
fn whole_units_are_paid_and_the_fraction_is_paid_when_it_makes_a_unit() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    let before = balance(&ctx, &D1);
    // Of 1 unit 0.9 is the delegators', 0.6 D1's.
    for (round, paid) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)] {
        earn(&mut ctx, 1);
        withdraw(&mut ctx, &D1, &V1).unwrap();
        assert_eq!(balance(&ctx, &D1) - before, paid, "after {round}");
        assert_eq!(pending_of(&ctx, D1, V1), 0);
        assert_sound(&ctx);
    }
    let remainder: FineCoins = ctx.get(&keys::remainder(&D1)).unwrap();
    assert_just_under(3 * ONE + remainder.of(&ustoa()).raw(), 6 * ONE / 10 * 6, 6);
}

#[test]
fn a_delegation_earns_from_its_beginning_on_and_keeps_what_it_had_when_it_grows() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    earn(&mut ctx, 1_000);
    change(&mut ctx, D2, 3_000_000);
    assert_eq!(pending_of(&ctx, D2, V1), 0);
    earn(&mut ctx, 1_000);
    // 900 for 6,000,000: half of it D2's, a third D1's.
    assert_just_under(pending_of(&ctx, D2, V1), 450 * ONE, 2);
    assert_just_under(pending_of(&ctx, D1, V1), 600 * ONE + 300 * ONE, 2);
    assert_sound(&ctx);
    change(&mut ctx, D2, 6_000_000);
    assert_eq!(balance(&ctx, &D2), 449);
    earn(&mut ctx, 1_000);
    assert_just_under(pending_of(&ctx, D2, V1), 600 * ONE, 2);
    change(&mut ctx, D2, 0);
    assert_eq!(balance(&ctx, &D2), 1_049);
    assert_eq!(pending(&ctx, &D2, &V1), None);
    assert_sound(&ctx);
}

#[test]
fn a_slash_takes_nothing_of_rewards_and_is_told() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    earn(&mut ctx, 1_000);
    before_validator_slashed(&mut ctx, &V1, Dec::percent(50));
    assert_just_under(pending_of(&ctx, D1, V1), 600 * ONE, 2);
    earn(&mut ctx, 1_000);
    assert_just_under(pending_of(&ctx, D1, V1), 1_200 * ONE, 2);
    let slashes: Vec<_> = all_slashes(&ctx).collect();
    let (height, fraction) = (ctx.height(), Dec::percent(50));
    assert_eq!(slashes, [(V1, height, 1, Slash { fraction })]);
    assert_sound(&ctx);
}

#[test]
fn the_latest_slashes_are_kept() {
    let mut ctx = stage();
    for number in 1..=MAX_SLASHES as u128 + 3 {
        before_validator_slashed(&mut ctx, &V1, Dec::from_raw(number));
    }
    let kept: Vec<_> = all_slashes(&ctx).map(|(.., slash)| slash.fraction.raw()).collect();
    assert_eq!(kept, (4..=MAX_SLASHES as u128 + 3).collect::<Vec<_>>());
    assert_sound(&ctx);
}

#[test]
fn a_validator_that_goes_is_paid_its_commission_and_leaves_the_rest_to_the_community() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    earn(&mut ctx, 1_005);
    let before = (balance(&ctx, &V1), pool(&ctx), outstanding(&ctx, &V1));
    before_validator_slashed(&mut ctx, &V1, Dec::percent(1));
    after_validator_removed(&mut ctx, &V1);
    assert_eq!(balance(&ctx, &V1), before.0 + 100);
    assert_eq!(pool(&ctx), before.1 + before.2 - 100 * ONE);
    assert_eq!(rewards(&ctx, &V1), ValidatorRewards::default());
    assert_eq!(all_slashes(&ctx).count(), 0);
}

#[test]
fn rewards_of_a_validator_without_shares_go_to_the_community() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    let mut record = rewards(&ctx, &V1);
    record.current.add(&ustoa(), Fine::from_raw(5));
    record.outstanding.add(&ustoa(), Fine::from_raw(7));
    let unshared = record.end_period(Dec::ZERO);
    assert_eq!(unshared.of(&ustoa()).raw(), 5);
    assert_eq!(record.outstanding.of(&ustoa()).raw(), 2);
    assert_eq!(record.earned, Ratios::default());
}

#[test]
fn an_export_holds_every_record() {
    let mut ctx = stage();
    earn(&mut ctx, 1_001);
    withdraw(&mut ctx, &D1, &V1).unwrap();
    before_validator_slashed(&mut ctx, &V1, Dec::percent(1));
    earn(&mut ctx, 7);
    ctx.put(keys::withdraw_address(&D1), &D2);
    assert_eq!(all_remainders(&ctx).count(), 1);
    testing::assert_export_is_whole(ctx);
}

/// Sets what `delegator` has with the first validator; the payer gives what it
/// has more.
fn change(ctx: &mut Ctx<'_>, delegator: Address, tokens: u128) {
    let had = staking::delegation(ctx, &delegator, &V1).map_or(0, |found| found.shares.raw());
    let had = had / ONE;
    let (delegator_address, validator_address) =
        (delegator.to_string(), crate::types::ValAddress::from(V1).to_string());
    if tokens > had {
        let more = coin(tokens - had);
        bank::take(ctx, &PAYER, &more).unwrap();
        bank::give(ctx, &delegator, &more);
        let amount = Some(more.into());
        let msg = stake::MsgDelegate { delegator_address, validator_address, amount };
        testing::send::<staking::Delegate>(ctx, msg).unwrap();
    } else if tokens < had {
        let amount = Some(coin(had - tokens).into());
        let msg = stake::MsgUndelegate { delegator_address, validator_address, amount };
        testing::send::<staking::Undelegate>(ctx, msg).unwrap();
    }
}
