//! Whether machine and reference are in the same state, by the machine's
//! queries, to 10^-18 units.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use prost::Message;
use stoa_chain::types::{Address, DeploymentId, LeaseId, OrderId};
use stoa_proto::cosmos::bank::v1beta1 as bank;
use stoa_proto::cosmos::base::query::v1beta1::PageRequest;
use stoa_proto::cosmos::base::v1beta1::DecCoin;
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::escrow::v1 as epb;
use stoa_proto::market::v1 as mpb;
use stoa_proto::provider::v1 as ppb;
use stoa_proto::types::v1 as tpb;

use crate::machine::Machine;
use crate::reference::{
    AccountState, BidState, Counters, Deployment, Group, GroupState, Lease, LeaseState, Order,
    OrderState, World,
};
use crate::scenario::Cast;

/// Collects what differs.
struct Differences(Vec<String>);

impl Differences {
    fn check<T: PartialEq + Debug>(&mut self, what: &str, machine: T, reference: T) {
        if machine != reference {
            self.0.push(format!("{what}: machine has {machine:?}, reference has {reference:?}"));
        }
    }

    /// Records by id; those that only one side has are differences.
    fn pair<'a, K: Ord + Debug, M, R>(
        &mut self,
        what: &str,
        machine: &'a BTreeMap<K, M>,
        reference: &'a BTreeMap<K, R>,
    ) -> Vec<(&'a K, &'a M, &'a R)> {
        let ids = |keys: Vec<&'a K>| keys.into_iter().collect::<BTreeSet<_>>();
        let (ours, theirs) = (ids(machine.keys().collect()), ids(reference.keys().collect()));
        for id in ours.difference(&theirs) {
            self.0.push(format!("{what} {id:?} is in the machine only"));
        }
        for id in theirs.difference(&ours) {
            self.0.push(format!("{what} {id:?} is in the reference only"));
        }
        let both = ours.intersection(&theirs);
        both.map(|id| (*id, &machine[id], &reference[id])).collect()
    }
}

fn fine(coin: &Option<DecCoin>) -> u128 {
    coin.as_ref().unwrap().amount.parse().unwrap()
}

fn units(coin: &Option<stoa_proto::cosmos::base::v1beta1::Coin>) -> u128 {
    coin.as_ref().map_or(0, |coin| coin.amount.parse().unwrap())
}

fn all() -> Option<PageRequest> {
    Some(PageRequest { limit: 1_000, ..PageRequest::default() })
}

fn ask<R: Message + Default>(machine: &Machine, path: &str, request: &impl Message) -> R {
    machine.query(path, request).unwrap_or_else(|failure| panic!("{path}: {failure}"))
}

/// All that differs; empty: nothing.
pub fn differences(machine: &Machine, world: &World, cast: &Cast) -> Vec<String> {
    let mut found = Differences(Vec::new());
    // Both settle lazily; what they show is carried to this moment.
    let settled = &world.settled();
    compare_deployments(machine, world, &mut found);
    compare_orders(machine, world, &mut found);
    let accounts = accounts(machine);
    compare_leases(machine, settled, &accounts, &mut found);
    if !world.left_over {
        compare_accounts(settled, &accounts, &mut found);
        compare_pool(machine, settled, &accounts, &mut found);
    }
    compare_counters(machine, world, cast, &mut found);
    compare_providers(machine, world, cast, &mut found);
    compare_balances(machine, world, cast, &mut found);
    found.0
}

fn group_state(state: GroupState) -> i32 {
    match state {
        GroupState::Open => 1,
        GroupState::Paused => 2,
        GroupState::Closed => 3,
    }
}

/// Those that are still in the state.
fn deployments_of(world: &World) -> BTreeMap<DeploymentId, &Deployment> {
    let kept = world.deployments.iter().filter(|(_, deployment)| !deployment.pruned);
    kept.map(|(id, deployment)| (*id, deployment)).collect()
}

