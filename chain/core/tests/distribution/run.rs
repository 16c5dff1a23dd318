//! Random blocks on the chain and on the naive computation side by side.

use std::collections::BTreeSet;

use num_bigint::BigUint;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::modules::{bank, distribution, escrow, staking};
use stoa_chain::types::{Address, ONE};

use crate::chain::{assert_sound, coin, denom, genesis, Chain, DENOMS};
use crate::coverage::Coverage;
use crate::generate::{account, Generator, ACCOUNTS, OPERATORS};
use crate::naive::{period, Naive};

pub fn run(seed: u64, blocks: u32, coverage: &mut Coverage) {
    let mut generator = Generator { rng: ChaCha8Rng::seed_from_u64(seed) };
    let accounts: Vec<Address> = (0..ACCOUNTS).map(account).collect();
    let mut document = genesis(&accounts);
    document.staking.params.unbonding_time = 400;
    document.staking.params.max_validators = 3;
    let mut chain = Chain::new(&document);
    let mut naive = Naive::default();
    let mut operators = BTreeSet::new();
    for number in 0..blocks {
        let rng = &mut generator.rng;
        let seconds = if rng.gen_bool(0.1) { 90_000 } else { rng.gen_range(1..80) };
        let input = chain.next(seconds, || rng.gen_bool(0.9));
        coverage.absent_voters += input.votes.iter().filter(|vote| !vote.signed).count() as u32;
        let before = chain.ctx();
        let mut ctx = chain.open(&input);
        let events = ctx.take_events();
        let mut fees = bank::collected_fees(&before);
        if let Some(mint) = events.iter().find(|event| event.kind == "mint") {
            let minted = mint.attributes.iter().find(|(name, _)| name == "amount").unwrap();
            fees.checked_add(&coin("ustoa", minted.1.parse().unwrap())).unwrap();
        }
        let tax = distribution::params(&before).community_tax;
        naive.allocate(&before, &fees, tax, &input.votes);
        naive.observe(&ctx, &events);
        if number == 0 {
            (0..OPERATORS - 2).for_each(|operator| {
                generator.create_validator(&mut ctx, operator);
            });
            naive.observe(&ctx, &[]);
        }
        for _ in 0..generator.rng.gen_range(0..12) {
            generator.operate(&mut ctx, &mut naive, coverage);
            let events = ctx.take_events();
            naive.observe(&ctx, &events);
        }
        let (events, set) = Chain::end(&mut ctx);
        naive.observe(&ctx, &events);
        compare(&ctx, &naive, coverage);
        assert_sound(&ctx);
        let now: BTreeSet<Address> =
            staking::validators(&ctx).map(|found| found.operator).collect();
        coverage.removed_validators += operators.difference(&now).count() as u32;
        operators = now;
        let changes = ctx.into_changes();
        drop(before);
        chain.commit(input.block, &changes, set);
    }
    chain.assert_export_is_whole();
}

fn compare(ctx: &Ctx<'_>, naive: &Naive, coverage: &mut Coverage) {
    for ((delegator, validator), since) in &naive.since {
        let pending = distribution::pending(ctx, delegator, validator).unwrap();
        let periods = u128::from(period(ctx, validator) - since) + 2;
        for name in DENOMS {
            let found = pending.of(&denom(name)).raw();
            let key = (*delegator, *validator, name.to_owned());
            let exact = naive.earned.get(&key).cloned().unwrap_or_default();
            assert!(
                exact.is_found(found, periods),
                "{delegator} has earned {found}{name} with {validator}, not {exact:?}"
            );
            coverage.comparisons += 1;
        }
    }
    for number in 0..ACCOUNTS {
        let remainder = distribution::remainder(ctx, &account(number));
        for name in DENOMS {
            naive.assert_paid(&account(number), name, remainder.of(&denom(name)).raw());
        }
    }
    compare_commissions(ctx, naive);
    DENOMS.iter().for_each(|name| compare_sums(ctx, naive, name));
}

fn compare_commissions(ctx: &Ctx<'_>, naive: &Naive) {
    for validator in staking::validators(ctx) {
        let rewards = distribution::rewards(ctx, &validator.operator);
        for name in DENOMS {
            let key = (validator.operator, name.to_owned());
            let wanted = naive.commission.get(&key).cloned().unwrap_or_default();
            assert_eq!(BigUint::from(rewards.commission.of(&denom(name)).raw()), wanted);
        }
    }
}

/// What came in is there or was paid, to the last 10^-18 unit.
fn compare_sums(ctx: &Ctx<'_>, naive: &Naive, name: &str) {
    let of = |coins: &distribution::FineCoins| coins.of(&denom(name)).raw();
    let outstanding: u128 = staking::validators(ctx)
        .map(|validator| of(&distribution::rewards(ctx, &validator.operator).outstanding))
        .sum();
    let remainders: u128 =
        (0..ACCOUNTS).map(|number| of(&distribution::remainder(ctx, &account(number)))).sum();
    let pool: u128 = escrow::pool(ctx)
        .filter(|(found, _)| *found == denom(name))
        .map(|(_, money)| money.raw())
        .sum();
    let came_in = naive.came_in.get(name).copied().unwrap_or_default();
    let went_out = naive.went_out.get(name).copied().unwrap_or_default();
    assert_eq!(outstanding + remainders + pool + went_out * ONE, came_in * ONE);
    // Validators that are gone leave fractions of their commission.
    let certain = naive.pool.get(name).cloned().unwrap_or_default();
    let unshared = naive.unshared.get(name).cloned().unwrap_or_default();
    let pool = BigUint::from(pool);
    assert!(certain <= pool && pool <= certain + unshared + BigUint::from(ONE) * 50u8);
}
