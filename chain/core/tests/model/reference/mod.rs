//! The market's rules written down as naively as they can be: plain structs in
//! ordered maps, linear scans, no indexes, every settlement lease by lease. It
//! is made from the rules' text and the protobuf messages alone, so that an
//! error in the state machine is unlikely to be here too.
//!
//! Money is in 10^-18 units (`Fine`) unless a name says `units`.

mod deadlines;
mod eligibility;
mod escrow;
mod groups;
mod leases;
mod messages;
mod orders;
mod providers;
mod share;
mod spec;

pub use messages::Op;
pub use orders::commitment_of;
pub use share::largest_remainder;
pub use spec::max_rate;

use std::collections::{BTreeMap, BTreeSet};

use stoa_chain::types::{Address, DeploymentId, GroupId, LeaseId, OrderId};
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::escrow::v1 as epb;
use stoa_proto::market::v1 as mpb;
use stoa_proto::types::v1 as tpb;

/// 10^-18 units in one unit.
pub const ONE: u128 = 1_000_000_000_000_000_000;
/// Basis points in the whole.
pub const BP: u128 = 10_000;
/// "after a gap of over 60 s ... move to `now` + 60 s".
pub const GAP: u64 = 60;

pub type Fine = u128;

/// Why something is refused: the rule that it breaks.
pub type Refusal = &'static str;

/// What may be refused.
pub type Outcome = Result<(), Refusal>;

/// Parameters in force, as the machine's queries tell them.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pub market: mpb::Params,
    pub escrow: epb::Params,
    pub deployment: dpb::Params,
    /// Seconds until unstaked coins return.
    pub unbonding: u64,
    /// How many unbondings of one provider may be under way.
    pub max_unbondings: u32,
}

