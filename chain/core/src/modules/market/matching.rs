//! The match: the lowest eligible rate wins, among equals the first placed.

use super::book::{self, Leaving};
use super::records::{Bid, Lease, LeaseState, OrderState};
use super::{bid, counters, eligibility, index, keys, open, order, params, Order, Params};
use crate::ctx::Ctx;
use crate::event;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::modules::deployment::spec::GroupSpec;
use crate::modules::deployment::{self, Current};
use crate::modules::escrow;
use crate::types::{mul_div_floor, LeaseId, OrderId, Rate, BASIS_POINTS};
use stoa_proto::market::v1 as pb;

/// Matches an open order. Answers the bids released, and the leases that
/// exhaustion found on the way has closed.
pub fn match_order(ctx: &mut Ctx<'_>, id: OrderId) -> u64 {
    let Some(order) = order(ctx, id).filter(|order| order.state == OrderState::Open) else {
        return 0;
    };
    let Some(group) = deployment::group(ctx, id.group) else { return 0 };
    let forfeited = forfeit_unrevealed(ctx, id);
    let unmatched = |ctx: &mut Ctx<'_>, reason: &str| {
        open::end_without_lease(ctx, id, OrderState::Unmatched, reason).saturating_add(forfeited)
    };
    let Some(winner) = find_winner(ctx, id, &order, &group.spec) else {
        return unmatched(ctx, "no eligible bid");
    };
    let terms = Terms::new(ctx, &order, &winner);
    let exhausted = escrow::touch(ctx, id.deployment(), ctx.now());
    // Exhaustion found just now has cancelled this order already.
    if !self::order(ctx, id).is_some_and(|order| order.state == OrderState::Open) {
        return forfeited.saturating_add(exhausted);
    }
    if !can_pay(ctx, id, &order, terms.cost_rate) {
        return unmatched(ctx, "the escrow's balance does not cover the start of the lease");
    }
    let released = open_lease(ctx, winner, &order, terms);
    released.saturating_add(forfeited)
}

/// An unrevealed bid loses its deposit to the community pool.
fn forfeit_unrevealed(ctx: &mut Ctx<'_>, id: OrderId) -> u64 {
    let unrevealed = book::all(ctx, id).into_iter().filter(|(_, bid)| bid.rate.is_none());
    let mut forfeited = 0u64;
    for (bid, _) in unrevealed.collect::<Vec<_>>() {
        book::leave(ctx, bid, Leaving::Forfeited);
        forfeited = forfeited.saturating_add(1);
    }
    forfeited
}

/// The best eligible bid, and the rate of the one after it.
struct Winner {
    id: LeaseId,
    bid: Bid,
    rate: Rate,
    second: Option<Rate>,
}

fn find_winner(ctx: &Ctx<'_>, id: OrderId, order: &Order, spec: &GroupSpec) -> Option<Winner> {
    let mut eligible = book::ranked(ctx, id).filter_map(|(rate, provider)| {
        let id = id.lease(provider);
        let bid = bid(ctx, id)?;
        eligibility::check(ctx, id, order, spec, &bid.gpus).ok()?;
        Some((id, bid, rate))
    });
    let (id, bid, rate) = eligible.next()?;
    let second = if order.second_price { eligible.next().map(|(_, _, rate)| rate) } else { None };
    Some(Winner { id, bid, rate, second })
}

/// What a lease pays, a second. Fixed at the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    /// What the bid is paid at.
    rate: Rate,
    /// Rate plus any second-price fee.
    cost_rate: Rate,
    /// Rate less the take.
    provider_rate: Rate,
}

impl Terms {
    fn new(ctx: &Ctx<'_>, order: &Order, winner: &Winner) -> Self {
        let params = params(ctx);
        let take = escrow::market_denom(ctx, &order.denom).map(|denom| denom.take_rate);
        let take = take.unwrap_or_default();
        if order.second_price {
            // Alone, it is paid the order's max rate.
            let second = winner.second.unwrap_or(order.max_rate);
            let fee = second_price_fee(&params, winner.rate, second, order.max_rate);
            Self::of(second, fee, take)
        } else {
            Self::of(winner.rate, Rate::ZERO, take)
        }
    }

