//! The rules again, as plainly as they can be written: lists that are gone
//! through from end to end, and sums taken anew each time.

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigUint;

use crate::operation::{Op, Part, DOUBLE_SIGN, DOWNTIME, JAIL, WHOLE};

pub const VOTE: u128 = 1_000_000;
const DAY: u64 = 86_400;
const FOREVER: u64 = 253_402_300_799;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Unbonded,
    Unbonding { height: u64, until: u64 },
    Bonded,
}

#[derive(Clone, Debug)]
pub struct Val {
    pub key: u8,
    pub state: State,
    pub jailed: bool,
    pub tokens: u128,
    pub rate: Part,
    pub max_rate: Part,
    pub max_change: Part,
    pub rate_at: u64,
    pub least: u128,
}

/// Tokens on their way back to `who`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    pub who: u8,
    pub from: u8,
    pub height: u64,
    pub until: u64,
    pub initial: u128,
    pub balance: u128,
}

/// Tokens that moved and answer for `from` still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub who: u8,
    pub from: u8,
    pub to: u8,
    pub height: u64,
    pub until: u64,
    pub initial: u128,
    pub shares: u128,
}

/// A key's record with slashing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub start: u64,
    pub jailed_until: u64,
    pub tombstoned: bool,
    pub window: u64,
    /// Heights of blocks whose commit lacked its vote.
    pub missed: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub height: u64,
    pub now: u64,
    pub balances: BTreeMap<u8, u128>,
    pub validators: BTreeMap<u8, Val>,
    /// Shares in 10^-18 by delegator and operator.
    pub shares: BTreeMap<(u8, u8), u128>,
    /// In the order in which they began.
    pub back: Vec<Back>,
    pub moved: Vec<Moved>,
    pub powers: BTreeMap<u8, u64>,
    pub records: BTreeMap<u8, Record>,
    pub burned: u128,
    pub max_validators: u32,
    pub max_entries: u32,
    pub unbonding: u64,
    pub window: u64,
    /// What each delegation would be worth without rounding: units in 10^-30.
    pub exact: BTreeMap<(u8, u8), BigUint>,
    /// How often something was rounded.
    pub roundings: u128,
}

fn fine() -> BigUint {
    BigUint::from(10u8).pow(30)
}

/// ⌊a · b / c⌋, at most the largest number, and whether something is left.
fn mul_div(a: u128, b: u128, c: u128) -> (u128, bool) {
    let product = BigUint::from(a) * BigUint::from(b);
    let (quotient, rest) = (&product / BigUint::from(c), &product % BigUint::from(c));
    (quotient.try_into().unwrap_or(u128::MAX), rest != BigUint::ZERO)
}

fn part_of(part: Part, amount: u128) -> u128 {
    mul_div(part, amount, WHOLE).0
}

impl World {
    fn all_shares(&self, of: u8) -> u128 {
        self.shares.iter().filter(|((_, to), _)| *to == of).map(|(_, shares)| shares).sum()
    }

    /// What so many shares are worth, in whole units.
    fn worth(&self, of: u8, shares: u128) -> u128 {
        let all = self.all_shares(of);
        if all == 0 {
            return 0;
        }
        mul_div(shares, self.validators[&of].tokens, all).0
    }

    pub fn delegation(&self, who: u8, to: u8) -> u128 {
        self.shares.get(&(who, to)).copied().unwrap_or_default()
    }

    pub fn delegation_worth(&self, who: u8, to: u8) -> u128 {
        self.worth(to, self.delegation(who, to))
    }

    /// The shares that so much buys; none where there is no price.
    fn price(&self, to: u8, amount: u128) -> Option<u128> {
        let (all, tokens) = (self.all_shares(to), self.validators.get(&to)?.tokens);
        if all == 0 {
            return Some(amount.saturating_mul(WHOLE));
        }
        if tokens == 0 {
            return None;
        }
        let shares = mul_div(all, amount, tokens).0;
        all.checked_add(shares).map(|_| shares).filter(|shares| *shares > 0)
    }

