//! The modules. Each writes only its own keys, and calls another through that
//! module's public functions.
//!
//! First byte of a key: whose it is. Those from [`crate::store::INDEX_SPACE`]
//! on are derived indexes.
//!
//! | byte | module |
//! | --- | --- |
//! | 0x00 | the chain itself (last block) |
//! | 0x01.. | auth |
//! | 0x08.. | bank |
//! | 0x10.. | provider |
//! | 0x18.. | audit |
//! | 0x20.. | cert |
//! | 0x28.. | deployment |
//! | 0x30.. | market |
//! | 0x40.. | escrow |
//! | 0x48.. | staking |
//! | 0x50.. | slashing |
//! | 0x54.. | mint |
//! | 0x58.. | distribution |
//! | 0x60.. | gov |
//! | 0x68.. | authz |
//! | 0x6c.. | feegrant |
//! | 0x70.. | upgrade |
//! | 0x74 | consensus |
//! | 0x90.. | provider's indexes |
//! | 0xa0 | the queue of deadlines |
//! | 0xb0.. | market's indexes |
//! | 0xc0.. | staking's indexes |
//! | 0xc8.. | gov's indexes |
//! | 0xd0.. | authz' indexes |
//! | 0xd4.. | feegrant's indexes |
//! | 0xd8.. | auth's indexes |

pub mod audit;
pub mod auth;
pub mod authz;
pub mod bank;
pub mod cert;
pub mod consensus;
pub mod deadlines;
pub mod deployment;
pub mod distribution;
pub mod escrow;
pub mod feegrant;
pub mod gov;
pub mod market;
pub mod mint;
pub mod provider;
pub mod slashing;
pub mod staking;
mod update_params;
pub mod upgrade;

use std::collections::BTreeMap;

use crate::app::ValidatorUpdate;
use crate::ctx::Ctx;
use crate::input::BlockInput;
use crate::types::{Denom, Fine};

/// Key of the last block's time.
const LAST_BLOCK: u8 = 0x00;

/// Unix seconds of the last block; none before the first.
pub fn last_block_time(ctx: &Ctx<'_>) -> Option<u64> {
    ctx.get(&[LAST_BLOCK])
}

/// Before a block's transactions.
///
/// A plan of upgrade comes first, for what follows works on what it leaves;
/// fees go to those who voted before any of them is punished.
pub fn begin_block(ctx: &mut Ctx<'_>, input: &BlockInput) {
    upgrade::begin_block(ctx);
    auth::begin_block(ctx);
    mint::begin_block(ctx);
    distribution::begin_block(ctx, input);
    slashing::begin_block(ctx, input);
    authz::begin_block(ctx);
    if let Some(last) = last_block_time(ctx) {
        market::shift_deadlines_after_gap(ctx, last);
    }
    let now = ctx.now();
    set_last_block_time(ctx, now);
}

/// Notes when the last block was.
pub fn set_last_block_time(ctx: &mut Ctx<'_>, time: u64) {
    ctx.put(vec![LAST_BLOCK], &time);
}

/// What is due at a block's end, and whose voting power has changed. Nothing
/// here can fail. Staking comes last, for all the others may move stake.
pub fn end_block(ctx: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    provider::end_block(ctx);
    market::end_block(ctx);
    gov::end_block(ctx);
    feegrant::end_block(ctx);
    staking::end_block(ctx)
}

/// What is wrong with the state, in words; empty: nothing.
pub fn check_invariants(ctx: &Ctx<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    check_supply(ctx, &mut broken);
    auth::check_invariants(ctx, &mut broken);
    provider::check_invariants(ctx, &mut broken);
    audit::check_invariants(ctx, &mut broken);
    cert::check_invariants(ctx, &mut broken);
    staking::check_invariants(ctx, &mut broken);
    slashing::check_invariants(ctx, &mut broken);
    distribution::check_invariants(ctx, &mut broken);
    gov::check_invariants(ctx, &mut broken);
    authz::check_invariants(ctx, &mut broken);
    feegrant::check_invariants(ctx, &mut broken);
    check_indexes(ctx, &mut broken);
    check_groups(ctx, &mut broken);
    check_escrows(ctx, &mut broken);
    broken
}