fn compare_deployments(machine: &Machine, world: &World, found: &mut Differences) {
    let request = dpb::QueryDeploymentsRequest { pagination: all(), ..Default::default() };
    let answer: dpb::QueryDeploymentsResponse =
        ask(machine, "/stoa.deployment.v1.Query/Deployments", &request);
    let deployments: BTreeMap<DeploymentId, _> = answer
        .deployments
        .into_iter()
        .map(|entry| {
            let id = entry.deployment.as_ref().unwrap().id.clone().unwrap();
            (DeploymentId::try_from(id).unwrap(), entry)
        })
        .collect();
    for (id, ours, theirs) in found.pair("deployment", &deployments, &deployments_of(world)) {
        let what = format!("deployment {id:?}");
        compare_deployment(&what, ours.deployment.as_ref().unwrap(), theirs, found);
        let groups = ours.groups.iter().map(|group| (group.id.as_ref().unwrap().gseq, group));
        let groups: BTreeMap<u32, _> = groups.collect();
        let kept = theirs.groups.iter().filter(|(_, group)| !group.pruned);
        let kept: BTreeMap<u32, &Group> = kept.map(|(gseq, group)| (*gseq, group)).collect();
        for (gseq, ours, theirs) in found.pair(&format!("{what} group"), &groups, &kept) {
            compare_group(&format!("{what} group {gseq}"), ours, theirs, found);
        }
    }
}

fn compare_deployment(
    what: &str,
    ours: &dpb::Deployment,
    theirs: &Deployment,
    found: &mut Differences,
) {
    found.check(&format!("{what} active"), ours.state == 1, theirs.active);
    found.check(&format!("{what} denom"), &ours.denom, &theirs.denom);
    found.check(&format!("{what} version"), &ours.version, &theirs.version);
    found.check(&format!("{what} root"), &ours.manifest_root, &theirs.manifest_root);
    found.check(&format!("{what} window"), ours.bid_window, theirs.window);
    found.check(&format!("{what} sealed"), ours.sealed, theirs.sealed);
    found.check(&format!("{what} auction"), ours.auction == 1, theirs.second_price);
    found.check(&format!("{what} reopen"), ours.reopen, theirs.reopen);
    found.check(&format!("{what} groups so far"), ours.groups, theirs.groups_so_far);
    let (ours, theirs) = (
        (ours.created_at, ours.created_height, ours.closed_at),
        (theirs.created_at, theirs.created_height, theirs.closed_at),
    );
    found.check(&format!("{what} times"), ours, theirs);
}

fn compare_group(what: &str, ours: &dpb::Group, theirs: &Group, found: &mut Differences) {
    found.check(&format!("{what} state"), ours.state, group_state(theirs.state));
    found.check(&format!("{what} orders so far"), ours.orders, theirs.orders_so_far);
    let ours = asked_for(ours.spec.as_ref().unwrap());
    found.check(&format!("{what} spec"), ours, asked_for(&theirs.spec));
}

/// A spec in one form: lists are sets, and asking for nothing is leaving it out.
fn asked_for(spec: &tpb::GroupSpec) -> tpb::GroupSpec {
    let mut spec = spec.clone();
    for unit in spec.resources.iter_mut().filter_map(|resource| resource.unit.as_mut()) {
        unit.gpu = unit.gpu.take().filter(|gpu| gpu.units > 0);
    }
    let mut needs = spec.requirements.take().unwrap_or_default();
    let signed_by = needs.signed_by.get_or_insert_default();
    signed_by.any_of.sort();
    signed_by.all_of.sort();
    needs.excluded_providers.sort();
    needs.allowed_providers.sort();
    needs.min_stake = needs.min_stake.trim_start_matches('0').to_owned();
    spec.requirements = Some(needs);
    spec
}