    fn of(rate: Rate, fee: Rate, take_rate: u32) -> Self {
        let cost_rate = rate.saturating_add(fee);
        Self { rate, cost_rate, provider_rate: rate.saturating_sub(take(rate, take_rate)) }
    }
}

/// rate × take_rate, rounded up.
fn take(rate: Rate, take_rate: u32) -> Rate {
    let raw = rate.raw().saturating_mul(u128::from(take_rate)).div_ceil(BASIS_POINTS);
    Rate::from_raw(raw)
}

/// min(second − lowest, cap × second, order's max − second), rounded down;
/// nothing where the cap is 0.
fn second_price_fee(params: &Params, lowest: Rate, second: Rate, max: Rate) -> Rate {
    let cap = u128::from(params.second_price_fee_cap);
    let capped = mul_div_floor(second.raw(), cap, BASIS_POINTS).unwrap_or_default();
    second.saturating_sub(lowest).min(Rate::from_raw(capped)).min(max.saturating_sub(second))
}

/// Balance against (total rate with the new lease's) × lease_start_deadline +
/// the bid deposit.
fn can_pay(ctx: &Ctx<'_>, id: OrderId, order: &Order, cost_rate: Rate) -> bool {
    let Some(account) = escrow::get(ctx, id.deployment()) else { return false };
    let rate = account.total_rate(ctx.now()).saturating_add(cost_rate);
    let start = rate.over(params(ctx).lease_start_deadline);
    escrow::solvent(ctx, id.deployment(), start.saturating_add(order.bid_deposit.to_fine()))
}

/// The winner's lease is PENDING; all others' deposits return. Answers bids
/// released.
fn open_lease(ctx: &mut Ctx<'_>, winner: Winner, order: &Order, terms: Terms) -> u64 {
    let Winner { id, bid, .. } = winner;
    book::win(ctx, id, &bid);
    let mut released = 0u64;
    for (loser, _) in book::all(ctx, id.order) {
        book::leave(ctx, loser, Leaving::Lost);
        released = released.saturating_add(1);
    }
    open::end(ctx, id.order, OrderState::Matched, "");
    let now = ctx.now();
    let start_deadline = now.saturating_add(params(ctx).lease_start_deadline);
    let lease = Lease {
        state: LeaseState::Pending,
        denom: order.denom.clone(),
        rate: terms.rate,
        cost_rate: terms.cost_rate,
        provider_rate: terms.provider_rate,
        bid_deposit: bid.deposit,
        matched_at: now,
        start_deadline,
        started_at: 0,
        reclaimed_at: 0,
        expires_at: 0,
        jailed_at: 0,
        closed_at: 0,
        reason: None,
        ending: None,
        withdrawn: crate::types::Amount::ZERO,
        gpus: bid.gpus,
        prune_at: 0,
    };
    ctx.put(keys::lease(id), &lease);
    index::lease_opened(ctx, id);
    deadlines::schedule(ctx, Deadline::new(start_deadline, Kind::Start, Subject::Lease(id)));
    deployment::set_current(ctx, id.order.group, Current::Lease(id));
    counters::lease_won(ctx, id);
    ctx.emit(event!(pb::EventLeaseCreated {
        lease: id,
        owner: id.owner(),
        provider: id.provider,
        rate: format!("{}{}", terms.rate, order.denom)
    }));
    released
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(cap: u32, lowest: u128, second: u128, max: u128) -> u128 {
        let params = Params { second_price_fee_cap: cap, ..Params::default() };
        let rate = Rate::from_raw;
        second_price_fee(&params, rate(lowest), rate(second), rate(max)).raw()
    }

    #[test]
    fn the_take_is_rounded_up_and_the_provider_gets_the_rest() {
        let terms = Terms::of(Rate::from_raw(101), Rate::from_raw(5), 200);
        assert_eq!(terms.provider_rate.raw(), 98);
        assert_eq!(terms.cost_rate.raw(), 106);
    }

    #[test]
    fn the_second_price_fee_is_the_least_of_its_three_limits() {
        assert_eq!(fee(0, 10, 100, 1_000), 0);
        assert_eq!(fee(500, 10, 1_000, 9_000), 50);
        assert_eq!(fee(5_000, 990, 1_000, 9_000), 10);
        assert_eq!(fee(5_000, 10, 1_000, 1_007), 7);
        assert_eq!(fee(5_000, 10, 1_000, 1_000), 0);
    }
}
