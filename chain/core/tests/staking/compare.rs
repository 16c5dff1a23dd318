//! Where machine and reference differ.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use stoa_chain::modules::{auth, bank, slashing, staking};
use stoa_chain::types::{Address, Denom};

use crate::machine::Machine;
use crate::operation::{address, consensus, key};
use crate::reference::{State, World};

fn number(address: &Address) -> u8 {
    address.as_bytes()[0]
}

/// In words; empty: nowhere.
pub fn differences(machine: &Machine, world: &World) -> Vec<String> {
    let mut found = Vec::new();
    validators(machine, world, &mut found);
    delegations(machine, world, &mut found);
    waiting(machine, world, &mut found);
    records(machine, world, &mut found);
    money(machine, world, &mut found);
    exact(world, &mut found);
    found
}

fn compare<T: PartialEq + std::fmt::Debug>(
    what: &str,
    ours: T,
    theirs: T,
    found: &mut Vec<String>,
) {
    if ours != theirs {
        found.push(format!("{what}: the machine has {ours:?}, the reference {theirs:?}"));
    }
}

fn validators(machine: &Machine, world: &World, found: &mut Vec<String>) {
    let ctx = machine.ctx();
    let ours: BTreeMap<u8, _> = staking::validators(&ctx)
        .map(|v| {
            let state = match v.status {
                staking::Status::Unbonded => State::Unbonded,
                staking::Status::Bonded => State::Bonded,
                staking::Status::Unbonding { height, completes_at } => {
                    State::Unbonding { height, until: completes_at }
                }
            };
            let rate = (v.commission.rate.raw(), v.commission.updated_at);
            let least = v.min_self_delegation.raw();
            let value = (v.consensus_key, state, v.jailed, v.tokens.raw(), rate, least);
            (number(&v.operator), value)
        })
        .collect();
    let theirs = world.validators.iter().map(|(operator, v)| {
        let value = (key(v.key), v.state, v.jailed, v.tokens, (v.rate, v.rate_at), v.least);
        (*operator, value)
    });
    compare("validators", ours, theirs.collect(), found);
    let set: BTreeMap<[u8; 32], u64> = staking::validator_set(&ctx)
        .into_iter()
        .map(|update| (update.consensus_key, update.power))
        .collect();
    let powers = world.powers.iter().map(|(o, power)| (key(world.validators[o].key), *power));
    compare("who votes", set, powers.collect(), found);
}

fn delegations(machine: &Machine, world: &World, found: &mut Vec<String>) {
    let ctx = machine.ctx();
    let ours: BTreeMap<(u8, u8), u128> = staking::delegations(&ctx)
        .map(|d| ((number(&d.delegator), number(&d.validator)), d.shares.raw()))
        .collect();
    compare("delegations", &ours, &world.shares, found);
}

fn waiting(machine: &Machine, world: &World, found: &mut Vec<String>) {
    let ctx = machine.ctx();
    let ours: Vec<_> = staking::unbondings(&ctx)
        .flat_map(|u| {
            let whose = (number(&u.delegator), number(&u.validator));
            let values = u.entries.into_iter();
            values.map(move |e| (whose, e.height, e.completes_at, e.initial.raw(), e.balance.raw()))
        })
        .collect();
    let mut theirs: Vec<_> = world
        .back
        .iter()
        .map(|b| ((b.who, b.from), b.height, b.until, b.initial, b.balance))
        .collect();
    theirs.sort_by_key(|(whose, ..)| *whose);
    compare("unbondings", ours, theirs, found);
    let ours: Vec<_> = staking::redelegations(&ctx)
        .flat_map(|r| {
            let whose = (number(&r.delegator), number(&r.from), number(&r.to));
            let values = r.entries.into_iter();
            values.map(move |e| (whose, e.height, e.completes_at, e.initial.raw(), e.shares.raw()))
        })
        .collect();
    let mut theirs: Vec<_> = world
        .moved
        .iter()
        .map(|m| ((m.who, m.from, m.to), m.height, m.until, m.initial, m.shares))
        .collect();
    theirs.sort_by_key(|(whose, ..)| *whose);
    compare("redelegations", ours, theirs, found);
}

fn records(machine: &Machine, world: &World, found: &mut Vec<String>) {
    let ctx = machine.ctx();
    let ours: BTreeMap<_, _> = slashing::signing_infos(&ctx)
        .map(|(whose, i)| (whose, (i.start_height, i.jailed_until, i.tombstoned, i.missed)))
        .collect();
    let theirs = world.records.iter().map(|(number, r)| {
        let missed = r.missed.len() as u64;
        (consensus(*number), (r.start, r.jailed_until, r.tombstoned, missed))
    });
    compare("records of votes", ours, theirs.collect(), found);
}

fn money(machine: &Machine, world: &World, found: &mut Vec<String>) {
    let ctx = machine.ctx();
    for (who, balance) in &world.balances {
        let ours = bank::balance(&ctx, &address(*who), &Denom::stake()).raw();
        compare(&format!("balance of {who}"), ours, *balance, found);
    }
    compare("accounts", auth::accounts(&ctx).count(), world.balances.len(), found);
    let supply = bank::supply(&ctx, &Denom::stake()).raw();
    compare("supply", supply, world.total() - world.burned, found);
}

/// Rounding costs or gives a delegation at most a unit each time something is
/// rounded: nobody gains or loses but by slashes.
fn exact(world: &World, found: &mut Vec<String>) {
    let unit = BigUint::from(10u8).pow(30);
    let most = BigUint::from(world.roundings + 1) * &unit;
    for ((who, to), exact) in &world.exact {
        let worth = BigUint::from(world.delegation_worth(*who, *to)) * &unit;
        let off = if worth > *exact { &worth - exact } else { exact - &worth };
        if off > most {
            found.push(format!("{who} has {worth} with {to}; exactly it would be {exact}"));
        }
    }
}