/// Height, transaction, message.
pub type Place = (u64, u32, u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderState {
    Open,
    Matched,
    Unmatched,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BidState {
    Open,
    Won,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Pending,
    Active,
    Reclaiming,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    Open,
    Paused,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    Open,
    Overdrawn,
    Closed,
}

/// A bid that is open or has won; others leave with their order's end, and
/// are of no consequence before it.
#[derive(Clone, Debug)]
pub struct Bid {
    pub provider: Address,
    pub state: BidState,
    /// None while sealed and not revealed.
    pub rate: Option<Fine>,
    pub place: Place,
    pub commitment: Vec<u8>,
    pub gpus: Vec<(u32, String)>,
}

#[derive(Clone, Debug)]
pub struct Lease {
    pub provider: Address,
    pub state: LeaseState,
    pub rate: Fine,
    pub cost_rate: Fine,
    pub provider_rate: Fine,
    pub matched_at: u64,
    pub start_deadline: u64,
    pub started_at: u64,
    /// With a duration: when it expires.
    pub expires_at: Option<u64>,
    /// While RECLAIMING: when it ends, why, and what the tenant asked for then.
    pub reclaimed_at: Option<u64>,
    pub reclaim_reason: mpb::CloseReason,
    pub reclaim_reopen: bool,
    pub reclaim_exclude: bool,
    /// Its provider was jailed then.
    pub jailed_at: Option<u64>,
    pub accrued: Fine,
    pub withdrawn_units: u128,
    /// When it ended: its deadline, where that ended it.
    pub closed_at: u64,
    pub reason: mpb::CloseReason,
    pub prune_at: u64,
}

impl Lease {
    /// "*Live* while PENDING, ACTIVE or RECLAIMING".
    pub fn is_live(&self) -> bool {
        self.state != LeaseState::Closed
    }

    /// "*paid* while ACTIVE or RECLAIMING".
    pub fn is_paid(&self) -> bool {
        matches!(self.state, LeaseState::Active | LeaseState::Reclaiming)
    }

    /// When it ends by a deadline of its own, the earliest: "the rest [...] pays
    /// nothing past its due time", whenever the deadline is worked and whatever
    /// touches the account in between.
    pub fn end(&self) -> u64 {
        let reclaimed = self.reclaimed_at.unwrap_or(u64::MAX);
        let expires = self.expires_at.unwrap_or(u64::MAX);
        reclaimed.min(expires).min(self.jailed_at.unwrap_or(u64::MAX))
    }
}

#[derive(Clone, Debug)]
pub struct Order {
    pub state: OrderState,
    pub spec: tpb::GroupSpec,
    pub max_rate: Fine,
    pub opened_at: u64,
    pub closes_at: u64,
    pub match_at: u64,
    pub deposit_units: u128,
    pub excluded: Vec<Address>,
    pub bids: Vec<Bid>,
    pub lease: Option<Lease>,
    /// A sealed one: whether its commitments are in.
    pub revealing: bool,
    /// When it leaves the state, closed unmatched or cancelled.
    pub prune_at: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub state: GroupState,
    pub spec: tpb::GroupSpec,
    /// Number of orders so far.
    pub orders_so_far: u32,
    pub orders: BTreeMap<u32, Order>,
    /// Providers that are kept out of later orders; the oldest leaves a full
    /// list.
    pub excluded: Vec<Address>,
    /// When orders opened after a lease's end.
    pub reopened_at: Vec<u64>,
    pub prune_at: u64,
    /// Whether it has left the state; its orders may outlive it.
    pub pruned: bool,
}

#[derive(Clone, Debug)]
pub struct Escrow {
    pub state: AccountState,
    /// Up to when its leases are paid.
    pub settled_at: u64,
    /// Oldest first; who has nothing left keeps the place.
    pub depositors: Vec<(Address, Fine)>,
    pub overdrawn_until: u64,
}

impl Escrow {
    pub fn balance(&self) -> Fine {
        self.depositors.iter().map(|(_, left)| left).sum()
    }
}

#[derive(Clone, Debug)]
pub struct Deployment {
    pub active: bool,
    pub denom: String,
    pub version: Vec<u8>,
    pub manifest_root: Vec<u8>,
    pub window: u64,
    pub second_price: bool,
    pub sealed: bool,
    pub reopen: bool,
    pub created_at: u64,
    pub created_height: u64,
    pub closed_at: u64,
    pub prune_at: u64,
    /// Whether it has left the state; its groups may outlive it.
    pub pruned: bool,
    pub groups_so_far: u32,
    pub groups: BTreeMap<u32, Group>,
    pub escrow: Escrow,
}

impl Deployment {
    pub fn leases(&self) -> impl Iterator<Item = ((u32, u32), &Lease)> {
        self.groups.iter().flat_map(|(gseq, group)| {
            group
                .orders
                .iter()
                .filter_map(move |(oseq, order)| Some(((*gseq, *oseq), order.lease.as_ref()?)))
        })
    }
}

#[derive(Clone, Debug, Default)]
pub struct Provider {
    pub attributes: Vec<(String, String)>,
    pub jailed: bool,
    pub stake_units: u128,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub won: u64,
    pub started: u64,
    pub not_started: u64,
    pub by_tenant: u64,
    pub by_provider: u64,
    pub otherwise: u64,
    pub seconds: u64,
    pub amounts: BTreeMap<String, u128>,
}

/// What the reputation of a provider is made of.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What the leases of each (tenant, week) have paid, in units.
    pub paid: BTreeMap<(Address, u64), u128>,
    /// Pairs whose lease ended PENDING other than by the tenant.
    pub failed: BTreeSet<(Address, u64)>,
}

/// All there is.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub params: Params,
    pub staking_denom: String,
    pub height: u64,
    pub now: u64,
    pub previous: u64,
    /// Before `previous`, for reports.
    pub last_now: u64,
    pub place: Place,
    pub units: BTreeMap<(Address, String), u128>,
    pub pool: BTreeMap<String, Fine>,
    pub last_dseq: BTreeMap<Address, u64>,
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    pub providers: BTreeMap<Address, Provider>,
    /// (provider, completes at) to units.
    pub unbondings: BTreeMap<(Address, u64), u128>,
    /// (provider, auditor) to attributes.
    pub audits: BTreeMap<(Address, Address), BTreeMap<String, String>>,
    pub provider_counters: BTreeMap<Address, Counters>,
    pub tenant_counters: BTreeMap<Address, Counters>,
    pub standings: BTreeMap<Address, Standing>,
    /// How often each rule was applied.
    pub hits: BTreeMap<String, u64>,
    /// Whether the last block's end left deadlines for the next.
    pub left_over: bool,
}