/// A group waits for what is there: its OPEN order, or its live lease; and
/// nothing of that kind is without its group.
fn check_groups(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    use deployment::{Current, GroupState};
    let groups: BTreeMap<_, _> = deployment::all_groups(ctx).collect();
    for (id, group) in &groups {
        let sound = match group.current {
            Current::Idle => true,
            Current::Order(oseq) => market::order(ctx, id.order(oseq))
                .is_some_and(|order| order.state == market::OrderState::Open),
            Current::Lease(lease) => {
                lease.order.group == *id
                    && market::lease(ctx, lease).is_some_and(|lease| lease.is_live())
            }
        };
        if !sound || (group.state != GroupState::Open && group.current != Current::Idle) {
            broken.push(format!("group {id} waits for {:?}, which is not there", group.current));
        }
    }
    let current = |id| groups.get(&id).map(|group| group.current);
    for id in market::open_orders(ctx) {
        if current(id.group) != Some(Current::Order(id.oseq)) {
            broken.push(format!("order {id} is open, but its group does not wait for it"));
        }
    }
    for (id, _) in market::live_leases(ctx) {
        if current(id.order.group) != Some(Current::Lease(id)) {
            broken.push(format!("lease {id} is live, but its group does not wait for it"));
        }
    }
}

/// Each account pays the paid leases of its deployment, each until its end,
/// and stands in the queue where it will be used up.
fn check_escrows(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let mut paid = BTreeMap::new();
    for (id, lease) in market::live_leases(ctx) {
        if lease.state != market::LeaseState::Pending {
            let ends_at = market::paid_until(&lease);
            paid.insert(id, (lease.cost_rate, lease.provider_rate, ends_at));
        }
    }
    for (id, account) in escrow::accounts(ctx) {
        if account.exhausts_at != account.predict() {
            broken.push(format!("the account of {id} is not queued where it will be used up"));
        }
        for lease in &account.leases {
            let wanted = (lease.cost_rate, lease.provider_rate, lease.ends_at);
            let found = paid.remove(&lease.lease);
            if lease.lease.deployment() != id || found != Some(wanted) {
                broken.push(format!("the account of {id} pays lease {} otherwise", lease.lease));
            }
        }
    }
    for id in paid.keys() {
        broken.push(format!("nothing pays lease {id}"));
    }
}

/// The derived indexes are what the records say.
fn check_indexes(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    if market::derive(ctx) != market::stored(ctx) {
        broken.push("the market's indexes are not what its records say".to_owned());
    }
    let escrows = escrow::accounts(ctx).flat_map(|(id, a)| escrow::deadlines_of(id, &a));
    let deployments = deployment::all(ctx).filter_map(|(id, d)| deployment::deadlines_of(id, &d));
    let groups =
        deployment::all_groups(ctx).filter_map(|(id, g)| deployment::group_deadlines_of(id, &g));
    let waiting = market::deadlines_of_all(ctx).into_iter();
    let waiting = waiting.chain(escrows).chain(deployments).chain(groups);
    let wanted: std::collections::BTreeSet<Vec<u8>> =
        waiting.map(|deadline| deadlines::entry_key(&deadline)).collect();
    let found = deadlines::between(ctx, 0, u64::MAX.saturating_sub(1));
    let found = found.iter().map(deadlines::entry_key).collect();
    if wanted != found {
        let missing: Vec<_> =
            wanted.difference(&found).filter_map(|k| deadlines::parse_entry(k)).collect();
        let surplus: Vec<_> =
            found.difference(&wanted).filter_map(|k| deadlines::parse_entry(k)).collect();
        broken.push(format!("the queue of deadlines lacks {missing:?}, has {surplus:?}"));
    }
}

/// balances + what modules hold = supply, in every denom.
fn check_supply(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let mut held = Holdings::default();
    for (_, account) in auth::accounts(ctx) {
        account.balances.iter().for_each(|coin| held.add(&coin.denom, coin.amount.to_fine()));
    }
    bank::collected_fees(ctx).iter().for_each(|coin| held.add(&coin.denom, coin.amount.to_fine()));
    provider::add_holdings(ctx, &mut held);
    staking::add_holdings(ctx, &mut held);
    distribution::add_holdings(ctx, &mut held);
    gov::add_holdings(ctx, &mut held);
    for (denom, money) in escrow::held(ctx).chain(escrow::pool(ctx)).chain(market::held(ctx)) {
        held.add(&denom, money);
    }
    for coin in bank::supplies(ctx) {
        let found = held.0.remove(&coin.denom).unwrap_or_default();
        if found != coin.amount.to_fine() {
            broken
                .push(format!("supply of {} is {}, but {found} is held", coin.denom, coin.amount));
        }
    }
    for (denom, found) in held.0 {
        broken.push(format!("{found}{denom} is held, but {denom} has no supply"));
    }
}

/// Money found, by denom, in 10^-18 units.
#[derive(Default)]
pub struct Holdings(BTreeMap<Denom, Fine>);

impl Holdings {
    /// Adds what was found.
    pub fn add(&mut self, denom: &Denom, money: Fine) {
        let sum = self.0.entry(denom.clone()).or_default();
        *sum = sum.saturating_add(money);
    }
}