/// By id, each with its gseq.
fn reference_orders(world: &World) -> BTreeMap<OrderId, &Order> {
    let mut all = BTreeMap::new();
    for (id, deployment) in &world.deployments {
        for (gseq, group) in &deployment.groups {
            let orders = group.orders.iter();
            all.extend(orders.map(|(oseq, order)| (id.group(*gseq).order(*oseq), order)));
        }
    }
    all
}

fn compare_orders(machine: &Machine, world: &World, found: &mut Differences) {
    let request = mpb::QueryOrdersRequest { pagination: all(), ..Default::default() };
    let answer: mpb::QueryOrdersResponse = ask(machine, "/stoa.market.v1.Query/Orders", &request);
    let orders: BTreeMap<OrderId, _> = answer
        .orders
        .into_iter()
        .map(|order| (OrderId::try_from(order.id.clone()).unwrap(), order))
        .collect();
    for (id, ours, theirs) in found.pair("order", &orders, &reference_orders(world)) {
        compare_order(machine, *id, ours, theirs, world, found);
    }
}

fn compare_order(
    machine: &Machine,
    id: OrderId,
    ours: &mpb::Order,
    theirs: &Order,
    world: &World,
    found: &mut Differences,
) {
    let what = format!("order {id}");
    let state = match theirs.state {
        OrderState::Open => 1,
        OrderState::Matched => 2,
        OrderState::Unmatched => 3,
        OrderState::Cancelled => 4,
    };
    found.check(&format!("{what} state"), ours.state, state);
    found.check(&format!("{what} max rate"), fine(&ours.max_rate), theirs.max_rate);
    let ours_times = (ours.opened_at, ours.closes_at, ours.match_at);
    let theirs_times = (theirs.opened_at, theirs.closes_at, theirs.match_at);
    found.check(&format!("{what} times"), ours_times, theirs_times);
    found.check(&format!("{what} deposit"), units(&ours.bid_deposit), theirs.deposit_units);
    let sealed = world.deployments[&id.deployment()].sealed;
    found.check(&format!("{what} sealed"), ours.sealed, sealed);
    let excluded: Vec<Address> =
        ours.excluded_providers.iter().map(|text| text.parse().unwrap()).collect();
    found.check(&format!("{what} excluded"), &excluded, &theirs.excluded);
    let reason = ours.unmatched_reason.is_empty();
    found.check(&format!("{what} has no reason"), reason, state != 3);
    compare_bids(machine, id, ours, theirs, found);
}

fn compare_bids(
    machine: &Machine,
    id: OrderId,
    order: &mpb::Order,
    theirs: &Order,
    found: &mut Differences,
) {
    let request =
        mpb::QueryBidsRequest { order: Some(id.into()), pagination: all(), ..Default::default() };
    let answer: mpb::QueryBidsResponse = ask(machine, "/stoa.market.v1.Query/Bids", &request);
    type Seen = (Address, bool, u128, (u64, u32, u32), Vec<u8>, Vec<(u32, String)>);
    let ours = answer.bids.iter().filter(|bid| bid.state == 1 || bid.state == 2).map(|bid| {
        let provider: Address = bid.id.as_ref().unwrap().provider.parse().unwrap();
        let place = (bid.placed_height, bid.placed_tx, bid.placed_msg);
        let gpus = bid.gpus.iter().map(|offer| (offer.unit, offer.model.clone())).collect();
        (provider, bid.state == 2, fine(&bid.rate), place, bid.commitment.clone(), gpus)
    });
    let ours: Vec<Seen> = ours.collect();
    let mut bids: Vec<_> = theirs.bids.iter().collect();
    let sealed = order.sealed;
    // "Bids of one order, best first"; sealed ones hide what is best.
    bids.sort_by_key(|bid| (bid.rate, bid.place));
    let theirs_bids = bids.into_iter().map(|bid| {
        let (won, rate) = (bid.state == BidState::Won, bid.rate.unwrap_or_default());
        (bid.provider, won, rate, bid.place, bid.commitment.clone(), bid.gpus.clone())
    });
    let mut theirs_bids: Vec<Seen> = theirs_bids.collect();
    let mut ours = ours;
    if sealed {
        ours.sort();
        theirs_bids.sort();
    }
    found.check(&format!("bids of {id}"), &ours, &theirs_bids);
    if order.state == 1 {
        found.check(&format!("bids counted of {id}"), order.bids as usize, theirs_bids.len());
    }
}