    fn delegate(&mut self, who: u8, to: u8, amount: u128) -> u128 {
        let shares = self.price(to, amount).unwrap();
        self.validators.get_mut(&to).unwrap().tokens += amount;
        *self.shares.entry((who, to)).or_default() += shares;
        *self.exact.entry((who, to)).or_default() += BigUint::from(amount) * fine();
        self.roundings += 1;
        shares
    }

    fn unbond(&mut self, who: u8, from: u8, shares: u128) -> u128 {
        let had = self.delegation(who, from);
        let shares = shares.min(had);
        let amount = self.worth(from, shares);
        let keeps = self.worth(from, had - shares);
        let validator = self.validators.get_mut(&from).unwrap();
        if who == from && keeps < validator.least {
            validator.jailed = true;
        }
        validator.tokens -= amount;
        self.roundings += 1;
        if had == shares {
            self.shares.remove(&(who, from));
            self.exact.remove(&(who, from));
        } else {
            self.shares.insert((who, from), had - shares);
            let exact = self.exact.get_mut(&(who, from)).unwrap();
            let gone = BigUint::from(amount) * fine();
            *exact = if *exact > gone { &*exact - gone } else { BigUint::ZERO };
        }
        self.remove_if_over(from);
        amount
    }

    fn remove_if_over(&mut self, of: u8) {
        if self.validators[&of].state != State::Unbonded || self.all_shares(of) > 0 {
            return;
        }
        let validator = self.validators.remove(&of).unwrap();
        let keep = self.records.get_mut(&validator.key).filter(|record| record.tombstoned);
        match keep {
            Some(record) => record.missed.clear(),
            None => drop(self.records.remove(&validator.key)),
        }
    }

