//! The market's derived indexes: what stands in them follows from the records.
//!
//! The functions here are the only ones that write them, each called where
//! the record it follows from is written. [`derive`] makes all of them anew.

use std::collections::BTreeMap;

use super::records::{bids, leases, orders};
use super::{keys, Bid, BidState, Lease, Order, OrderState};
use crate::ctx::Ctx;
use crate::modules::deployment;
use crate::types::{Amount, LeaseId, OrderId};

/// An order's open bids.
pub fn bid_count(ctx: &Ctx<'_>, order: OrderId) -> u32 {
    ctx.get(&keys::book_count(order)).unwrap_or_default()
}

fn add_to_count(ctx: &mut Ctx<'_>, order: OrderId, up: bool) {
    let count = bid_count(ctx, order);
    let count = if up { count.saturating_add(1) } else { count.saturating_sub(1) };
    if count == 0 {
        ctx.remove(keys::book_count(order));
    } else {
        ctx.put(keys::book_count(order), &count);
    }
}

/// An order became OPEN.
pub fn order_opened(ctx: &mut Ctx<'_>, id: OrderId, order: &Order) {
    ctx.put_raw(keys::open_order(order.closes_at, id), Vec::new());
}

/// An order is no longer OPEN (or closes at another time).
pub fn order_closed(ctx: &mut Ctx<'_>, id: OrderId, order: &Order) {
    ctx.remove(keys::open_order(order.closes_at, id));
}

/// A bid became OPEN.
pub fn bid_opened(ctx: &mut Ctx<'_>, id: LeaseId, bid: &Bid) {
    ctx.put_raw(keys::open_bid(id), Vec::new());
    add_to_count(ctx, id.order, true);
    stake_needed(ctx, id, true);
    bid_rated(ctx, id, bid);
}

/// An OPEN bid has a rate.
pub fn bid_rated(ctx: &mut Ctx<'_>, id: LeaseId, bid: &Bid) {
    if let Some(rate) = bid.rate {
        ctx.put_raw(keys::book_entry(id, rate, bid.place), Vec::new());
    }
}

/// An OPEN bid leaves the book, to come back with another rate.
pub fn bid_unrated(ctx: &mut Ctx<'_>, id: LeaseId, bid: &Bid) {
    if let Some(rate) = bid.rate {
        ctx.remove(keys::book_entry(id, rate, bid.place));
    }
}

/// A bid is no longer OPEN.
pub fn bid_closed(ctx: &mut Ctx<'_>, id: LeaseId, bid: &Bid) {
    bid_unrated(ctx, id, bid);
    ctx.remove(keys::open_bid(id));
    add_to_count(ctx, id.order, false);
    stake_needed(ctx, id, false);
}

/// A lease became PENDING.
pub fn lease_opened(ctx: &mut Ctx<'_>, id: LeaseId) {
    ctx.put_raw(keys::live_lease(id), Vec::new());
    ctx.put_raw(keys::provider_lease(id), Vec::new());
    stake_needed(ctx, id, true);
}

/// A lease is CLOSED.
pub fn lease_closed(ctx: &mut Ctx<'_>, id: LeaseId) {
    ctx.remove(keys::live_lease(id));
    stake_needed(ctx, id, false);
}

/// A lease leaves the state.
pub fn lease_pruned(ctx: &mut Ctx<'_>, id: LeaseId) {
    ctx.remove(keys::provider_lease(id));
}

/// A bid turns into its lease without a moment between, so that one entry
/// stands for either.
fn stake_needed(ctx: &mut Ctx<'_>, id: LeaseId, needed: bool) {
    let stake = min_stake(ctx, id.order);
    if stake.is_zero() {
        return;
    }
    let key = keys::stake_needed(id, stake);
    if needed {
        ctx.put_raw(key, Vec::new());
    } else {
        ctx.remove(key);
    }
}

fn min_stake(ctx: &Ctx<'_>, order: OrderId) -> Amount {
    let group = deployment::group(ctx, order.group);
    group.map(|group| group.spec.requirements.min_stake).unwrap_or_default()
}

/// All entries as the records say they should be.
pub fn derive(ctx: &Ctx<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = BTreeMap::new();
    for (id, order) in orders(ctx) {
        if order.state == OrderState::Open {
            entries.insert(keys::open_order(order.closes_at, id), Vec::new());
        }
    }
    let mut counts: BTreeMap<OrderId, u32> = BTreeMap::new();
    for (id, bid) in bids(ctx).filter(|(_, bid)| bid.state == BidState::Open) {
        let count = counts.entry(id.order).or_default();
        *count = count.saturating_add(1);
        entries.insert(keys::open_bid(id), Vec::new());
        derive_stake(ctx, id, &mut entries);
        if let Some(rate) = bid.rate {
            entries.insert(keys::book_entry(id, rate, bid.place), Vec::new());
        }
    }
    for (order, count) in counts {
        entries.insert(keys::book_count(order), crate::state::encode(&count));
    }
    for (id, lease) in leases(ctx) {
        derive_lease(ctx, id, &lease, &mut entries);
    }
    entries
}

fn derive_lease(
    ctx: &Ctx<'_>,
    id: LeaseId,
    lease: &Lease,
    entries: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) {
    entries.insert(keys::provider_lease(id), Vec::new());
    if lease.is_live() {
        entries.insert(keys::live_lease(id), Vec::new());
        derive_stake(ctx, id, entries);
    }
}

fn derive_stake(ctx: &Ctx<'_>, id: LeaseId, entries: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    let stake = min_stake(ctx, id.order);
    if !stake.is_zero() {
        entries.insert(keys::stake_needed(id, stake), Vec::new());
    }
}

/// All entries as they stand.
pub fn stored(ctx: &Ctx<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    ctx.range(&[keys::INDEX], &[keys::INDEX_END]).collect()
}
