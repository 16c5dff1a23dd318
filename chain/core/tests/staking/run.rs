//! One run: random blocks into the machine and the reference alike.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stoa_chain::app;
use stoa_chain::input::{BlockInput, Misbehavior, Vote};

use crate::compare::differences;
use crate::engine::Engine;
use crate::generate::{Generator, ACTORS};
use crate::machine::{block_at, Machine};
use crate::operation::{consensus, key, Op, WHOLE};
use crate::reference::{Record, State, Val, World, VOTE};

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub seed: u64,
    pub blocks: u64,
    pub max_validators: u32,
    pub max_entries: u32,
}

/// What some run has to come to, or the test shows less than it says.
pub const TO_REACH: &[&str] = &[
    "downtime",
    "double sign",
    "slashed unbonding",
    "slashed redelegation",
    "unjailed",
    "removed validator",
    "last set stays",
    "validator leaves",
    "validator returns",
    "paid unbonding",
    "cancelled",
    "redelegated from an unbonding validator",
    "staking/3",
    "staking/4",
    "staking/5",
    "staking/10",
    "staking/11",
    "staking/12",
    "staking/14",
    "staking/16",
    "staking/17",
    "staking/19",
    "staking/24",
    "staking/27",
    "staking/29",
    "staking/31",
    "staking/32",
    "staking/33",
    "slashing/2",
    "slashing/4",
    "slashing/5",
    "slashing/6",
    "slashing/7",
    "sdk/5",
    "sdk/18",
    "sdk/38",
];

pub struct Run {
    setting: Setting,
    machine: Machine,
    world: World,
    engine: Engine,
    generator: Generator,
    /// Keys whose node is off.
    down: BTreeSet<u8>,
    /// Times of blocks.
    times: BTreeMap<u64, u64>,
    total: u128,
    pub reached: BTreeMap<String, u64>,
}

fn number(found: &[u8; 32]) -> u8 {
    (1..=250).find(|number| key(*number) == *found).unwrap()
}

fn world(setting: &Setting) -> World {
    let mut world = World {
        now: 1_800_000_000,
        max_validators: setting.max_validators,
        max_entries: setting.max_entries,
        unbonding: 60,
        window: 6,
        ..World::default()
    };
    world.balances = (1..=ACTORS).map(|who| (who, 100 * VOTE)).collect();
    for operator in 1..=setting.max_validators.min(3) as u8 {
        let tokens = u128::from(operator) * 3 * VOTE;
        let percent = WHOLE / 100;
        let validator = Val {
            key: operator,
            state: State::Bonded,
            jailed: false,
            tokens,
            rate: 5 * percent,
            max_rate: 20 * percent,
            max_change: 2 * percent,
            rate_at: 0,
            least: 1,
        };
        world.validators.insert(operator, validator);
        world.shares.insert((operator, operator), tokens * WHOLE);
        let exact = num_bigint::BigUint::from(tokens) * num_bigint::BigUint::from(10u8).pow(30);
        world.exact.insert((operator, operator), exact);
        world.powers.insert(operator, (tokens / VOTE) as u64);
        world.records.insert(operator, Record::default());
    }
    world
}

impl Run {
    pub fn new(setting: Setting) -> Self {
        let world = world(&setting);
        let machine = Machine::new(&world);
        let first = world.powers.iter().map(|(o, power)| (key(world.validators[o].key), *power));
        Self {
            setting,
            engine: Engine::new(first.collect()),
            generator: Generator { rng: ChaCha8Rng::seed_from_u64(setting.seed) },
            down: BTreeSet::new(),
            times: BTreeMap::new(),
            total: world.total(),
            reached: BTreeMap::new(),
            machine,
            world,
        }
    }

    pub fn go(&mut self) {
        for _ in 0..self.setting.blocks {
            self.block();
        }
        self.machine.check_export();
    }

    fn reach(&mut self, what: &str) {
        *self.reached.entry(what.to_owned()).or_default() += 1;
    }

    fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.generator.rng
    }

    fn block(&mut self) {
        self.world.height += 1;
        // Now and then a day passes, so that commissions can change.
        let day = self.rng().gen_bool(0.01);
        self.world.now += if day { 86_400 } else { self.rng().gen_range(1..6) };
        let (height, now) = (self.world.height, self.world.now);
        self.times.insert(height, now);
        let input = self.input();
        let store = self.machine.store.clone();
        let machine = Machine { store, block: self.machine.block.clone() };
        let mut open = machine.open(&input);
        self.begin_block(&input);
        let mut told = vec![format!("{input:?}")];
        for _ in 0..self.rng().gen_range(0..6) {
            let op = self.generator.operation(&self.world);
            let ours = open.execute(&op);
            let theirs = self.perform(&op);
            told.push(format!("{theirs:?} {op:?}"));
            let ours = ours.map_err(|failure| format!("{}/{}", failure.codespace, failure.code));
            assert_eq!(ours, theirs, "{}", self.story(&told));
        }
        let (changes, updates) = open.finish();
        self.machine.commit(block_at(height, now), &changes);
        let before = self.world.clone();
        let theirs = self.world.end_block();
        self.note_end(&before, &theirs);
        let ours: BTreeMap<u8, u64> =
            updates.iter().map(|update| (number(&update.consensus_key), update.power)).collect();
        let key_of = |operator: &u8| before.validators[operator].key;
        let theirs = theirs.iter().map(|(operator, power)| (key_of(operator), *power)).collect();
        assert_eq!(ours, theirs, "updates; {}", self.story(&told));
        self.engine.update(height, &updates);
        self.check(&told);
    }

    /// Both do it alike; what the reference says of it.
    fn perform(&mut self, op: &Op) -> Result<(), String> {
        let state = match op {
            Op::Redelegate { from, .. } => self.world.validators.get(from).map(|v| v.state),
            _ => None,
        };
        let count = self.world.validators.len();
        let result = self.world.execute(op);
        match (&result, op) {
            (Err(code), _) => self.reach(code),
            (Ok(()), Op::Unjail { .. }) => self.reach("unjailed"),
            (Ok(()), Op::Cancel { .. }) => self.reach("cancelled"),
            (Ok(()), _) if matches!(state, Some(State::Unbonding { .. })) => {
                self.reach("redelegated from an unbonding validator");
            }
            (Ok(()), _) => {}
        }
        if self.world.validators.len() < count {
            self.reach("removed validator");
        }
        result.map_err(str::to_owned)
    }

    /// What consensus says: votes on the block before, and now and then that
    /// somebody signed two blocks of a height.
    fn input(&mut self) -> BlockInput {
        let (height, now) = (self.world.height, self.world.now);
        for number in 1..=11 {
            let chance = if self.down.contains(&number) { 0.2 } else { 0.03 };
            if self.rng().gen_bool(chance) && !self.down.remove(&number) {
                self.down.insert(number);
            }
        }
        let mut input = BlockInput::from(block_at(height, now));
        if height > 1 {
            let set = self.engine.set(height - 1).clone();
            input.votes = set
                .iter()
                .map(|(found, power)| {
                    let number = number(found);
                    let signed = !self.down.contains(&number);
                    Vote { validator: consensus(number), power: *power, signed }
                })
                .collect();
        }
        if height > 3 && self.rng().gen_bool(0.02) {
            input.misbehavior.push(self.misbehavior());
        }
        input
    }

    fn misbehavior(&mut self) -> Misbehavior {
        let oldest = self.world.height.min(30);
        let height = self.world.height - self.rng().gen_range(1..oldest);
        let set: Vec<([u8; 32], u64)> =
            self.engine.set(height).iter().map(|(found, power)| (*found, *power)).collect();
        let which = self.rng().gen_range(0..set.len());
        let (found, power) = set[which];
        let validator = consensus(number(&found));
        Misbehavior { validator, power, height, time: self.times[&height] }
    }

    fn begin_block(&mut self, input: &BlockInput) {
        let numbers: BTreeMap<_, u8> = (1..=11).map(|n| (consensus(n), n)).collect();
        for vote in &input.votes {
            let jailed = self.jailed();
            self.watched(|world| world.vote(numbers[&vote.validator], vote.power, vote.signed));
            if self.jailed() > jailed {
                self.reach("downtime");
            }
        }
        for shown in &input.misbehavior {
            let key = numbers[&shown.validator];
            let before = self.world.records.get(&key).is_some_and(|record| record.tombstoned);
            self.watched(|world| world.shown(key, shown.power, shown.height, shown.time));
            let after = self.world.records.get(&key).is_some_and(|record| record.tombstoned);
            if after && !before {
                self.reach("double sign");
            }
        }
    }

    fn jailed(&self) -> usize {
        self.world.validators.values().filter(|validator| validator.jailed).count()
    }

    /// Does it, and notes what was slashed by it.
    fn watched(&mut self, work: impl FnOnce(&mut World)) {
        let before = self.world.clone();
        work(&mut self.world);
        let after = &self.world;
        let unbonding = before.back.iter().zip(&after.back).any(|(b, a)| a.balance < b.balance);
        let moved = before.moved.iter().any(|moved| {
            let whose = (moved.who, moved.to);
            after.delegation(whose.0, whose.1) < before.delegation(whose.0, whose.1)
        });
        if unbonding {
            self.reach("slashed unbonding");
        }
        if moved {
            self.reach("slashed redelegation");
        }
    }

    fn note_end(&mut self, before: &World, updates: &BTreeMap<u8, u64>) {
        let able = |v: &Val| !v.jailed && v.tokens >= VOTE;
        if !before.validators.values().any(able) {
            self.reach("last set stays");
        }
        if updates.values().any(|power| *power == 0) {
            self.reach("validator leaves");
        }
        let unbonding = |o: &u8| matches!(before.validators[o].state, State::Unbonding { .. });
        if updates.iter().any(|(operator, power)| *power > 0 && unbonding(operator)) {
            self.reach("validator returns");
        }
        if self.world.validators.len() < before.validators.len() {
            self.reach("removed validator");
        }
        if self.world.back.len() < before.back.len() {
            self.reach("paid unbonding");
        }
    }

    fn story(&self, told: &[String]) -> String {
        let World { height, now, .. } = self.world;
        format!("{:?}, height {height}, now {now}; the block:\n{}", self.setting, told.join("\n"))
    }

    fn check(&mut self, told: &[String]) {
        assert_eq!(self.world.total(), self.total, "the reference conserves money");
        let broken = app::check_invariants(&self.machine.store, self.machine.block.clone());
        assert!(broken.is_empty(), "{}\ninvariants: {broken:#?}", self.story(told));
        let found = differences(&self.machine, &self.world);
        assert!(found.is_empty(), "{}\ndifferences: {found:#?}", self.story(told));
        if self.world.height.is_multiple_of(37) {
            self.machine.check_export();
        }
    }
}
