//! Operations on the market that fit what its reference expects. The two drift
//! apart, for fees, grants and slashes are not known to the reference: what
//! then does not fit is refused, and is as good a test.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use stoa_chain::ctx::Block;

use crate::certificates::roots;
use crate::generate::Generator;
use crate::machine::{self, Machine};
use crate::reference::{Op, World};
use crate::scenario::{Cast, Setting, GENESIS, OTHER, STOA, UNTRADED};

pub struct Market {
    world: World,
    generator: Generator<'static>,
}

impl Market {
    pub fn new(setting: Setting) -> Self {
        let cast: &'static Cast = Box::leak(Box::new(Cast::new()));
        let params = Machine::new(&machine::genesis(&setting, cast)).params();
        let mut world = World {
            params,
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
        let rng = ChaCha8Rng::seed_from_u64(setting.seed);
        Self { world, generator: Generator::new(rng, cast, roots(cast)) }
    }

    /// Seconds until the next block.
    pub fn pause(&mut self) -> u64 {
        self.generator.pause()
    }

    pub fn begin_block(&mut self, block: &Block) {
        self.world.height = block.height;
        self.world.now = block.now;
        self.world.begin_block();
    }

    pub fn end_block(&mut self) {
        self.world.end_block();
    }

    /// Six providers.
    pub fn providers(&mut self) -> Vec<Op> {
        let all = &self.generator.cast.providers[..6];
        let addresses: Vec<_> = all.iter().map(|actor| actor.address).collect();
        let create = |address| Op::CreateProvider(self.generator.create_provider_msg(address));
        addresses.into_iter().map(create).collect()
    }

    pub fn operation(&mut self) -> Op {
        self.generator.operation(&self.world)
    }

    /// The reference follows what the chain has done.
    pub fn observe(&mut self, op: &Op, done: bool, index: u32) {
        if done {
            let _ = self.world.execute(op, (self.world.height, index, 0));
        }
    }
}
