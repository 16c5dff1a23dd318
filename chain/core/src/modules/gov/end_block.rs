//! The end of a block: deposit and voting periods that are over, counts, and
//! what leaves the state. The work is bounded; the rest follows in the next
//! block. Nothing in here can fail.

use super::count::{self, Counting};
use super::life::{begin_leaving, drop_proposal, put, unqueue};
use super::params::params;
use super::records::{
    leaving, proposal, votes_on, CutTo, Leaving, Proposal, RawMessage, Status, Voting,
};
use super::tally::{verdict, Verdict};
use super::{keys, Params};
use crate::ctx::Ctx;
use crate::event::Event;
use crate::gas::Meter;
use crate::modules::{bank, escrow};
use crate::tx::{check_gas, Msg};
use crate::types::{Address, Coin, Coins};

/// Most work of each kind in one block: proposals dropped; validators written
/// down, votes counted and delegations read for them; deposits and votes that
/// leave.
pub const MAX_WORK: u64 = 2_000;
/// Gas that a proposal's messages may use together, whatever block gas the
/// parameters say. At most one proposal is executed in a block.
pub const EXECUTION_GAS: u64 = 50_000_000;
/// Bytes of what is kept of a failure.
const MAX_REASON_BYTES: usize = 1_000;

/// Ends deposit and voting periods that are over, counts, and executes what
/// passed.
pub fn end_block(ctx: &mut Ctx<'_>) {
    end_block_within(ctx, MAX_WORK);
}

/// The same with another bound.
pub(super) fn end_block_within(ctx: &mut Ctx<'_>, most: u64) {
    drop_unfunded(ctx, most);
    count_ended(ctx, most);
    settle(ctx, most);
}

fn first_ended(ctx: &Ctx<'_>, [from, to]: [Vec<u8>; 2]) -> Option<Proposal> {
    let (key, _) = ctx.range(&from, &to).next()?;
    proposal(ctx, keys::ending_id(&key)?)
}

/// Proposals whose deposit did not come together in time.
fn drop_unfunded(ctx: &mut Ctx<'_>, most: u64) {
    for _ in 0..most {
        let ended = keys::deposits_ended(ctx.now());
        let Some(proposal) = first_ended(ctx, ended) else { return };
        let burns = params(ctx).burn_proposal_deposit_prevote;
        drop_proposal(ctx, &proposal, if burns { Leaving::Burn } else { Leaving::Return });
        let event = Event::new("inactive_proposal").with("proposal_id", proposal.id);
        ctx.emit(event.with("proposal_result", "proposal_dropped"));
    }
}

/// Counts votes, one proposal after the other, until the work is done, the
/// bound is reached or a proposal has been executed.
fn count_ended(ctx: &mut Ctx<'_>, most: u64) {
    let mut work = 0u64;
    while work < most {
        let Some(mut counting) = current(ctx, &mut work) else { return };
        let id = counting.proposal();
        let whole = add_votes(ctx, &mut counting, &mut work, most);
        if !whole {
            counting.store(ctx);
            return;
        }
        work = work.saturating_add(counting.size());
        let count = counting.close(ctx);
        count::forget(ctx);
        let Some(proposal) = proposal(ctx, id) else { continue };
        let executed = finish(ctx, proposal, &count);
        if executed {
            return;
        }
    }
}

/// The count under way, or that of the first proposal whose voting is over.
fn current(ctx: &Ctx<'_>, work: &mut u64) -> Option<Counting> {
    if let Some(counting) = Counting::load(ctx) {
        return Some(counting);
    }
    let proposal = first_ended(ctx, keys::votings_ended(ctx.now()))?;
    let counting = Counting::begin(ctx, proposal.id);
    *work = work.saturating_add(counting.size()).saturating_add(1);
    Some(counting)
}

/// Counts votes until the bound. Answers whether that was all; at least one is
/// counted in each block.
fn add_votes(ctx: &mut Ctx<'_>, counting: &mut Counting, work: &mut u64, most: u64) -> bool {
    let id = counting.proposal();
    let room = usize::try_from(most.saturating_sub(*work)).unwrap_or(usize::MAX).max(1);
    let waiting: Vec<_> = votes_on(ctx, id).take(room.saturating_add(1)).collect();
    let more = waiting.len() > room;
    for (index, (_, voter, vote)) in waiting.into_iter().take(room).enumerate() {
        if index > 0 && *work >= most {
            return false;
        }
        *work = work.saturating_add(counting.add(ctx, &voter, &vote));
        ctx.remove(keys::vote(id, &voter));
    }
    !more
}

/// What a count comes to. Answers whether messages were executed.
fn finish(ctx: &mut Ctx<'_>, mut proposal: Proposal, count: &count::Count) -> bool {
    let params = params(ctx);
    let verdict = verdict(&params, proposal.expedited, &count.sums, count.voted, count.stake);
    unqueue(ctx, &proposal);
    proposal.tally = count.sums;
    match verdict {
        Verdict::Fails { .. } if proposal.expedited => {
            go_on_as_regular(ctx, &params, proposal);
            false
        }
        Verdict::Fails { burns } => {
            begin_leaving(ctx, proposal.id, if burns { Leaving::Burn } else { Leaving::Return });
            proposal.status = Status::Rejected;
            put(ctx, &proposal);
            emit_result(ctx, proposal.id, "proposal_rejected", "");
            false
        }
        Verdict::Passes => {
            begin_leaving(ctx, proposal.id, Leaving::Return);
            carry_out(ctx, proposal);
            true
        }
    }
}

