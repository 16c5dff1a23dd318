//! Rewards as one would compute them by hand: at each allocation through all
//! delegators, each in proportion to what it has then.
//!
//! What validators and the community get is whole numbers of 10^-18 units, by
//! the rules. What a delegator gets is exact to 2^-400 of that, which no number
//! of blocks here brings near to 1.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use stoa_chain::ctx::Ctx;
use stoa_chain::event::Event;
use stoa_chain::input::Vote;
use stoa_chain::modules::staking;
use stoa_chain::types::{Address, Coins, ConsAddress, Dec, ValAddress, ONE};

use crate::chain::coin;

/// Bits after the point.
const BITS: u64 = 400;

/// An exact number of 10^-18 units.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(BigUint);

impl Exact {
    fn share(money: &BigUint, part: u128, whole: u128) -> Self {
        Self((money << BITS) * part / whole)
    }

    /// Whether `found` 10^-18 units are at most this, and less by `lost` at
    /// most.
    pub fn is_found(&self, found: u128, lost: u128) -> bool {
        let found = BigUint::from(found) << BITS;
        // The exact sums are cut off too, far behind the point.
        let cut = BigUint::from(1u8) << (BITS / 2);
        found <= &self.0 + cut && self.0 <= found + (BigUint::from(lost) << BITS)
    }
}

/// A validator as it is when rewards are allocated.
struct Snapshot {
    operator: Address,
    rate: Dec,
    shares: u128,
    delegations: Vec<(Address, u128)>,
}

type Key = (Address, Address, String);

#[derive(Default)]
pub struct Naive {
    /// By delegator, validator and denom: earned and not settled yet.
    pub earned: BTreeMap<Key, Exact>,
    /// By delegator and denom: earned and settled, ever.
    settled: BTreeMap<(Address, String), Exact>,
    /// By delegator and denom: units that were paid, ever.
    paid: BTreeMap<(Address, String), u128>,
    /// By delegator: periods over which its settled rewards were earned.
    periods: BTreeMap<Address, u128>,
    /// By delegator and validator: the period that ran when it began.
    pub since: BTreeMap<(Address, Address), u64>,
    /// By validator and denom: 10^-18 units, ever.
    pub commission: BTreeMap<(Address, String), BigUint>,
    /// By denom: 10^-18 units that the community gets in any case.
    pub pool: BTreeMap<String, BigUint>,
    /// By denom: those of validators without shares.
    pub unshared: BTreeMap<String, BigUint>,
    /// By denom: units that came in and went out in all.
    pub came_in: BTreeMap<String, u128>,
    pub went_out: BTreeMap<String, u128>,
}

impl Naive {
    /// Allocates fees among the voters, as they stand in `ctx`.
    pub fn allocate(&mut self, ctx: &Ctx<'_>, fees: &Coins, tax: Dec, votes: &[Vote]) {
        let total: u128 = votes.iter().map(|vote| u128::from(vote.power)).sum();
        let voters: Vec<_> =
            votes.iter().map(|vote| (snapshot(ctx, &vote.validator), vote.power)).collect();
        for fee in fees.iter() {
            let name = fee.denom.to_string();
            *self.came_in.entry(name.clone()).or_default() += fee.amount.raw();
            let fee = BigUint::from(fee.amount.raw()) * ONE;
            let shared = &fee - &fee * tax.raw() / ONE;
            let mut left = fee;
            for (voter, power) in &voters {
                let Some(voter) = voter else { continue };
                let reward = &shared * *power / total;
                left -= &reward;
                self.earn(voter, &name, reward);
            }
            *self.pool.entry(name).or_default() += left;
        }
    }

    /// Coins that an account gives to a validator.
    pub fn deposit(&mut self, ctx: &Ctx<'_>, validator: &ConsAddress, coins: &Coins) {
        let validator = snapshot(ctx, validator).unwrap();
        for given in coins.iter() {
            let name = given.denom.to_string();
            *self.came_in.entry(name.clone()).or_default() += given.amount.raw();
            self.earn(&validator, &name, BigUint::from(given.amount.raw()) * ONE);
        }
    }

    fn earn(&mut self, validator: &Snapshot, name: &str, reward: BigUint) {
        let commission = &reward * validator.rate.raw() / ONE;
        let shared = reward - &commission;
        *self.commission.entry((validator.operator, name.to_owned())).or_default() += commission;
        if validator.shares == 0 {
            *self.unshared.entry(name.to_owned()).or_default() += shared;
            return;
        }
        for (delegator, shares) in &validator.delegations {
            let key = (*delegator, validator.operator, name.to_owned());
            let share = Exact::share(&shared, *shares, validator.shares);
            self.earned.entry(key).or_default().0 += share.0;
        }
    }

