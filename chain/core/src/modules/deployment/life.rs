//! How deployments and groups move between their states.

use super::{
    get, group, groups, keys, put_group, Current, Deployment, DeploymentState, Group, GroupState,
};
use crate::ctx::Ctx;
use crate::event;
use crate::modules::deadlines::{self, Deadline, Kind, Subject};
use crate::modules::market::{self, CloseReason};
use crate::modules::{deployment, escrow};
use crate::types::{Address, Amount, Coin, Denom, DeploymentId, Fine, GroupId, Hash};
use stoa_proto::deployment::v1 as pb;

/// Seconds that a least deposit pays for at the max rates.
const MIN_RUNWAY: u64 = 3_600;
/// Seconds of a day, for the bound on reopenings.
const DAY: u64 = 86_400;

/// max(parameter, sum of max rates × 3,600 s) over the groups not CLOSED.
pub fn min_deposit(ctx: &Ctx<'_>, id: DeploymentId, denom: &Denom) -> Amount {
    let groups = groups(ctx, id);
    min_deposit_for(ctx, denom, groups.iter().map(|(_, group)| &group.spec))
}

/// The same for groups that are yet to be.
pub(super) fn min_deposit_for<'a>(
    ctx: &Ctx<'_>,
    denom: &Denom,
    specs: impl Iterator<Item = &'a super::spec::GroupSpec>,
) -> Amount {
    let least = escrow::market_denom(ctx, denom).map(|denom| denom.min_deposit);
    let sum =
        specs.fold(Fine::ZERO, |sum, spec| sum.saturating_add(spec.max_rate().over(MIN_RUNWAY)));
    least.unwrap_or_default().max(sum.ceil())
}

/// Writes a new group and opens its first order.
pub(super) fn add_group(ctx: &mut Ctx<'_>, id: GroupId, spec: super::spec::GroupSpec) {
    let group = Group {
        state: GroupState::Open,
        spec,
        orders: 0,
        current: Current::Idle,
        excluded: Vec::new(),
        reopened: (0, 0),
        prune_at: 0,
    };
    put_group(ctx, id, &group);
    open_order(ctx, id);
}

/// Opens the group's next order.
pub(super) fn open_order(ctx: &mut Ctx<'_>, id: GroupId) -> Option<crate::types::OrderId> {
    let deployment = get(ctx, id.deployment)?;
    let mut record = group(ctx, id)?;
    record.orders = record.orders.saturating_add(1);
    let order = id.order(record.orders);
    record.current = Current::Order(record.orders);
    put_group(ctx, id, &record);
    market::open_order(ctx, order, &deployment, &record);
    Some(order)
}

/// An order ended without a lease: the group is OPEN and idle.
pub fn order_ended(ctx: &mut Ctx<'_>, id: GroupId) {
    deployment::set_current(ctx, id, Current::Idle);
}

/// Takes the group's order or lease away. Answers leases closed and bids
/// released.
fn clear(ctx: &mut Ctx<'_>, id: GroupId, reason: CloseReason, time: u64) -> u64 {
    match group(ctx, id).map(|group| group.current) {
        Some(Current::Order(oseq)) => market::cancel_order(ctx, id.order(oseq), reason),
        Some(Current::Lease(lease)) => market::close_lease(ctx, lease, reason, time),
        Some(Current::Idle) | None => 0,
    }
}

/// OPEN → PAUSED.
pub(super) fn pause(ctx: &mut Ctx<'_>, id: GroupId, reason: CloseReason, time: u64) -> u64 {
    let work = clear(ctx, id, reason, time);
    set_state(ctx, id, GroupState::Paused);
    work
}

/// Exhaustion pauses every OPEN group. Answers leases closed and bids
/// released.
pub fn pause_exhausted(ctx: &mut Ctx<'_>, id: DeploymentId, time: u64) -> u64 {
    let open = groups(ctx, id).into_iter().filter(|(_, group)| group.state == GroupState::Open);
    let open: Vec<GroupId> = open.map(|(id, _)| id).collect();
    open.into_iter()
        .fold(0, |work, id| work.saturating_add(pause(ctx, id, CloseReason::FundsExhausted, time)))
}

/// → CLOSED, and the deployment with its last group. Answers leases closed and
/// bids released.
pub(super) fn close_group(ctx: &mut Ctx<'_>, id: GroupId, time: u64) -> u64 {
    let work = clear(ctx, id, CloseReason::DeploymentClosed, time);
    let prune_at = ctx.now().saturating_add(market::params(ctx).keep_closed);
    if let Some(mut record) = group(ctx, id) {
        record.prune_at = prune_at;
        put_group(ctx, id, &record);
        deadlines::schedule(ctx, Deadline::new(prune_at, Kind::Pruning, Subject::Group(id)));
    }
    set_state(ctx, id, GroupState::Closed);
    work
}

fn set_state(ctx: &mut Ctx<'_>, id: GroupId, state: GroupState) {
    let Some(mut record) = group(ctx, id) else { return };
    record.state = state;
    record.current = match state {
        GroupState::Open => record.current,
        GroupState::Paused | GroupState::Closed => Current::Idle,
    };
    put_group(ctx, id, &record);
    let owner = id.deployment.owner;
    ctx.emit(event!(pb::EventGroupState { group: id, owner: owner, state: state.name() }));
}

