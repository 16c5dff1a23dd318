//! The market at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::counters::{Counters, Role, Week};
use super::records::{bids, leases, orders};
use super::{close, index, keys, open, params, Bid, Lease, Order, Params};
use crate::ctx::Ctx;
use crate::modules::deadlines;
use crate::types::{Address, LeaseId, OrderId};

/// Market's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// What governance sets.
    pub params: Params,
    /// By id.
    pub orders: Vec<GenesisOrder>,
    /// By id.
    pub bids: Vec<GenesisBid>,
    /// By id.
    pub leases: Vec<GenesisLease>,
    /// By role and address.
    pub counters: Vec<GenesisCounters>,
    /// By provider and tenant.
    pub weeks: Vec<GenesisWeek>,
}

macro_rules! with_id {
    ($(#[$doc:meta])* $name:ident { $($field:ident : $type:ty),* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "a record and what it is known by")]
        pub struct $name {
            $(pub $field: $type,)*
        }
    };
}
with_id! {
    /// An order with its id.
    GenesisOrder { id: OrderId, order: Order }
}
with_id! {
    /// A bid with its id.
    GenesisBid { id: LeaseId, bid: Bid }
}
with_id! {
    /// A lease with its id.
    GenesisLease { id: LeaseId, lease: Lease }
}
with_id! {
    /// Counters with their owner.
    GenesisCounters { role: Role, address: Address, counters: Counters }
}
with_id! {
    /// A week with its parties.
    GenesisWeek { provider: Address, tenant: Address, week: Week }
}

/// Writes the records, enters their deadlines, and derives the indexes.
/// Deployments come first.
///
/// # Errors
/// Parameters that are wrong in themselves, or a bid or lease without its
/// order.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    genesis.params.validate()?;
    ctx.put(keys::params(), &genesis.params);
    for GenesisOrder { id, order } in &genesis.orders {
        ctx.put(keys::order(*id), order);
        if let Some(deadline) = open::deadline_of(*id, order) {
            deadlines::schedule(ctx, deadline);
        }
    }
    for GenesisBid { id, bid } in &genesis.bids {
        check_order(ctx, "bid", *id)?;
        ctx.put(keys::bid(*id), bid);
    }
    for GenesisLease { id, lease } in &genesis.leases {
        check_order(ctx, "lease", *id)?;
        ctx.put(keys::lease(*id), lease);
        for deadline in close::deadlines_of(*id, lease) {
            deadlines::schedule(ctx, deadline);
        }
    }
    for GenesisCounters { role, address, counters } in &genesis.counters {
        ctx.put(keys::counters(*role, address), counters);
    }
    for GenesisWeek { provider, tenant, week } in &genesis.weeks {
        ctx.put(keys::week(provider, tenant), week);
    }
    for (key, value) in index::derive(ctx) {
        ctx.put_raw(key, value);
    }
    Ok(())
}

fn check_order(ctx: &Ctx<'_>, what: &str, id: LeaseId) -> Result<(), String> {
    if ctx.has(&keys::order(id.order)) {
        return Ok(());
    }
    Err(format!("{what} {id} has no order"))
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let counters = ctx.prefix(&keys::all_counters()).filter_map(|(key, value)| {
        let (role, address) = keys::counters_of(&key)?;
        let counters = crate::state::decode(&key, &value);
        Some(GenesisCounters { role, address, counters })
    });
    let weeks = ctx.prefix(&keys::weeks()).filter_map(|(key, value)| {
        let (provider, tenant) = keys::week_parties(&key)?;
        Some(GenesisWeek { provider, tenant, week: crate::state::decode(&key, &value) })
    });
    Genesis {
        params: params(ctx),
        orders: orders(ctx).map(|(id, order)| GenesisOrder { id, order }).collect(),
        bids: bids(ctx).map(|(id, bid)| GenesisBid { id, bid }).collect(),
        leases: leases(ctx).map(|(id, lease)| GenesisLease { id, lease }).collect(),
        counters: counters.collect(),
        weeks: weeks.collect(),
    }
}

/// Where the market's records wait in the queue.
pub fn deadlines_of_all(ctx: &Ctx<'_>) -> Vec<deadlines::Deadline> {
    let orders = orders(ctx).filter_map(|(id, order)| open::deadline_of(id, &order));
    let leases = leases(ctx).flat_map(|(id, lease)| close::deadlines_of(id, &lease));
    orders.chain(leases).collect()
}
