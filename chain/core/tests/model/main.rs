//! The market and its escrow against a naive reference model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::arithmetic_side_effects)]

mod generate;
mod reference;
mod scenario;

use std::collections::BTreeMap;

use generate::Generator;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::World;
use scenario::{Cast, Setting, GENESIS, OTHER, STOA, UNTRADED};

/// A world at genesis.
fn genesis(setting: &Setting, cast: &Cast) -> World {
    let mut world = World {
        params: setting.params(),
        staking_denom: STOA.into(),
        now: GENESIS,
        previous: GENESIS,
        ..World::default()
    };
    for actor in cast.everyone() {
        for denom in [STOA, OTHER, UNTRADED] {
            world.give_units(actor.address, denom, cast.endowment(actor));
        }
    }
    world
}

#[test]
fn the_reference_conserves_money_and_walks_every_path() {
    let cast = Cast::new();
    let setting = Setting {
        seed: 1,
        operations: 10_000,
        max_end_block_work: 20_000,
        max_bids_per_order: 4,
        second_price_fee_cap: 500,
    };
    let mut world = genesis(&setting, &cast);
    let mut generator =
        Generator::new(ChaCha8Rng::seed_from_u64(setting.seed), &cast, BTreeMap::new());
    for actor in &cast.providers[..8] {
        let op = reference::Op::CreateProvider(generator.create_provider_msg(actor.address));
        world.execute(&op, (0, 0, 0)).unwrap();
    }
    let totals = [STOA, OTHER, UNTRADED].map(|denom| world.total(denom));
    let mut operations = 0;
    while operations < setting.operations {
        world.height += 1;
        world.now += generator.pause();
        if let Some((provider, jailed)) = generator.jailing(&world) {
            world.set_jailed(provider, jailed);
        }
        for index in 0..generator.rng.gen_range(0..10) {
            let op = generator.operation(&world);
            let _ = world.execute(&op, (world.height, index, 0));
            operations += 1;
        }
        world.end_block();
        assert_eq!([STOA, OTHER, UNTRADED].map(|denom| world.total(denom)), totals);
    }
    for (rule, times) in &world.hits {
        println!("{times:>6} {rule}");
    }
}