    /// The shares that leave with so much.
    fn shares_for(&self, who: u8, from: u8, amount: u128) -> Result<u128, &'static str> {
        let owned = *self.shares.get(&(who, from)).ok_or("staking/19")?;
        let tokens = self.validators[&from].tokens;
        if tokens == 0 {
            return Err("staking/22");
        }
        let (floor, rest) = mul_div(self.all_shares(from), amount, tokens);
        if floor > owned {
            return Err("staking/24");
        }
        Ok(floor.saturating_add(u128::from(rest)).min(owned))
    }

    fn pay(&mut self, who: u8, amount: u128) -> Result<(), &'static str> {
        let balance = self.balances.entry(who).or_default();
        *balance = balance.checked_sub(amount).ok_or("sdk/5")?;
        Ok(())
    }

    /// Does it, or says which rule it breaks.
    pub fn execute(&mut self, op: &Op) -> Result<(), &'static str> {
        let before = self.clone();
        let result = self.perform(op);
        if result.is_err() {
            *self = before;
        }
        result
    }

    fn perform(&mut self, op: &Op) -> Result<(), &'static str> {
        match *op {
            Op::Create { .. } => self.create(op),
            Op::Edit { who, rate, least } => self.edit(who, rate, least),
            Op::Delegate { who, to, amount } => {
                some(amount)?;
                self.validators.get(&to).ok_or("staking/3")?;
                self.price(to, amount).ok_or("staking/34")?;
                self.pay(who, amount)?;
                self.delegate(who, to, amount);
                Ok(())
            }
            Op::Undelegate { who, from, amount } => self.undelegate(who, from, amount),
            Op::Redelegate { who, from, to, amount } => self.redelegate(who, from, to, amount),
            Op::Cancel { who, from, amount, height } => self.cancel(who, from, amount, height),
            Op::Unjail { who } => self.unjail(who),
            Op::SetStaking { max_validators, max_entries, unbonding } => {
                if max_validators == 0 || max_entries == 0 || unbonding == 0 {
                    return Err("sdk/18");
                }
                (self.max_validators, self.max_entries) = (max_validators, max_entries);
                self.unbonding = unbonding;
                Ok(())
            }
            Op::SetSlashing { window } => {
                if window == 0 {
                    return Err("sdk/18");
                }
                self.window = window;
                Ok(())
            }
        }
    }

    fn create(&mut self, op: &Op) -> Result<(), &'static str> {
        let Op::Create { who, key, amount, least, rate, max, change } = *op else { unreachable!() };
        if max > WHOLE {
            return Err("staking/10");
        }
        if rate > max {
            return Err("staking/11");
        }
        if change > max {
            return Err("staking/14");
        }
        some(least)?;
        some(amount)?;
        if amount < least {
            return Err("staking/16");
        }
        if self.validators.contains_key(&who) {
            return Err("staking/4");
        }
        let used = self.validators.values().any(|validator| validator.key == key);
        if used || self.records.get(&key).is_some_and(|record| record.tombstoned) {
            return Err("staking/5");
        }
        self.pay(who, amount)?;
        let validator = Val {
            key,
            state: State::Unbonded,
            jailed: false,
            tokens: 0,
            rate,
            max_rate: max,
            max_change: change,
            rate_at: self.now,
            least,
        };
        self.validators.insert(who, validator);
        self.delegate(who, who, amount);
        Ok(())
    }

    fn edit(
        &mut self,
        who: u8,
        rate: Option<Part>,
        least: Option<u128>,
    ) -> Result<(), &'static str> {
        if rate.is_some_and(|rate| rate > WHOLE) {
            return Err("staking/10");
        }
        let own =
            if self.validators.contains_key(&who) { self.delegation_worth(who, who) } else { 0 };
        let now = self.now;
        let validator = self.validators.get_mut(&who).ok_or("staking/3")?;
        if let Some(rate) = rate {
            if now < validator.rate_at + DAY {
                return Err("staking/12");
            }
            if rate > validator.max_rate {
                return Err("staking/11");
            }
            if rate.abs_diff(validator.rate) > validator.max_change {
                return Err("staking/15");
            }
            (validator.rate, validator.rate_at) = (rate, now);
        }
        if let Some(least) = least {
            if least <= validator.least {
                return Err("staking/17");
            }
            if least > own {
                return Err("staking/16");
            }
            validator.least = least;
        }
        Ok(())
    }

    fn undelegate(&mut self, who: u8, from: u8, amount: u128) -> Result<(), &'static str> {
        some(amount)?;
        self.validators.get(&from).ok_or("staking/3")?;
        let shares = match self.shares_for(who, from, amount) {
            // Nothing is left: all goes, and nothing comes back.
            Err("staking/22") => self.delegation(who, from),
            shares => shares?,
        };
        let under_way = self.back.iter().filter(|back| (back.who, back.from) == (who, from));
        if under_way.count() >= self.max_entries as usize {
            return Err("staking/27");
        }
        let amount = self.unbond(who, from, shares);
        if amount == 0 {
            return Ok(());
        }
        let (height, until) = (self.height, self.now + self.unbonding);
        let same = |back: &&mut Back| {
            (back.who, back.from, back.height, back.until) == (who, from, height, until)
        };
        match self.back.iter_mut().find(same) {
            Some(back) => {
                back.initial += amount;
                back.balance += amount;
            }
            None => {
                let back = Back { who, from, height, until, initial: amount, balance: amount };
                self.back.push(back);
            }
        }
        Ok(())
    }

    fn redelegate(&mut self, who: u8, from: u8, to: u8, amount: u128) -> Result<(), &'static str> {
        if from == to {
            return Err("staking/29");
        }
        some(amount)?;
        let state = self.validators.get(&from).ok_or("staking/3")?.state;
        let shares = self.shares_for(who, from, amount)?;
        if !self.validators.contains_key(&to) {
            return Err("staking/31");
        }
        if self.moved.iter().any(|moved| (moved.who, moved.to) == (who, from)) {
            return Err("staking/32");
        }
        let same = |moved: &&Moved| (moved.who, moved.from, moved.to) == (who, from, to);
        if self.moved.iter().filter(same).count() >= self.max_entries as usize {
            return Err("staking/33");
        }
        let amount = self.unbond(who, from, shares);
        if amount == 0 {
            return Err("staking/30");
        }
        self.price(to, amount).ok_or("staking/34")?;
        let shares = self.delegate(who, to, amount);
        let answers = match state {
            State::Bonded => Some((self.height, self.now + self.unbonding)),
            State::Unbonding { height, until } if until > self.now => Some((height, until)),
            _ => None,
        };
        if let Some((height, until)) = answers {
            self.moved.push(Moved { who, from, to, height, until, initial: amount, shares });
        }
        Ok(())
    }

    fn cancel(&mut self, who: u8, from: u8, amount: u128, height: u64) -> Result<(), &'static str> {
        some(amount)?;
        some(height.into())?;
        if self.validators.get(&from).ok_or("staking/3")?.jailed {
            return Err("staking/7");
        }
        let now = self.now;
        let wanted = |back: &Back| {
            (back.who, back.from, back.height) == (who, from, height) && back.until > now
        };
        let place = self.back.iter().position(wanted).ok_or("sdk/38")?;
        let back = &mut self.back[place];
        if amount > back.balance {
            return Err("sdk/18");
        }
        back.balance -= amount;
        back.initial -= amount;
        if back.balance == 0 {
            self.back.remove(place);
        }
        self.price(from, amount).ok_or("staking/34")?;
        self.delegate(who, from, amount);
        Ok(())
    }

    fn unjail(&mut self, who: u8) -> Result<(), &'static str> {
        let validator = self.validators.get(&who).ok_or("slashing/2")?.clone();
        if self.delegation(who, who) == 0 {
            return Err("slashing/6");
        }
        if self.delegation_worth(who, who) < validator.least {
            return Err("slashing/7");
        }
        if !validator.jailed {
            return Err("slashing/5");
        }
        if let Some(record) = self.records.get_mut(&validator.key) {
            if record.tombstoned || self.now < record.jailed_until {
                return Err("slashing/4");
            }
            record.start = self.height;
            record.missed.clear();
        }
        self.validators.get_mut(&who).unwrap().jailed = false;
        Ok(())
    }
}