fn reference_leases(world: &World) -> BTreeMap<LeaseId, (&Lease, u128)> {
    let orders = reference_orders(world).into_iter();
    let leases = orders.filter_map(|(id, order)| {
        let lease = order.lease.as_ref()?;
        Some((id.lease(lease.provider), (lease, order.deposit_units)))
    });
    leases.collect()
}

fn machine_leases(machine: &Machine) -> BTreeMap<LeaseId, mpb::Lease> {
    let request = mpb::QueryLeasesRequest { pagination: all(), ..Default::default() };
    let answer: mpb::QueryLeasesResponse = ask(machine, "/stoa.market.v1.Query/Leases", &request);
    let leases = answer.leases.into_iter();
    leases.map(|lease| (LeaseId::try_from(lease.id.clone()).unwrap(), lease)).collect()
}

/// Seconds that a lease has not been settled for.
fn unsettled(lease: &mpb::Lease, account: &epb::Account, now: u64) -> u128 {
    let paid = lease.state == 2 || lease.state == 3;
    if paid {
        u128::from(now.saturating_sub(account.settled_at))
    } else {
        0
    }
}

fn compare_leases(
    machine: &Machine,
    settled: &World,
    accounts: &BTreeMap<DeploymentId, epb::QueryAccountResponse>,
    found: &mut Differences,
) {
    let leases = machine_leases(machine);
    for (id, ours, (theirs, deposit)) in found.pair("lease", &leases, &reference_leases(settled)) {
        let what = format!("lease {id}");
        let state = match theirs.state {
            LeaseState::Pending => 1,
            LeaseState::Active => 2,
            LeaseState::Reclaiming => 3,
            LeaseState::Closed => 4,
        };
        found.check(&format!("{what} state"), ours.state, state);
        let ours_rates = [&ours.rate, &ours.cost_rate, &ours.provider_rate].map(fine);
        let theirs_rates = [theirs.rate, theirs.cost_rate, theirs.provider_rate];
        found.check(&format!("{what} rates"), ours_rates, theirs_rates);
        found.check(&format!("{what} deposit"), units(&ours.bid_deposit), *deposit);
        let ours_times = [
            ours.matched_at,
            ours.start_deadline,
            ours.started_at,
            ours.reclaimed_at,
            ours.expires_at,
            ours.closed_at,
        ];
        let theirs_times = [
            theirs.matched_at,
            theirs.start_deadline,
            theirs.started_at,
            theirs.reclaimed_at.unwrap_or_default(),
            theirs.expires_at.unwrap_or_default(),
            theirs.closed_at,
        ];
        found.check(&format!("{what} times"), ours_times, theirs_times);
        found.check(&format!("{what} reason"), ours.reason, theirs.reason as i32);
        found.check(&format!("{what} withdrawn"), units(&ours.withdrawn), theirs.withdrawn_units);
        if let Some(account) = accounts.get(&id.deployment()).filter(|_| !settled.left_over) {
            let account = account.account.as_ref().unwrap();
            let since = fine(&ours.provider_rate) * unsettled(ours, account, settled.now);
            let accrued = fine(&ours.accrued) + since;
            found.check(&format!("{what} accrued"), accrued, theirs.accrued);
        }
    }
}