    /// Takes note of what the chain says it paid.
    pub fn observe(&mut self, ctx: &Ctx<'_>, events: &[Event]) {
        for event in events {
            let attribute = |name: &str| {
                let found = event.attributes.iter().find(|(found, _)| found == name);
                found.map(|(_, value)| value.as_str()).unwrap()
            };
            match event.kind.as_str() {
                "withdraw_rewards" => {
                    let delegator = attribute("delegator").parse().unwrap();
                    let validator: ValAddress = attribute("validator").parse().unwrap();
                    self.settle(ctx, delegator, validator.account(), attribute("amount"));
                }
                "withdraw_commission" => self.pay_out(&coins(attribute("amount"))),
                _ => {}
            }
        }
        let delegations: Vec<_> = staking::delegations(ctx).collect();
        let known = |key: &(Address, Address)| {
            delegations.iter().any(|found| (found.delegator, found.validator) == *key)
        };
        self.since.retain(|key, _| known(key));
        for found in &delegations {
            let period = period(ctx, &found.validator);
            self.since.entry((found.delegator, found.validator)).or_insert(period);
        }
        let gone = |operator: &Address| staking::validator(ctx, operator).is_none();
        self.commission.retain(|(operator, _), _| !gone(operator));
    }

    fn settle(&mut self, ctx: &Ctx<'_>, delegator: Address, validator: Address, amount: &str) {
        let now = period(ctx, &validator);
        // A validator that is gone has no periods any more: it is bounded by
        // those of all its life, of which none here has so many.
        let since = self.since.insert((delegator, validator), now).unwrap();
        let periods = if now >= since { now - since } else { 10_000 };
        *self.periods.entry(delegator).or_default() += u128::from(periods) + 1;
        let keys: Vec<Key> = self.earned.keys().cloned().collect();
        for key in keys.into_iter().filter(|key| (key.0, key.1) == (delegator, validator)) {
            let earned = self.earned.remove(&key).unwrap();
            self.settled.entry((delegator, key.2)).or_default().0 += earned.0;
        }
        let paid = coins(amount);
        for coin in paid.iter() {
            *self.paid.entry((delegator, coin.denom.to_string())).or_default() += coin.amount.raw();
        }
        self.pay_out(&paid);
    }

    fn pay_out(&mut self, paid: &Coins) {
        for coin in paid.iter() {
            *self.went_out.entry(coin.denom.to_string()).or_default() += coin.amount.raw();
        }
    }

    /// Takes from the commission that the model knows what was paid of it.
    pub fn withdraw_commission(&mut self, operator: Address) {
        for ((whose, _), commission) in &mut self.commission {
            if *whose == operator {
                *commission = &*commission % ONE;
            }
        }
    }

    /// Asserts that all that was settled of a delegator was paid, but for its
    /// remainder and what ratios round off.
    pub fn assert_paid(&self, delegator: &Address, name: &str, remainder: u128) {
        let key = (*delegator, name.to_owned());
        let nothing = Exact::default();
        let settled = self.settled.get(&key).unwrap_or(&nothing);
        let found = self.paid.get(&key).copied().unwrap_or_default() * ONE + remainder;
        let lost = self.periods.get(delegator).copied().unwrap_or_default();
        assert!(settled.is_found(found, lost), "{delegator}: {found}{name} of {settled:?}");
    }
}

/// The period of a validator that runs.
pub fn period(ctx: &Ctx<'_>, validator: &Address) -> u64 {
    stoa_chain::modules::distribution::rewards(ctx, validator).period
}

fn snapshot(ctx: &Ctx<'_>, consensus: &ConsAddress) -> Option<Snapshot> {
    let validator = staking::validator_by_consensus(ctx, consensus)?;
    let of_it = staking::delegations(ctx).filter(|found| found.validator == validator.operator);
    let delegations: Vec<_> = of_it.map(|found| (found.delegator, found.shares.raw())).collect();
    assert_eq!(delegations.iter().map(|(_, shares)| shares).sum::<u128>(), validator.shares.raw());
    Some(Snapshot {
        operator: validator.operator,
        rate: validator.commission.rate,
        shares: validator.shares.raw(),
        delegations,
    })
}

/// Coins as events have them: `5uaaa,7ustoa`.
pub fn coins(text: &str) -> Coins {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parsed = parts.map(|part| {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap();
        coin(&part[digits..], part[..digits].parse().unwrap())
    });
    parsed.collect()
}

impl Naive {
    /// Coins that an account gives to the community.
    pub fn fund(&mut self, coins: &Coins) {
        for given in coins.iter() {
            let name = given.denom.to_string();
            *self.came_in.entry(name.clone()).or_default() += given.amount.raw();
            *self.pool.entry(name).or_default() += BigUint::from(given.amount.raw()) * ONE;
        }
    }
}