/// PAUSED → OPEN with a new order.
pub(super) fn start(ctx: &mut Ctx<'_>, id: GroupId) -> Option<crate::types::OrderId> {
    set_state(ctx, id, GroupState::Open);
    open_order(ctx, id)
}

/// Whether all groups are CLOSED.
pub(super) fn all_closed(ctx: &Ctx<'_>, id: DeploymentId) -> bool {
    groups(ctx, id).is_empty()
}

/// Closes all groups, settles, and returns what is left to the depositors.
/// Answers what was returned, and leases closed and bids released.
pub fn close_deployment(
    ctx: &mut Ctx<'_>,
    id: DeploymentId,
    reason: &'static str,
    time: u64,
) -> (Option<Coin>, u64) {
    let Some(mut record) = get(ctx, id) else { return (None, 0) };
    if record.state == DeploymentState::Closed {
        return (None, 0);
    }
    let mut work = escrow::touch(ctx, id, time);
    for (group_id, _) in groups(ctx, id) {
        work = work.saturating_add(close_group(ctx, group_id, time));
    }
    let returned = escrow::close(ctx, id);
    record.state = DeploymentState::Closed;
    record.closed_at = ctx.now();
    record.prune_at = ctx.now().saturating_add(market::params(ctx).keep_closed);
    ctx.put(keys::deployment(id), &record);
    let subject = Subject::Deployment(id);
    deadlines::schedule(ctx, Deadline::new(record.prune_at, Kind::Pruning, subject));
    ctx.emit(event!(pb::EventDeploymentClosed { deployment: id, owner: id.owner, reason: reason }));
    (returned, work)
}

/// Whether the group may be reopened once more today.
pub fn can_reopen(ctx: &Ctx<'_>, id: GroupId) -> bool {
    let today = ctx.now().checked_div(DAY).unwrap_or_default();
    let reopened = group(ctx, id).map(|group| group.reopened);
    let times = reopened.filter(|(day, _)| *day == today).map_or(0, |(_, times)| times);
    times < market::params(ctx).max_reopens
}

/// A lease ended other than by pausing or closing: opens a new order, closed
/// to the lease's provider where `exclude`, at most `max_reopens` a day.
/// Answers whether it did.
pub fn reopen_after(ctx: &mut Ctx<'_>, id: GroupId, provider: Address, exclude: bool) -> bool {
    let Some(mut record) = group(ctx, id) else { return false };
    if record.state != GroupState::Open {
        return false;
    }
    if !can_reopen(ctx, id) {
        return false;
    }
    let today = ctx.now().checked_div(DAY).unwrap_or_default();
    let (day, times) = record.reopened;
    let times = if day == today { times } else { 0 };
    record.reopened = (today, times.saturating_add(1));
    put_group(ctx, id, &record);
    if exclude {
        keep_out(ctx, id, provider);
    }
    open_order(ctx, id).is_some()
}

/// Keeps a provider out of the group's later orders.
pub(in crate::modules) fn keep_out(ctx: &mut Ctx<'_>, id: GroupId, provider: Address) {
    let Some(mut record) = group(ctx, id) else { return };
    if record.excluded.contains(&provider) {
        return;
    }
    let most = deployment::params(ctx).max_listed_providers;
    if record.excluded.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        record.excluded.remove(0);
    }
    record.excluded.push(provider);
    put_group(ctx, id, &record);
}

/// Names a new manifest.
pub(super) fn set_version(
    ctx: &mut Ctx<'_>,
    id: DeploymentId,
    mut record: Deployment,
    version: Hash,
    manifest_root: Hash,
) {
    record.version = version;
    record.manifest_root = manifest_root;
    ctx.put(keys::deployment(id), &record);
    ctx.emit(event!(pb::EventDeploymentUpdated {
        deployment: id,
        owner: id.owner,
        version: version
    }));
}

/// Forgets a CLOSED deployment and its escrow account.
pub fn prune_deployment(ctx: &mut Ctx<'_>, id: DeploymentId) {
    ctx.remove(keys::deployment(id));
    escrow::prune(ctx, id);
}

/// Forgets a CLOSED group.
pub fn prune_group(ctx: &mut Ctx<'_>, id: GroupId) {
    ctx.remove(keys::closed_group(id));
}

/// Moves the pruning of a CLOSED deployment or group, whose entry has been
/// taken out of the queue, to a later time.
pub fn move_pruning(ctx: &mut Ctx<'_>, subject: Subject, due: u64) {
    match subject {
        Subject::Deployment(id) => {
            let Some(mut record) = get(ctx, id) else { return };
            record.prune_at = due;
            ctx.put(keys::deployment(id), &record);
        }
        Subject::Group(id) => {
            let Some(mut record) = group(ctx, id) else { return };
            record.prune_at = due;
            put_group(ctx, id, &record);
        }
        Subject::Order(_) | Subject::Lease(_) => return,
    }
    deadlines::schedule(ctx, Deadline::new(due, Kind::Pruning, subject));
}