fn accounts(machine: &Machine) -> BTreeMap<DeploymentId, epb::QueryAccountResponse> {
    let request = epb::QueryAccountsRequest { pagination: all(), ..Default::default() };
    let answer: epb::QueryAccountsResponse =
        ask(machine, "/stoa.escrow.v1.Query/Accounts", &request);
    let ids = answer.accounts.into_iter().map(|account| account.id.unwrap());
    ids.map(|id| {
        let request = epb::QueryAccountRequest { id: Some(id.clone()) };
        let answer = ask(machine, "/stoa.escrow.v1.Query/Account", &request);
        (DeploymentId::try_from(id).unwrap(), answer)
    })
    .collect()
}

fn compare_accounts(
    world: &World,
    accounts: &BTreeMap<DeploymentId, epb::QueryAccountResponse>,
    found: &mut Differences,
) {
    for (id, answer, theirs) in found.pair("account", accounts, &deployments_of(world)) {
        let ours = answer.account.as_ref().unwrap();
        let what = format!("account {id:?}");
        let state = match theirs.escrow.state {
            AccountState::Open => 1,
            AccountState::Overdrawn => 2,
            AccountState::Closed => 3,
        };
        found.check(&format!("{what} state"), ours.state, state);
        let balance = theirs.escrow.balance();
        found.check(&format!("{what} balance"), fine(&answer.balance_now), balance);
        found.check(
            &format!("{what} total rate"),
            fine(&ours.total_rate),
            theirs.total_rate(world.now),
        );
        let until = ours.overdrawn_until;
        found.check(&format!("{what} overdrawn until"), until, theirs.escrow.overdrawn_until);
        let entries: Vec<(Address, u128)> = ours
            .depositors
            .iter()
            .map(|entry| (entry.address.parse().unwrap(), fine(&entry.balance)))
            .collect();
        let sum: u128 = entries.iter().map(|(_, left)| left).sum();
        found.check(&format!("{what} entries' sum"), sum, fine(&ours.balance));
        let spent = fine(&ours.balance) - fine(&answer.balance_now);
        let entries = after_spending(entries, spent);
        found.check(&format!("{what} depositors"), &entries, &theirs.escrow.depositors);
        compare_exhaustion(&what, ours, theirs, world.now, found);
    }
}

/// "the oldest entry is spent first".
fn after_spending(entries: Vec<(Address, u128)>, mut spent: u128) -> Vec<(Address, u128)> {
    let mut left = Vec::new();
    for (address, balance) in entries {
        let part = balance.min(spent);
        spent -= part;
        left.push((address, balance - part));
    }
    left
}

/// "predicted at last settlement + ⌈balance / total rate⌉".
fn compare_exhaustion(
    what: &str,
    ours: &epb::Account,
    theirs: &Deployment,
    now: u64,
    found: &mut Differences,
) {
    let rate = theirs.total_rate(now);
    if rate == 0 || theirs.escrow.state != AccountState::Open {
        found.check(&format!("{what} exhaustion"), ours.exhausts_at, 0);
        return;
    }
    // Where the leases' own ends come first, they change the prediction then.
    let left = theirs.escrow.balance();
    let predicted = now + u64::try_from(left.div_ceil(rate)).unwrap();
    found.check(&format!("{what} exhaustion"), ours.exhausts_at, predicted);
}

fn compare_pool(
    machine: &Machine,
    settled: &World,
    accounts: &BTreeMap<DeploymentId, epb::QueryAccountResponse>,
    found: &mut Differences,
) {
    let answer: epb::QueryCommunityPoolResponse =
        ask(machine, "/stoa.escrow.v1.Query/CommunityPool", &epb::QueryCommunityPoolRequest {});
    let mut pool: BTreeMap<String, u128> = BTreeMap::new();
    for coin in answer.pool {
        *pool.entry(coin.denom).or_default() += coin.amount.parse::<u128>().unwrap();
    }
    for (id, lease) in machine_leases(machine) {
        let Some(account) = accounts.get(&id.deployment()) else { continue };
        let since = unsettled(&lease, account.account.as_ref().unwrap(), settled.now);
        let take = fine(&lease.cost_rate) - fine(&lease.provider_rate);
        if since * take > 0 {
            *pool.entry(lease.cost_rate.unwrap().denom).or_default() += since * take;
        }
    }
    let theirs: BTreeMap<String, u128> =
        settled.pool.iter().filter(|(_, m)| **m > 0).map(|(d, m)| (d.clone(), *m)).collect();
    pool.retain(|_, money| *money > 0);
    found.check("community pool", &pool, &theirs);
}