/// An expedited proposal that does not pass is a regular one from then on, and
/// voting begins anew.
fn go_on_as_regular(ctx: &mut Ctx<'_>, params: &Params, mut proposal: Proposal) {
    proposal.expedited = false;
    let starts_at = proposal.voting.map_or(ctx.now(), |voting| voting.starts_at);
    // Who counts late leaves time to vote all the same.
    let least = ctx.now().saturating_add(params.expedited_voting_period);
    let ends_at = starts_at.saturating_add(params.voting_period).max(least);
    proposal.voting = Some(Voting { starts_at, ends_at });
    put(ctx, &proposal);
    emit_result(ctx, proposal.id, "expedited_proposal_rejected", "");
}

fn carry_out(ctx: &mut Ctx<'_>, mut proposal: Proposal) {
    match execute(ctx, &proposal.messages, EXECUTION_GAS) {
        Ok(()) => proposal.status = Status::Passed,
        Err(reason) => {
            proposal.status = Status::Failed;
            proposal.failed_reason = shortened(reason);
        }
    }
    put(ctx, &proposal);
    let passed = proposal.status == Status::Passed;
    let result = if passed { "proposal_passed" } else { "proposal_failed" };
    emit_result(ctx, proposal.id, result, &proposal.failed_reason);
}

/// All messages or none, within so much gas.
pub(super) fn execute(ctx: &mut Ctx<'_>, messages: &[RawMessage], gas: u64) -> Result<(), String> {
    ctx.set_meter(Meter::with_limit(gas));
    let done = ctx.attempt(|ctx| {
        for (index, message) in messages.iter().enumerate() {
            let execute = |ctx: &mut Ctx<'_>| {
                Msg::from_any(&message.to_any())?.execute(ctx)?;
                check_gas(ctx)
            };
            execute(ctx).map_err(|failure| format!("message {index}: {failure}"))?;
        }
        Ok(())
    });
    ctx.set_meter(Meter::unlimited());
    done
}

fn shortened(mut reason: String) -> String {
    while reason.len() > MAX_REASON_BYTES {
        reason.pop();
    }
    reason
}

fn emit_result(ctx: &mut Ctx<'_>, id: u64, result: &str, log: &str) {
    let event = Event::new("active_proposal").with("proposal_id", id);
    ctx.emit(event.with("proposal_result", result).with("proposal_log", log));
}

/// Returns or burns deposits, and forgets votes that nobody counts.
fn settle(ctx: &mut Ctx<'_>, most: u64) {
    let mut room = most;
    while room > 0 {
        let Some((id, how)) = leaving(ctx).next() else { return };
        let before = room;
        settle_deposits(ctx, id, how, &mut room);
        forget_votes(ctx, id, &mut room);
        if room > 0 {
            ctx.remove(keys::leaving(id));
        }
        room = room.min(before.saturating_sub(1));
    }
}

fn first_entries(ctx: &Ctx<'_>, prefix: &[u8], room: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    ctx.prefix(prefix).take(usize::try_from(room).unwrap_or(usize::MAX)).collect()
}

fn settle_deposits(ctx: &mut Ctx<'_>, id: u64, how: Leaving, room: &mut u64) {
    for (key, value) in first_entries(ctx, &keys::deposits_on(id), *room) {
        let Some((_, depositor)) = keys::parts(&key) else { continue };
        let coins: Coins = crate::state::decode(&key, &value);
        for coin in coins.iter() {
            settle_coin(ctx, &depositor, &coin, how);
        }
        ctx.remove(key);
        *room = room.saturating_sub(1);
    }
}

fn settle_coin(ctx: &mut Ctx<'_>, depositor: &Address, coin: &Coin, how: Leaving) {
    match how {
        Leaving::Return => bank::give(ctx, depositor, coin),
        Leaving::Burn => bank::burn(ctx, coin),
        Leaving::Cut(part, to) => {
            let kept = part.of(coin.amount).min(coin.amount);
            let rest = Coin::new(coin.denom.clone(), coin.amount.saturating_sub(kept));
            let kept = Coin::new(coin.denom.clone(), kept);
            match to {
                CutTo::Burn => bank::burn(ctx, &kept),
                CutTo::Pool => escrow::add_to_pool(ctx, &kept.denom, kept.amount.to_fine()),
                CutTo::Account(address) => bank::give(ctx, &address, &kept),
            }
            bank::give(ctx, depositor, &rest);
        }
    }
}

fn forget_votes(ctx: &mut Ctx<'_>, id: u64, room: &mut u64) {
    for (key, _) in first_entries(ctx, &keys::votes_on(id), *room) {
        ctx.remove(key);
        *room = room.saturating_sub(1);
    }
}
