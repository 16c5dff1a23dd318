//! The end of a block: the queue of deadlines is worked.

use super::matching::match_order;
use super::{close, index, keys, lease, open, order, params, CloseReason, Lease, Order};
use crate::ctx::Ctx;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::modules::{deployment, escrow};
use crate::types::{LeaseId, OrderId};

/// After a gap between blocks of over this many seconds, deadlines that fell
/// into it move this far past the first block after it.
pub const GAP: u64 = 60;

/// Works what is due, in order, up to `max_end_block_work`: each item weighs
/// 1 + leases closed + bids released. The rest follows in the next block, and
/// pays nothing past its due time. Nothing in here can fail.
pub fn end_block(ctx: &mut Ctx<'_>) {
    let most = params(ctx).max_end_block_work;
    let mut work = 0u64;
    while work < most {
        let Some(deadline) = deadlines::take_first(ctx, ctx.now()) else { return };
        work = work.saturating_add(1).saturating_add(run(ctx, deadline));
    }
}

/// Does what is due. Answers leases closed and bids released.
fn run(ctx: &mut Ctx<'_>, deadline: Deadline) -> u64 {
    let Deadline { due, kind, subject } = deadline;
    match (kind, subject) {
        (Kind::Exhaustion, Subject::Deployment(id)) => escrow::exhaust_at(ctx, id, due),
        (Kind::Start, Subject::Lease(id)) => end_lease(ctx, id, CloseReason::NotStarted, due),
        (Kind::Expiry, Subject::Lease(id)) => end_lease(ctx, id, CloseReason::Expired, due),
        (Kind::Jailing, Subject::Lease(id)) => end_lease(ctx, id, CloseReason::ProviderJailed, due),
        (Kind::Reclamation, Subject::Lease(id)) => end_reclamation(ctx, id, due),
        (Kind::Reveal, Subject::Order(id)) => {
            open::begin_reveal(ctx, id);
            0
        }
        (Kind::Match, Subject::Order(id)) => match_order(ctx, id),
        (Kind::Overdrawn, Subject::Deployment(id)) => {
            deployment::close_deployment(ctx, id, "overdrawn", due).1
        }
        (Kind::Pruning, subject) => {
            prune(ctx, subject);
            0
        }
        // Kinds and subjects are only ever paired as above.
        _ => 0,
    }
}

fn end_lease(ctx: &mut Ctx<'_>, id: LeaseId, reason: CloseReason, due: u64) -> u64 {
    let exhausted = escrow::touch(ctx, id.deployment(), due);
    exhausted.saturating_add(close::close_lease(ctx, id, reason, due))
}

fn end_reclamation(ctx: &mut Ctx<'_>, id: LeaseId, due: u64) -> u64 {
    let exhausted = escrow::touch(ctx, id.deployment(), due);
    let Some(ending) = lease(ctx, id).and_then(|lease| lease.ending) else { return exhausted };
    exhausted.saturating_add(close::finish(ctx, id, ending, due))
}

fn prune(ctx: &mut Ctx<'_>, subject: Subject) {
    match subject {
        Subject::Deployment(id) => deployment::prune_deployment(ctx, id),
        Subject::Group(id) => deployment::prune_group(ctx, id),
        Subject::Order(id) => ctx.remove(keys::order(id)),
        Subject::Lease(id) => close::prune_lease(ctx, id),
    }
}

/// In the first block after a gap of over [`GAP`] seconds: deadlines other
/// than exhaustion that fell into the gap move to `now` + [`GAP`], so that a
/// chain that stood still costs nobody an order or a lease. Runs once after a
/// halt, over as many deadlines as fell into it.
pub fn shift_deadlines_after_gap(ctx: &mut Ctx<'_>, last_block: u64) {
    if ctx.now().saturating_sub(last_block) <= GAP {
        return;
    }
    let to = ctx.now().saturating_add(GAP);
    for deadline in deadlines::between(ctx, last_block, ctx.now()) {
        if deadline.kind != Kind::Exhaustion {
            shift(ctx, deadline, to);
        }
    }
}

fn shift(ctx: &mut Ctx<'_>, deadline: Deadline, to: u64) {
    match (deadline.kind, deadline.subject) {
        (Kind::Overdrawn, Subject::Deployment(id)) => escrow::move_overdrawn(ctx, id, to),
        (kind, Subject::Lease(id)) => shift_lease(ctx, id, kind, to),
        (kind, Subject::Order(id)) => shift_order(ctx, id, kind, to),
        (_, subject) => {
            deadlines::cancel(ctx, deadline);
            deployment::move_pruning(ctx, subject, to);
        }
    }
}

fn shift_lease(ctx: &mut Ctx<'_>, id: LeaseId, kind: Kind, to: u64) {
    let Some(before) = lease(ctx, id) else { return };
    let mut after: Lease = before.clone();
    match kind {
        Kind::Start => after.start_deadline = to,
        Kind::Reclamation => after.reclaimed_at = to,
        Kind::Expiry => after.expires_at = to,
        Kind::Jailing => after.jailed_at = to,
        Kind::Pruning => after.prune_at = to,
        _ => return,
    }
    close::rewrite(ctx, id, &before, &after);
    if after.is_live() {
        escrow::end_lease_at(ctx, id, close::paid_until(&after));
    }
}

fn shift_order(ctx: &mut Ctx<'_>, id: OrderId, kind: Kind, to: u64) {
    let Some(before) = order(ctx, id) else { return };
    let mut after: Order = before.clone();
    match kind {
        Kind::Reveal => {
            let reveal = before.match_at.saturating_sub(before.closes_at);
            after.closes_at = to;
            after.match_at = to.saturating_add(reveal);
        }
        Kind::Match => {
            after.match_at = to;
            if !after.sealed {
                after.closes_at = to;
            }
        }
        Kind::Pruning => after.prune_at = to,
        _ => return,
    }
    if let Some(deadline) = open::deadline_of(id, &before) {
        deadlines::cancel(ctx, deadline);
    }
    if let Some(deadline) = open::deadline_of(id, &after) {
        deadlines::schedule(ctx, deadline);
    }
    if after.state == super::OrderState::Open {
        index::order_closed(ctx, id, &before);
        index::order_opened(ctx, id, &after);
    }
    ctx.put(keys::order(id), &after);
}