fn compare_counters(machine: &Machine, world: &World, cast: &Cast, found: &mut Differences) {
    for actor in cast.everyone() {
        for provider in [true, false] {
            let address = actor.address.to_string();
            let request = mpb::QueryCountersRequest { address, provider };
            let answer: mpb::QueryCountersResponse =
                ask(machine, "/stoa.market.v1.Query/Counters", &request);
            let ours = answer.counters.unwrap_or_default();
            let amounts = ours.amounts.iter();
            let ours = Counters {
                won: ours.leases_won,
                started: ours.leases_started,
                not_started: ours.leases_not_started,
                by_tenant: ours.closed_by_tenant,
                by_provider: ours.closed_by_provider,
                otherwise: ours.closed_otherwise,
                seconds: ours.seconds_served,
                amounts: amounts.map(|c| (c.denom.clone(), c.amount.parse().unwrap())).collect(),
            };
            let all = if provider { &world.provider_counters } else { &world.tenant_counters };
            let mut theirs = all.get(&actor.address).cloned().unwrap_or_default();
            theirs.amounts.retain(|_, amount| *amount > 0);
            let what = format!("counters of {} (provider: {provider})", actor.address);
            found.check(&what, &ours, &theirs);
        }
    }
}

fn compare_providers(machine: &Machine, world: &World, cast: &Cast, found: &mut Differences) {
    for actor in &cast.providers {
        let what = format!("provider {}", actor.address);
        let request = ppb::QueryProviderRequest { owner: actor.address.to_string() };
        let answer: Result<ppb::QueryProviderResponse, _> =
            machine.query("/stoa.provider.v1.Query/Provider", &request);
        let theirs = world.providers.get(&actor.address);
        found.check(&format!("{what} registered"), answer.is_ok(), theirs.is_some());
        let (Ok(answer), Some(theirs)) = (answer, theirs) else { continue };
        let ours = answer.provider.unwrap();
        found.check(&format!("{what} jailed"), ours.jailed, theirs.jailed);
        found.check(&format!("{what} stake"), ours.stake.parse().unwrap(), theirs.stake_units);
        let reputation = world.reputation(actor.address);
        found.check(&format!("{what} reputation"), answer.reputation, reputation);
        let engaged = (ours.open_bids, ours.live_leases);
        let theirs = (world.open_bids(actor.address), world.live_leases(actor.address));
        found.check(&format!("{what} open bids, live leases"), engaged, theirs);
    }
}

fn compare_balances(machine: &Machine, world: &World, cast: &Cast, found: &mut Differences) {
    let mut theirs = world.units.clone();
    theirs.retain(|_, units| *units > 0);
    found.check("balances", &machine.balances(), &theirs);
    // One account by Cosmos' own query, as wallets ask.
    let poor = cast.poor.address.to_string();
    let request = bank::QueryAllBalancesRequest { address: poor, ..Default::default() };
    let answer: bank::QueryAllBalancesResponse =
        ask(machine, "/cosmos.bank.v1beta1.Query/AllBalances", &request);
    let ours: BTreeMap<(Address, String), u128> = answer
        .balances
        .into_iter()
        .map(|coin| ((cast.poor.address, coin.denom), coin.amount.parse().unwrap()))
        .collect();
    theirs.retain(|(address, _), _| *address == cast.poor.address);
    found.check("balances by query", &ours, &theirs);
}