impl World {
    pub fn hit(&mut self, rule: &str) {
        *self.hits.entry(rule.to_owned()).or_default() += 1;
    }

    /// Does it, or refuses it and changes nothing.
    pub fn attempt(&mut self, work: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let mut next = self.clone();
        let outcome = work(&mut next);
        match outcome {
            Ok(()) => *self = next,
            Err(rule) => self.hit(&format!("refused: {rule}")),
        }
        outcome
    }

    pub fn take_units(&mut self, from: Address, denom: &str, units: u128) -> Outcome {
        let has = self.units.entry((from, denom.to_owned())).or_default();
        *has = has.checked_sub(units).ok_or("account has too little")?;
        Ok(())
    }

    pub fn give_units(&mut self, to: Address, denom: &str, units: u128) {
        *self.units.entry((to, denom.to_owned())).or_default() += units;
    }

    pub fn give_pool(&mut self, denom: &str, money: Fine) {
        *self.pool.entry(denom.to_owned()).or_default() += money;
    }

    pub fn deployment(&self, id: DeploymentId) -> Result<&Deployment, Refusal> {
        let deployment = self.deployments.get(&id).filter(|deployment| !deployment.pruned);
        deployment.ok_or("no such deployment")
    }

    pub fn deployment_mut(&mut self, id: DeploymentId) -> Result<&mut Deployment, Refusal> {
        self.deployments.get_mut(&id).ok_or("no such deployment")
    }

    pub fn group(&self, id: GroupId) -> Result<&Group, Refusal> {
        let group = self.deployments.get(&id.deployment).and_then(|d| d.groups.get(&id.gseq));
        group.filter(|group| !group.pruned).ok_or("no such group")
    }

    pub fn group_mut(&mut self, id: GroupId) -> Result<&mut Group, Refusal> {
        let deployment = self.deployments.get_mut(&id.deployment);
        deployment.and_then(|d| d.groups.get_mut(&id.gseq)).ok_or("no such group")
    }

    pub fn order(&self, id: OrderId) -> Result<&Order, Refusal> {
        let deployment = self.deployments.get(&id.deployment()).ok_or("no such order")?;
        let group = deployment.groups.get(&id.group.gseq).ok_or("no such order")?;
        group.orders.get(&id.oseq).ok_or("no such order")
    }

    pub fn order_mut(&mut self, id: OrderId) -> Result<&mut Order, Refusal> {
        let group = self.group_mut(id.group).map_err(|_| "no such order")?;
        group.orders.get_mut(&id.oseq).ok_or("no such order")
    }

    pub fn lease(&self, id: LeaseId) -> Result<&Lease, Refusal> {
        let order = self.order(id.order).map_err(|_| "no such lease")?;
        let lease = order.lease.as_ref().filter(|lease| lease.provider == id.provider);
        lease.ok_or("no such lease")
    }

    pub fn lease_mut(&mut self, id: LeaseId) -> Result<&mut Lease, Refusal> {
        let order = self.order_mut(id.order).map_err(|_| "no such lease")?;
        let lease = order.lease.as_mut().filter(|lease| lease.provider == id.provider);
        lease.ok_or("no such lease")
    }

    /// All of a denom, wherever it is; constant.
    pub fn total(&self, denom: &str) -> Fine {
        let accounts: u128 =
            self.units.iter().filter(|((_, d), _)| d == denom).map(|(_, units)| units * ONE).sum();
        let mut held = 0;
        for deployment in self.deployments.values().filter(|d| d.denom == denom) {
            held += deployment.escrow.balance();
            for order in deployment.groups.values().flat_map(|group| group.orders.values()) {
                let open = order.bids.iter().filter(|bid| bid.state == BidState::Open).count();
                held += open as u128 * order.deposit_units * ONE;
                if let Some(lease) = &order.lease {
                    held += lease.accrued;
                    held += if lease.is_live() { order.deposit_units * ONE } else { 0 };
                }
            }
        }
        let bonded = self.providers.values().map(|provider| provider.stake_units);
        let staked = bonded.chain(self.unbondings.values().copied());
        let staked = if denom == self.staking_denom { staked.sum::<u128>() * ONE } else { 0 };
        accounts + held + staked + self.pool.get(denom).copied().unwrap_or_default()
    }
}
