//! How leases end.

use super::records::{CloseReason, Ending, Lease, LeaseState};
use super::{counters, index, keys, lease, params};
use crate::ctx::Ctx;
use crate::event;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::modules::{bank, deployment, escrow};
use crate::types::{mul_div_rem, Address, Amount, Coin, LeaseId};
use stoa_proto::market::v1 as pb;

/// A lease that ends PENDING costs at least this part of its deposit.
const LEAST_COST_PART: u128 = 10;

/// Where a lease waits in the queue.
pub fn deadlines_of(id: LeaseId, lease: &Lease) -> Vec<Deadline> {
    let at = |due: u64, kind| (due > 0).then(|| Deadline::new(due, kind, Subject::Lease(id)));
    let waits = match lease.state {
        LeaseState::Pending => {
            [at(lease.start_deadline, Kind::Start), at(lease.jailed_at, Kind::Jailing), None]
        }
        LeaseState::Active => {
            [at(lease.expires_at, Kind::Expiry), at(lease.jailed_at, Kind::Jailing), None]
        }
        LeaseState::Reclaiming => [
            at(lease.reclaimed_at, Kind::Reclamation),
            at(lease.expires_at, Kind::Expiry),
            at(lease.jailed_at, Kind::Jailing),
        ],
        LeaseState::Closed => [at(lease.prune_at, Kind::Pruning), None, None],
    };
    waits.into_iter().flatten().collect()
}

/// From when on a lease is not paid, whenever its end is worked.
pub fn paid_until(lease: &Lease) -> Option<u64> {
    let ends = [lease.reclaimed_at, lease.expires_at, lease.jailed_at];
    ends.into_iter().filter(|end| *end > 0).min()
}

/// Writes a lease whose deadlines changed, and moves them in the queue.
pub fn rewrite(ctx: &mut Ctx<'_>, id: LeaseId, from: &Lease, to: &Lease) {
    for deadline in deadlines_of(id, from) {
        deadlines::cancel(ctx, deadline);
    }
    for deadline in deadlines_of(id, to) {
        deadlines::schedule(ctx, deadline);
    }
    ctx.put(keys::lease(id), to);
}

/// Ends a live lease at `time`; its escrow has been settled up to then.
/// Where the deployment reopens by itself, a new order opens, closed to this
/// provider. Answers the leases closed: 1, or 0 where it was CLOSED.
pub fn close_lease(ctx: &mut Ctx<'_>, id: LeaseId, reason: CloseReason, time: u64) -> u64 {
    let reopens = match reason {
        CloseReason::ByProvider
        | CloseReason::NotStarted
        | CloseReason::Expired
        | CloseReason::ProviderJailed => {
            deployment::get(ctx, id.deployment()).is_some_and(|deployment| deployment.reopen)
        }
        _ => false,
    };
    finish(ctx, id, Ending { reason, reopen: reopens, exclude: reopens }, time)
}

/// Ends a live lease as told. Answers the leases closed.
pub fn finish(ctx: &mut Ctx<'_>, id: LeaseId, ending: Ending, time: u64) -> u64 {
    let Some(before) = lease(ctx, id).filter(Lease::is_live) else { return 0 };
    let paid = escrow::release(ctx, id);
    report_paid(ctx, id, &before, paid);
    settle_deposit(ctx, id, &before, time);
    let after = Lease {
        state: LeaseState::Closed,
        closed_at: time,
        reason: Some(ending.reason),
        ending: None,
        withdrawn: before.withdrawn.saturating_add(paid),
        prune_at: ctx.now().saturating_add(params(ctx).keep_closed),
        ..before.clone()
    };
    rewrite(ctx, id, &before, &after);
    index::lease_closed(ctx, id);
    deployment::order_ended(ctx, id.order.group);
    counters::lease_closed(ctx, id, &before, ending.reason, time);
    ctx.emit(event!(pb::EventLeaseClosed {
        lease: id,
        owner: id.owner(),
        provider: id.provider,
        reason: ending.reason.name()
    }));
    let by_tenant = ending.reason == CloseReason::ByTenant;
    if ending.exclude && by_tenant {
        // The tenant's word holds for later orders too, should none open now.
        deployment::keep_out(ctx, id.order.group, id.provider);
    }
    if ending.reopen {
        deployment::reopen_after(ctx, id.order.group, id.provider, ending.exclude);
    }
    1
}

