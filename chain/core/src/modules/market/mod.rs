//! The order book: orders, bids, their match, and leases to their end.
//!
//! | thing | transitions |
//! | --- | --- |
//! | order | OPEN → MATCHED, UNMATCHED, CANCELLED |
//! | bid | OPEN → WON, LOST, WITHDRAWN, EVICTED, FORFEITED |
//! | lease | PENDING → ACTIVE or CLOSED; ACTIVE → RECLAIMING or CLOSED; RECLAIMING → CLOSED |
//!
//! Of bids only OPEN and WON ones stand in the state: the others leave it the
//! moment they are over, so that an order's end has a bounded number to
//! release.
//!
//! Invariants: a provider has at most one bid on an order; an order has at
//! most `max_bids_per_order` open bids; each open bid's deposit is in its
//! record, a won bid's in its lease's; the book's indexes are what
//! [`index::derive`] makes of the records.

mod book;
mod close;
mod counters;
mod eligibility;
mod end_block;
mod error;
mod genesis;
mod index;
mod keys;
mod matching;
mod msgs;
mod open;
mod params;
mod query;
mod records;

pub use close::{close_lease, paid_until, provider_jailed};
pub use counters::{reputation, reputation_with, Counters, Role};
pub use end_block::{end_block, shift_deadlines_after_gap, GAP};
pub use error::MarketError;
pub use genesis::{deadlines_of_all, export, init, Genesis};
pub use index::{derive, stored};
pub use msgs::{
    commitment, CloseBid, CloseLease, CommitBid, CreateBid, RevealBid, StartLease, WithdrawBid,
    WithdrawLease,
};
pub use open::{cancel_order, open_order};
pub use params::{params, Params, UpdateParams};
pub use query::routes;
pub use records::{Bid, BidState, CloseReason, GpuOffer, Lease, LeaseState, Order, OrderState};

use crate::ctx::Ctx;
use crate::types::{Address, Amount, Attribute, Denom, Fine, LeaseId, OrderId};

/// The order.
pub fn order(ctx: &Ctx<'_>, id: OrderId) -> Option<Order> {
    ctx.get(&keys::order(id))
}

/// The bid.
pub fn bid(ctx: &Ctx<'_>, id: LeaseId) -> Option<Bid> {
    ctx.get(&keys::bid(id))
}

/// The lease.
pub fn lease(ctx: &Ctx<'_>, id: LeaseId) -> Option<Lease> {
    ctx.get(&keys::lease(id))
}

/// Whether the provider has a lease that is PENDING, ACTIVE or RECLAIMING.
pub fn has_live_lease(ctx: &Ctx<'_>, provider: &Address) -> bool {
    ctx.prefix(&keys::live_leases_of(provider)).next().is_some()
}

/// Whether the provider has an open bid.
pub fn has_open_bid(ctx: &Ctx<'_>, provider: &Address) -> bool {
    ctx.prefix(&keys::open_bids_of(provider)).next().is_some()
}

/// The most that the orders of the provider's open bids and live leases
/// demand as `min_stake`.
pub fn least_stake_needed(ctx: &Ctx<'_>, provider: &Address) -> Amount {
    let entry = ctx.prefix(&keys::stakes_needed_by(provider)).next();
    entry.and_then(|(key, _)| keys::stake_needed_amount(&key)).unwrap_or_default()
}

/// The order of an open bid whose required attributes would no longer be met
/// by these.
pub fn requirement_lost(
    ctx: &Ctx<'_>,
    provider: &Address,
    attributes: &[Attribute],
) -> Option<OrderId> {
    let mut bids = ctx.prefix(&keys::open_bids_of(provider));
    bids.find_map(|(key, _)| {
        let order = keys::open_bid_order(&key)?;
        let group = crate::modules::deployment::group(ctx, order.group)?;
        let required = &group.spec.requirements.attributes;
        let met = |need: &Attribute| attributes.iter().any(|fact| need.is_met_by(fact));
        (!required.iter().all(met)).then_some(order)
    })
}

/// The order of an open bid for which the provider has the reputation now, and
/// would not with so much stake; with what it asks for.
pub fn reputation_lost(ctx: &Ctx<'_>, provider: &Address, stake: Amount) -> Option<(OrderId, u32)> {
    let (now, left) = (reputation(ctx, provider), reputation_with(ctx, provider, stake));
    let mut bids = ctx.prefix(&keys::open_bids_of(provider));
    bids.find_map(|(key, _)| {
        let order = keys::open_bid_order(&key)?;
        let group = crate::modules::deployment::group(ctx, order.group)?;
        let least = group.spec.requirements.min_reputation;
        (left < least && least <= now).then_some((order, least))
    })
}

/// How many live leases and open bids the provider has, counted up to 1,000.
pub fn engagements(ctx: &Ctx<'_>, provider: &Address) -> (u64, u64) {
    let count = |prefix: Vec<u8>| {
        u64::try_from(ctx.prefix(&prefix).take(1_000).count()).unwrap_or_default()
    };
    (count(keys::live_leases_of(provider)), count(keys::open_bids_of(provider)))
}

/// All OPEN orders.
pub fn open_orders<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = OrderId> + 'a {
    records::orders(ctx).filter(|(_, order)| order.state == OrderState::Open).map(|(id, _)| id)
}

/// All leases that are PENDING, ACTIVE or RECLAIMING.
pub fn live_leases<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (LeaseId, Lease)> + 'a {
    records::leases(ctx).filter(|(_, lease)| lease.is_live())
}

/// Deposits of open bids and live leases.
pub fn held<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (Denom, Fine)> + 'a {
    let bids = records::bids(ctx)
        .filter(|(_, bid)| bid.state == BidState::Open)
        .map(|(_, bid)| (bid.denom, bid.deposit.to_fine()));
    let leases = records::leases(ctx)
        .filter(|(_, lease)| lease.state != LeaseState::Closed)
        .map(|(_, lease)| (lease.denom, lease.bid_deposit.to_fine()));
    bids.chain(leases)
}

#[cfg(test)]
mod tests;
