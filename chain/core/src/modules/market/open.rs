//! How orders open, and how they end without a match.

use super::book::{self, Leaving};
use super::{index, keys, order, params, CloseReason, Order, OrderState};
use crate::ctx::Ctx;
use crate::event;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::modules::deployment::{self, Auction, Deployment, Group};
use crate::types::OrderId;
use stoa_proto::market::v1 as pb;

/// Gas that pays for an order's match, whoever's bids it will have.
const MATCH_GAS: u64 = 50_000;

/// Opens an order for a group, with the deployment's terms.
pub fn open_order(ctx: &mut Ctx<'_>, id: OrderId, deployment: &Deployment, group: &Group) {
    ctx.charge(MATCH_GAS);
    let params = params(ctx);
    let now = ctx.now();
    let max_rate = group.spec.max_rate();
    let closes_at = now.saturating_add(deployment.bid_window);
    let reveal = if deployment.sealed { params.reveal_window } else { 0 };
    let order = Order {
        state: OrderState::Open,
        denom: deployment.denom.clone(),
        max_rate,
        opened_at: now,
        closes_at,
        match_at: closes_at.saturating_add(reveal),
        second_price: deployment.auction == Auction::SecondPrice,
        sealed: deployment.sealed,
        // max(min_bid_deposit, order max rate × lease_start_deadline), rounded up.
        bid_deposit: params.min_bid_deposit.max(max_rate.over(params.lease_start_deadline).ceil()),
        excluded: group.excluded.clone(),
        revealing: false,
        reason: String::new(),
        prune_at: 0,
    };
    ctx.put(keys::order(id), &order);
    index::order_opened(ctx, id, &order);
    if let Some(deadline) = deadline_of(id, &order) {
        deadlines::schedule(ctx, deadline);
    }
    ctx.emit(event!(pb::EventOrderOpened {
        order: id,
        owner: id.owner(),
        closes_at: closes_at,
        max_rate: format!("{max_rate}{}", order.denom)
    }));
}

/// Where an order waits in the queue.
pub fn deadline_of(id: OrderId, order: &Order) -> Option<Deadline> {
    let subject = Subject::Order(id);
    match order.state {
        OrderState::Open if order.sealed && !order.revealing => {
            Some(Deadline::new(order.closes_at, Kind::Reveal, subject))
        }
        OrderState::Open => Some(Deadline::new(order.match_at, Kind::Match, subject)),
        _ if order.prune_at > 0 => Some(Deadline::new(order.prune_at, Kind::Pruning, subject)),
        _ => None,
    }
}

/// A sealed order takes no more commitments.
pub fn begin_reveal(ctx: &mut Ctx<'_>, id: OrderId) {
    let Some(mut order) = order(ctx, id).filter(|order| order.state == OrderState::Open) else {
        return;
    };
    order.revealing = true;
    ctx.put(keys::order(id), &order);
    if let Some(deadline) = deadline_of(id, &order) {
        deadlines::schedule(ctx, deadline);
    }
}

/// Ends an order without a lease: all deposits return. Answers bids released.
pub fn end_without_lease(ctx: &mut Ctx<'_>, id: OrderId, state: OrderState, reason: &str) -> u64 {
    let mut released = 0u64;
    for (bid, _) in book::all(ctx, id) {
        book::leave(ctx, bid, Leaving::Lost);
        released = released.saturating_add(1);
    }
    end(ctx, id, state, reason);
    deployment::order_ended(ctx, id.group);
    released
}

/// Takes an open order from the market, because its group is paused or
/// closed. Answers bids released.
pub fn cancel_order(ctx: &mut Ctx<'_>, id: OrderId, reason: CloseReason) -> u64 {
    end_without_lease(ctx, id, OrderState::Cancelled, reason.name())
}

/// Writes an order's end.
pub fn end(ctx: &mut Ctx<'_>, id: OrderId, state: OrderState, reason: &str) {
    let Some(mut order) = order(ctx, id) else { return };
    index::order_closed(ctx, id, &order);
    if let Some(deadline) = deadline_of(id, &order) {
        deadlines::cancel(ctx, deadline);
    }
    order.state = state;
    order.reason = reason.to_owned();
    if state != OrderState::Matched {
        order.prune_at = ctx.now().saturating_add(params(ctx).keep_closed);
    }
    ctx.put(keys::order(id), &order);
    if let Some(deadline) = deadline_of(id, &order) {
        deadlines::schedule(ctx, deadline);
    }
    ctx.emit(event!(pb::EventOrderClosed {
        order: id,
        owner: id.owner(),
        state: state.name(),
        reason: reason
    }));
}
