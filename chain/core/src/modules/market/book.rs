//! The book of one order: who stands where in it.

use super::records::{Bid, BidState};
use super::{bid, index, keys};
use crate::ctx::Ctx;
use crate::event;
use crate::modules::bank;
use crate::types::{mul_div_floor, Address, Coin, LeaseId, OrderId, Rate, BASIS_POINTS};
use stoa_proto::market::v1 as pb;

/// Bids that name a rate, best first: lowest rate, among equals first placed.
pub fn ranked<'a>(ctx: &'a Ctx<'_>, order: OrderId) -> impl Iterator<Item = (Rate, Address)> + 'a {
    ctx.prefix(&keys::book(order)).filter_map(|(key, _)| keys::book_bid(&key))
}

/// The lowest rate.
pub fn lowest(ctx: &Ctx<'_>, order: OrderId) -> Option<Rate> {
    ranked(ctx, order).next().map(|(rate, _)| rate)
}

/// The bid with the highest rate, among equals the last placed. Passes the
/// whole book, which is bounded.
pub fn highest(ctx: &Ctx<'_>, order: OrderId) -> Option<(Rate, Address)> {
    ranked(ctx, order).last()
}

/// The most that is lower than `rate` by at least the bid step.
pub fn a_step_below(rate: Rate, bid_step: u32) -> Rate {
    let kept = BASIS_POINTS.saturating_sub(u128::from(bid_step));
    let below = mul_div_floor(rate.raw(), kept, BASIS_POINTS).unwrap_or_default();
    Rate::from_raw(below.min(rate.raw().saturating_sub(1)))
}

/// Enters a new bid; its deposit has been taken.
pub fn enter(ctx: &mut Ctx<'_>, id: LeaseId, bid: &Bid) {
    ctx.put(keys::bid(id), bid);
    index::bid_opened(ctx, id, bid);
}

/// Writes a bid again whose rate or place changed.
pub fn change(ctx: &mut Ctx<'_>, id: LeaseId, from: &Bid, to: &Bid) {
    index::bid_unrated(ctx, id, from);
    ctx.put(keys::bid(id), to);
    index::bid_rated(ctx, id, to);
}

/// How a bid leaves the book, and what becomes of its deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Another won, or nobody did.
    Lost,
    /// Taken back.
    Withdrawn,
    /// A lower one took its place in a full book.
    Evicted,
    /// A sealed bid that was not revealed: the deposit goes to the pool.
    Forfeited,
}

impl Leaving {
    fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Withdrawn => "withdrawn",
            Self::Evicted => "evicted",
            Self::Forfeited => "forfeited",
        }
    }
}

/// Takes an open bid out of the state; its deposit returns, or is forfeited.
pub fn leave(ctx: &mut Ctx<'_>, id: LeaseId, leaving: Leaving) {
    let Some(bid) = bid(ctx, id).filter(|bid| bid.state == BidState::Open) else { return };
    index::bid_closed(ctx, id, &bid);
    ctx.remove(keys::bid(id));
    if leaving == Leaving::Forfeited {
        crate::modules::escrow::add_to_pool(ctx, &bid.denom, bid.deposit.to_fine());
    } else {
        bank::give(ctx, &id.provider, &Coin::new(bid.denom, bid.deposit));
    }
    ctx.emit(event!(pb::EventBidClosed {
        order: id.order,
        provider: id.provider,
        state: leaving.name()
    }));
}

/// An open bid wins: its lease takes over the deposit.
pub fn win(ctx: &mut Ctx<'_>, id: LeaseId, bid: &Bid) {
    index::bid_closed(ctx, id, bid);
    ctx.put(keys::bid(id), &Bid { state: BidState::Won, ..bid.clone() });
}

/// All open bids on an order; bounded by `max_bids_per_order`.
pub fn all(ctx: &Ctx<'_>, order: OrderId) -> Vec<(LeaseId, Bid)> {
    let entries = ctx.prefix(&keys::bids_on(order)).filter_map(|(key, value)| {
        Some((keys::bid_id(&key)?, crate::state::decode::<Bid>(&key, &value)))
    });
    entries.filter(|(_, bid)| bid.state == BidState::Open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_step_below_is_the_most_that_is_lower_by_the_step(rate in 1..10u128.pow(30), step in 0..9_999u32) {
            let most = a_step_below(Rate::from_raw(rate), step).raw();
            let lower_by_step = |new: u128| new * 10_000 <= rate * (10_000 - u128::from(step));
            prop_assert!(most < rate);
            prop_assert!(lower_by_step(most));
            prop_assert!(most + 1 == rate || !lower_by_step(most + 1));
        }
    }
}
