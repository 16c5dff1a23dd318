//! What must always hold of governance's records.

use std::collections::{BTreeMap, BTreeSet};

use super::count;
use super::keys;
use super::life::next_id;
use super::records::{deposits, leaving, proposals, votes, Proposal, Status};
use crate::ctx::Ctx;
use crate::modules::Holdings;
use crate::types::{Coins, Dec};

/// Adds deposits to what is held.
pub fn add_holdings(ctx: &Ctx<'_>, held: &mut Holdings) {
    for (_, _, coins) in deposits(ctx) {
        coins.iter().for_each(|coin| held.add(&coin.denom, coin.amount.to_fine()));
    }
}

/// What is wrong with governance's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let proposals: BTreeMap<u64, Proposal> = proposals(ctx).map(|p| (p.id, p)).collect();
    let leaving: BTreeSet<u64> = leaving(ctx).map(|(id, _)| id).collect();
    let next = next_id(ctx);
    if proposals.keys().chain(&leaving).any(|id| *id == 0 || *id >= next) {
        broken.push(format!("a proposal's id is 0, or not under the next one, {next}"));
    }
    check_deposits(ctx, &proposals, &leaving, broken);
    check_votes(ctx, &proposals, &leaving, broken);
    check_count(ctx, &proposals, broken);
    check_ends(ctx, &proposals, broken);
    for id in &leaving {
        if proposals.get(id).is_some_and(is_open) {
            broken.push(format!("proposal {id} leaves, but is not over"));
        }
    }
}

fn is_open(proposal: &Proposal) -> bool {
    matches!(proposal.status, Status::Deposit | Status::Voting)
}

/// An open proposal's deposits are its total; a closed one's are leaving.
fn check_deposits(
    ctx: &Ctx<'_>,
    proposals: &BTreeMap<u64, Proposal>,
    leaving: &BTreeSet<u64>,
    broken: &mut Vec<String>,
) {
    let mut sums: BTreeMap<u64, Vec<crate::types::Coin>> = BTreeMap::new();
    for (id, depositor, coins) in deposits(ctx) {
        if coins.is_empty() {
            broken.push(format!("the deposit of {depositor} on proposal {id} is of nothing"));
        }
        sums.entry(id).or_default().extend(coins.iter());
    }
    for (id, proposal) in proposals.iter().filter(|(_, proposal)| is_open(proposal)) {
        let sum: Coins = sums.remove(id).unwrap_or_default().into_iter().collect();
        if sum != proposal.total_deposit {
            let total = &proposal.total_deposit;
            broken.push(format!("deposits on proposal {id} are {sum}, its total is {total}"));
        }
    }
    for id in sums.keys().filter(|id| !leaving.contains(id)) {
        broken.push(format!("deposits stand on proposal {id}, which is over"));
    }
}

/// Votes stand on proposals in their voting period alone, and are whole.
fn check_votes(
    ctx: &Ctx<'_>,
    proposals: &BTreeMap<u64, Proposal>,
    leaving: &BTreeSet<u64>,
    broken: &mut Vec<String>,
) {
    for (id, voter, vote) in votes(ctx) {
        let voting = proposals.get(&id).is_some_and(|p| p.status == Status::Voting);
        if !voting && !leaving.contains(&id) {
            broken.push(format!("{voter} votes on proposal {id}, which is not voted on"));
        }
        let whole = vote.parts.iter().fold(Dec::ZERO, |sum, part| sum.saturating_add(part.weight));
        if whole != Dec::ONE {
            broken.push(format!("the vote of {voter} on proposal {id} is {whole} in all"));
        }
    }
}

/// A count is of a proposal whose voting is over, and of its validators.
fn check_count(ctx: &Ctx<'_>, proposals: &BTreeMap<u64, Proposal>, broken: &mut Vec<String>) {
    let stored = u32::try_from(count::stored(ctx).count()).unwrap_or(u32::MAX);
    let Some(count) = count::count(ctx) else {
        if stored > 0 {
            broken.push("validators of a count stand without one".to_owned());
        }
        return;
    };
    if stored != count.validators {
        broken.push(format!("a count of {} validators has {stored}", count.validators));
    }
    let counted = proposals.get(&count.proposal);
    if !counted.is_some_and(|p| p.status == Status::Voting && !p.takes_votes(ctx.now())) {
        broken.push(format!("proposal {} is counted, but is not to be", count.proposal));
    }
}

/// The queue of ends is what the proposals say.
fn check_ends(ctx: &Ctx<'_>, proposals: &BTreeMap<u64, Proposal>, broken: &mut Vec<String>) {
    let wanted: BTreeSet<Vec<u8>> = proposals.values().filter_map(Proposal::end_key).collect();
    let found: BTreeSet<Vec<u8>> = keys::indexes()
        .iter()
        .flat_map(|index| ctx.prefix(&[*index]).map(|(key, _)| key).collect::<Vec<_>>())
        .collect();
    for key in wanted.symmetric_difference(&found) {
        let id = keys::ending_id(key);
        broken.push(format!("proposal {id:?} and the queue of ends differ"));
    }
}