/// Says and counts what the provider was paid.
pub fn report_paid(ctx: &mut Ctx<'_>, id: LeaseId, lease: &Lease, paid: Amount) {
    if paid.is_zero() {
        return;
    }
    let coin = Coin::new(lease.denom.clone(), paid);
    counters::lease_paid(ctx, id, &coin);
    ctx.emit(event!(pb::EventLeasePaid {
        lease: id,
        owner: id.owner(),
        provider: id.provider,
        amount: coin
    }));
}

/// The bid's deposit returns in full; but a lease that ends PENDING costs its
/// part of it, and as much from the escrow, to the community pool.
fn settle_deposit(ctx: &mut Ctx<'_>, id: LeaseId, lease: &Lease, time: u64) {
    let mut returned = lease.bid_deposit;
    if lease.state == LeaseState::Pending {
        let elapsed = time.saturating_sub(lease.matched_at);
        let cost = pending_cost(lease.bid_deposit, elapsed, params(ctx).lease_start_deadline);
        returned = returned.saturating_sub(cost);
        escrow::add_to_pool(ctx, &lease.denom, cost.to_fine());
        escrow::charge(ctx, id.deployment(), cost);
    }
    bank::give(ctx, &id.provider, &Coin::new(lease.denom.clone(), returned));
}

/// deposit × elapsed / deadline, at least a tenth, at most all; in whole units,
/// rounded up.
fn pending_cost(deposit: Amount, elapsed: u64, deadline: u64) -> Amount {
    let part = |a: u128, b: u128| match mul_div_rem(deposit.raw(), a, b) {
        Some((floor, 0)) => floor,
        Some((floor, _)) => floor.saturating_add(1),
        None => deposit.raw(),
    };
    let by_time = part(elapsed.into(), deadline.into());
    let least = part(1, LEAST_COST_PART);
    Amount::from_raw(by_time.max(least).min(deposit.raw()))
}

/// A provider was jailed: each of its live leases is queued to close now, and
/// paid no further. A provider that is freed keeps nothing of that.
pub fn provider_jailed(ctx: &mut Ctx<'_>, provider: &Address) {
    let entries = ctx.prefix(&keys::live_leases_of(provider));
    let leases: Vec<LeaseId> =
        entries.filter_map(|(key, _)| keys::lease_by_provider(&key)).collect();
    for id in leases {
        let Some(before) = lease(ctx, id).filter(|lease| lease.jailed_at == 0) else { continue };
        let after = Lease { jailed_at: ctx.now(), ..before.clone() };
        rewrite(ctx, id, &before, &after);
        escrow::end_lease_at(ctx, id, paid_until(&after));
    }
}

/// Forgets a CLOSED lease, its order and its won bid.
pub fn prune_lease(ctx: &mut Ctx<'_>, id: LeaseId) {
    index::lease_pruned(ctx, id);
    ctx.remove(keys::lease(id));
    ctx.remove(keys::bid(id));
    ctx.remove(keys::order(id.order));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(deposit: u128, elapsed: u64) -> u128 {
        pending_cost(Amount::from_raw(deposit), elapsed, 600).raw()
    }

    #[test]
    fn a_lease_that_ends_pending_costs_a_tenth_at_least_and_all_at_most() {
        assert_eq!(cost(1_000, 0), 100);
        assert_eq!(cost(1_000, 59), 100);
        assert_eq!(cost(1_000, 300), 500);
        assert_eq!(cost(1_001, 300), 501);
        assert_eq!(cost(1_000, 6_000), 1_000);
        assert_eq!(cost(1, 0), 1);
    }
}