fn some(amount: u128) -> Result<(), &'static str> {
    if amount == 0 {
        return Err("sdk/18");
    }
    Ok(())
}

/// Punishment, and the end of a block.
impl World {
    fn operator(&self, key: u8) -> Option<u8> {
        let found = self.validators.iter().find(|(_, validator)| validator.key == key);
        found.map(|(operator, _)| *operator)
    }

    /// A vote on the block before, or its lack.
    pub fn vote(&mut self, key: u8, power: u64, signed: bool) {
        let (height, window) = (self.height, self.window);
        let Some(operator) = self.operator(key) else { return };
        let Some(record) = self.records.get_mut(&key) else { return };
        if self.validators[&operator].jailed || signed && record.missed.is_empty() {
            return;
        }
        if record.window != window {
            if !record.missed.is_empty() {
                record.missed.clear();
                record.start = height;
            }
            record.window = window;
        }
        record.missed.retain(|missed| missed + window > height);
        if !signed {
            record.missed.insert(height);
        }
        // Half of the window, rounded down, may be missed.
        if height > record.start + window && record.missed.len() as u64 > window / 2 {
            record.missed.clear();
            record.start = height;
            record.jailed_until = self.now + JAIL;
            self.slash(operator, height.saturating_sub(2), power, DOWNTIME);
            self.validators.get_mut(&operator).unwrap().jailed = true;
        }
    }

    /// Two signatures of one height.
    pub fn shown(&mut self, key: u8, power: u64, height: u64, time: u64) {
        let Some(operator) = self.operator(key) else { return };
        let free = self.validators[&operator].state == State::Unbonded;
        let record = self.records.entry(key).or_default();
        if self.now - time > self.unbonding || free || record.tombstoned {
            return;
        }
        record.missed.clear();
        record.start = self.height;
        record.jailed_until = FOREVER;
        record.tombstoned = true;
        self.slash(operator, height.saturating_sub(1), power, DOUBLE_SIGN);
        self.validators.get_mut(&operator).unwrap().jailed = true;
    }

    fn slash(&mut self, operator: u8, since: u64, power: u64, part: Part) {
        let mut left = part_of(part, u128::from(power) * VOTE);
        if since < self.height {
            let now = self.now;
            for back in self.back.iter_mut() {
                if back.from == operator && back.height >= since && back.until > now {
                    let due = part_of(part, back.initial);
                    let burned = due.min(back.balance);
                    back.balance -= burned;
                    self.burned += burned;
                    left = left.saturating_sub(due);
                }
            }
            let mut moved = self.moved.clone();
            moved.retain(|moved| moved.from == operator);
            moved.sort_by_key(|moved| (moved.who, moved.to));
            for moved in moved {
                if moved.height >= since && moved.until > now {
                    left = left.saturating_sub(self.slash_moved(&moved, since, part));
                }
            }
        }
        let burned = left.min(self.validators[&operator].tokens);
        self.burn_tokens(operator, burned);
    }

