//! One run: random blocks into the machine and the reference alike.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::certificates::roots;
use crate::compare::differences;
use crate::generate::Generator;
use crate::machine::{self, Machine};
use crate::reference::{Op, World};
use crate::scenario::{Cast, Setting, GENESIS, OTHER, STOA, UNTRADED};
use crate::twin::through_document;

pub struct Run {
    setting: Setting,
    cast: Cast,
    pub machine: Machine,
    pub world: World,
    /// Which machine codes answered which of the reference's refusals.
    pub refusals: BTreeMap<(&'static str, String), u64>,
    pub operations: usize,
}

impl Run {
    pub fn new(setting: Setting) -> Self {
        let cast = Cast::new();
        let machine = Machine::new(&machine::genesis(&setting, &cast));
        let world = world_at_genesis(&machine, &cast);
        Self { setting, cast, machine, world, refusals: BTreeMap::new(), operations: 0 }
    }

    pub fn go(&mut self) {
        let cast = Cast::new();
        let rng = ChaCha8Rng::seed_from_u64(self.setting.seed);
        let mut generator = Generator::new(rng, &cast, roots(&cast));
        let first: Vec<Op> = cast.providers[..8]
            .iter()
            .map(|actor| Op::CreateProvider(generator.create_provider_msg(actor.address)))
            .collect();
        let totals = [STOA, OTHER, UNTRADED].map(|denom| self.world.total(denom));
        self.block(&mut generator, 1, first);
        while self.operations < self.setting.operations {
            let seconds = generator.pause();
            self.block(&mut generator, seconds, Vec::new());
            let now = [STOA, OTHER, UNTRADED].map(|denom| self.world.total(denom));
            assert_eq!(now, totals, "the reference conserves money");
        }
    }

    fn block(&mut self, generator: &mut Generator<'_>, seconds: u64, given: Vec<Op>) {
        self.world.height += 1;
        self.world.now += seconds;
        let (height, now) = (self.world.height, self.world.now);
        let mut open = self.machine.open(height, now);
        self.world.begin_block();
        if let Some((provider, jailed)) = generator.jailing(&self.world) {
            open.set_jailed(provider, jailed);
            self.world.set_jailed(provider, jailed);
        }
        let mut told = Vec::new();
        let count = generator.rng.gen_range(0..10);
        for index in 0..count.max(given.len()) {
            let op = given.get(index).cloned().unwrap_or_else(|| generator.operation(&self.world));
            let theirs = self.world.execute(&op, (height, index as u32, 0));
            let ours = open.execute(&op);
            let answers = format!("{theirs:?} {ours:?}");
            let op_text: String = format!("{op:?}").chars().take(500).collect();
            told.push(format!("{answers} {op_text}"));
            if let (Err(rule), Err(failure)) = (&theirs, &ours) {
                let code = format!("{}/{}", failure.codespace, failure.code);
                *self.refusals.entry((rule, code)).or_default() += 1;
            }
            let seed = self.setting.seed;
            if theirs.is_ok() != ours.is_ok() {
                println!("{}", told.join("\n"));
            }
            assert_eq!(
                theirs.is_ok(),
                ours.is_ok(),
                "seed {seed}, height {height}, now {now}, operation {}: the reference says \
                 {theirs:?}, the machine {ours:?} of {op:?}",
                self.operations
            );
            self.operations += 1;
        }
        let changes = open.finish();
        self.machine.commit(height, now, &changes);
        self.world.end_block();
        self.check(&told);
        if height % 97 == 0 {
            through_document(&self.machine.store, &self.machine.block);
        }
    }

    fn check(&self, told: &[String]) {
        let what = || {
            let Self { setting, world, operations, .. } = self;
            let (seed, height, now) = (setting.seed, world.height, world.now);
            format!(
                "seed {seed}, height {height}, now {now} (previous {}), {operations} operations; \
                 the block:\n{}",
                world.last_now,
                told.join("\n")
            )
        };
        let broken = self.machine.broken();
        assert!(broken.is_empty(), "{}\ninvariants: {broken:#?}", what());
        let found = differences(&self.machine, &self.world, &self.cast);
        assert!(found.is_empty(), "{}\ndifferences: {found:#?}", what());
    }
}

/// The reference where the machine begins, under the parameters that the
/// machine's queries tell.
pub fn world_at_genesis(machine: &Machine, cast: &Cast) -> World {
    let mut world = World {
        params: machine.params(),
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
