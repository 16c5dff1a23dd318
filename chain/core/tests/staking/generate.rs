//! Random operations, many of them wrong.

use rand::seq::SliceRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::operation::{Op, WHOLE};
use crate::reference::{World, VOTE};

/// Actors are numbered from 1; the first of them run validators.
pub const ACTORS: u8 = 14;
const OPERATORS: u8 = 8;
const KEYS: u8 = 11;

pub struct Generator {
    pub rng: ChaCha8Rng,
}

impl Generator {
    fn operator(&mut self, world: &World) -> u8 {
        let known: Vec<u8> = world.validators.keys().copied().collect();
        match known.choose(&mut self.rng) {
            Some(known) if self.rng.gen_bool(0.95) => *known,
            _ => self.rng.gen_range(1..=OPERATORS + 1),
        }
    }

    fn actor(&mut self) -> u8 {
        self.rng.gen_range(1..=ACTORS)
    }

    /// Around what there is of something.
    fn amount(&mut self, there: u128) -> u128 {
        match self.rng.gen_range(0..20) {
            0 => 0,
            1 => there + 1,
            2 => 1,
            3..=5 => there,
            6 => self.rng.gen(),
            _ => self.rng.gen_range(0..=there),
        }
    }

    fn stake(&mut self) -> u128 {
        match self.rng.gen_range(0..12) {
            0 => VOTE,
            1 => VOTE - 1,
            2 => self.rng.gen_range(0..10),
            3 => 200 * VOTE,
            4..=6 => self.rng.gen_range(1..8) * VOTE,
            _ => self.rng.gen_range(1..8 * VOTE),
        }
    }

    fn held(&mut self, world: &World) -> (u8, u8) {
        let held: Vec<(u8, u8)> = world.shares.keys().copied().collect();
        match held.choose(&mut self.rng) {
            Some(held) if self.rng.gen_bool(0.93) => *held,
            _ => (self.actor(), self.operator(world)),
        }
    }

    fn worth(world: &World, who: u8, of: u8) -> u128 {
        if world.validators.contains_key(&of) {
            world.delegation_worth(who, of)
        } else {
            0
        }
    }

    pub fn operation(&mut self, world: &World) -> Op {
        match self.rng.gen_range(0..100) {
            0..=9 => self.create(),
            10..=14 => self.edit(world),
            15..=39 => {
                let (who, to, amount) = (self.actor(), self.operator(world), self.stake());
                Op::Delegate { who, to, amount }
            }
            40..=45 => self.leave(world),
            46..=57 => {
                let (who, from) = self.held(world);
                let amount = self.amount(Self::worth(world, who, from));
                Op::Undelegate { who, from, amount }
            }
            58..=76 => {
                let (who, from) = self.held(world);
                let (to, there) = (self.operator(world), Self::worth(world, who, from));
                Op::Redelegate { who, from, to, amount: self.amount(there) }
            }
            77..=84 => self.cancel(world),
            85..=96 => Op::Unjail { who: self.operator(world) },
            97..=98 => Op::SetStaking {
                max_validators: (world.max_validators + self.rng.gen_range(0..3)).saturating_sub(1),
                max_entries: world.max_entries,
                unbonding: self.rng.gen_range(30..90),
            },
            _ => Op::SetSlashing { window: self.rng.gen_range(0..16) },
        }
    }

    /// All that somebody has with the validator that has the fewest delegators.
    fn leave(&mut self, world: &World) -> Op {
        let delegators = |of: &u8| world.shares.keys().filter(|(_, to)| to == of).count();
        let fewest = world.validators.keys().min_by_key(|of| delegators(of)).copied();
        let from = fewest.unwrap_or(1);
        let who = world.shares.keys().find(|(_, to)| *to == from).map_or(1, |(who, _)| *who);
        Op::Undelegate { who, from, amount: Self::worth(world, who, from) }
    }

    fn create(&mut self) -> Op {
        let percent = WHOLE / 100;
        let max = self.rng.gen_range(0..=104) * percent;
        let below = |rng: &mut ChaCha8Rng| max * rng.gen_range(0..=102) / 100;
        let (rate, change) = (below(&mut self.rng), below(&mut self.rng));
        Op::Create {
            who: self.rng.gen_range(1..=OPERATORS),
            key: self.rng.gen_range(1..=KEYS),
            amount: self.stake(),
            least: if self.rng.gen_bool(0.7) { 1 } else { self.stake() },
            rate,
            max,
            change,
        }
    }

    fn edit(&mut self, world: &World) -> Op {
        let who = self.operator(world);
        let found = world.validators.get(&who);
        let (rate, change) = found.map_or((0, 0), |found| (found.rate, found.max_change));
        let near = (rate + self.rng.gen_range(0..=change + change / 20)).saturating_sub(change / 2);
        let rate = self.rng.gen_bool(0.6).then_some(near);
        let own = self.amount(Self::worth(world, who, who));
        let least = self.rng.gen_bool(0.4).then_some(own);
        Op::Edit { who, rate, least }
    }

    fn cancel(&mut self, world: &World) -> Op {
        match world.back.choose(&mut self.rng) {
            Some(back) if self.rng.gen_bool(0.95) => {
                let height = back.height + u64::from(self.rng.gen_bool(0.05));
                let amount = self.amount(back.balance);
                Op::Cancel { who: back.who, from: back.from, amount, height }
            }
            _ => Op::Cancel {
                who: self.actor(),
                from: self.operator(world),
                amount: 1,
                height: world.height.saturating_sub(1),
            },
        }
    }
}