    /// First what unbonds where it went, then the delegation there.
    fn slash_moved(&mut self, moved: &Moved, since: u64, part: Part) -> u128 {
        let due = part_of(part, moved.initial);
        let mut left = due;
        for back in self.back.iter_mut() {
            let there = (back.who, back.from) == (moved.who, moved.to);
            if there && back.height >= since && back.until > self.now {
                let burned = left.min(back.balance);
                back.balance -= burned;
                self.burned += burned;
                left -= burned;
            }
        }
        if due > 0 {
            let shares = mul_div(part_of(part, moved.shares), left, due).0;
            if shares > 0 && self.shares.contains_key(&(moved.who, moved.to)) {
                self.burned += self.unbond(moved.who, moved.to, shares);
            }
        }
        due
    }

    fn burn_tokens(&mut self, operator: u8, amount: u128) {
        let tokens = self.validators[&operator].tokens;
        if amount == 0 {
            return;
        }
        self.validators.get_mut(&operator).unwrap().tokens = tokens - amount;
        self.burned += amount;
        self.roundings += 1;
        for ((_, to), exact) in self.exact.iter_mut() {
            if *to == operator {
                *exact = &*exact * BigUint::from(tokens - amount) / BigUint::from(tokens);
            }
        }
    }

    /// Who votes from now on, by operator; then what is due.
    pub fn end_block(&mut self) -> BTreeMap<u8, u64> {
        let mut able: Vec<(u64, u8)> = self
            .validators
            .iter()
            .filter(|(_, validator)| !validator.jailed && validator.tokens >= VOTE)
            .map(|(operator, validator)| ((validator.tokens / VOTE) as u64, *operator))
            .collect();
        able.sort_by_key(|(power, operator)| (u64::MAX - power, *operator));
        able.truncate(self.max_validators as usize);
        let mut updates = BTreeMap::new();
        if !able.is_empty() {
            updates = self.change_set(able.into_iter().map(|(p, o)| (o, p)).collect());
        }
        self.complete();
        updates
    }

    fn change_set(&mut self, set: BTreeMap<u8, u64>) -> BTreeMap<u8, u64> {
        let mut updates = BTreeMap::new();
        for (operator, power) in &set {
            if self.powers.get(operator) != Some(power) {
                updates.insert(*operator, *power);
            }
            let validator = self.validators.get_mut(operator).unwrap();
            if validator.state != State::Bonded {
                validator.state = State::Bonded;
                let record = self.records.entry(validator.key).or_default();
                record.start = self.height;
                record.missed.clear();
            }
        }
        for operator in self.powers.keys().filter(|operator| !set.contains_key(operator)) {
            updates.insert(*operator, 0);
            let until = self.now + self.unbonding;
            let state = State::Unbonding { height: self.height, until };
            self.validators.get_mut(operator).unwrap().state = state;
        }
        self.powers = set;
        updates
    }

    fn complete(&mut self) {
        let now = self.now;
        let free: Vec<u8> = self
            .validators
            .iter()
            .filter(|(_, validator)| {
                matches!(validator.state, State::Unbonding { until, .. } if until <= now)
            })
            .map(|(operator, _)| *operator)
            .collect();
        for operator in free {
            self.validators.get_mut(&operator).unwrap().state = State::Unbonded;
            self.remove_if_over(operator);
        }
        for back in self.back.iter().filter(|back| back.until <= now) {
            *self.balances.entry(back.who).or_default() += back.balance;
        }
        self.back.retain(|back| back.until > now);
        self.moved.retain(|moved| moved.until > now);
    }

    /// All there is.
    pub fn total(&self) -> u128 {
        let staked: u128 = self.validators.values().map(|validator| validator.tokens).sum();
        let back: u128 = self.back.iter().map(|back| back.balance).sum();
        self.balances.values().sum::<u128>() + staked + back + self.burned
    }
}
