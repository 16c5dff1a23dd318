//! The daemon's state at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use stoa_client::money::show_dec_coin;
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::proto::market::v1::LeaseState;
use stoa_tunnel::overlay::{Direction, TunnelState};
use tokio::sync::watch;

use super::meters;
use crate::bidding::{BidStatus, Capacity, IntentState, Resources};
use crate::chain::{View, Views};
use crate::config::Config;
use crate::fleet::HostReport;
use crate::money::{Books, Purse};
use crate::overlay::{Overlay, Told};
use crate::reconcile::Board;
use crate::store::LeaseStore;

/// A closed lease of which something is left so long is stuck, in seconds.
const STUCK_AFTER: u64 = 300;

/// Where the facts come from.
pub struct Sources {
    pub config: Arc<Config>,
    pub provider: String,
    pub views: Views,
    pub capacity: watch::Receiver<Option<Capacity>>,
    pub bids: watch::Receiver<BidStatus>,
    pub books: watch::Receiver<Books>,
    pub purse: watch::Receiver<Purse>,
    pub leases: Arc<LeaseStore>,
    pub board: Arc<Board>,
    pub overlay: Arc<Overlay>,
    /// How the machines are now.
    pub machines: Box<dyn Fn() -> Vec<HostReport> + Send + Sync>,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    pub provider: String,
    pub version: String,
    pub chain_id: String,
    /// The newest block that was looked at; 0: none yet.
    pub height: u64,
    /// Unix seconds of that block.
    pub block_time: u64,
    /// Seconds between that block's time and this machine's clock.
    pub block_age: u64,
    /// Blocks that other endpoints are ahead of it.
    pub height_lag: u64,
    pub draining: bool,
    pub total: Resources,
    pub free: Resources,
    pub leases: Vec<LeaseFacts>,
    pub bids: Vec<BidFacts>,
    /// Deposits in open bids, in whole units.
    pub bid_deposits: String,
    /// Why open orders are let pass, by order.
    pub passed: BTreeMap<String, String>,
    /// Closed leases of which something is left after minutes.
    pub stuck_deletes: Vec<String>,
    /// By denom, whole units.
    pub balance: BTreeMap<String, String>,
    pub low_balance: bool,
    /// By denom, whole units.
    pub earned: BTreeMap<String, String>,
    pub ledger_height: u64,
    pub ledger_mismatches: u64,
    /// Why nothing can be booked now; empty: it can.
    pub ledger_problem: String,
    /// Ends of tunnels that are here.
    pub tunnels: Vec<TunnelFacts>,
    /// What keeps workloads from being joined, in words.
    pub overlay_problems: Vec<String>,
    pub machines: Vec<HostReport>,
}

/// One end of a tunnel.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TunnelFacts {
    pub deployment: String,
    /// The services.
    pub from: String,
    pub to: String,
    /// Such as `80/tcp`.
    pub port: String,
    /// outgoing: services here dial.
    pub direction: String,
    /// waiting, up or down.
    pub state: String,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub connections_open: u64,
    pub failures: u64,
    pub rtt_micros: u64,
    /// When this end's certificate ends: Unix seconds; 0: there is none.
    pub not_after: i64,
}

impl From<Told> for TunnelFacts {
    fn from(told: Told) -> Self {
        let direction = match told.direction {
            Direction::Outgoing => "outgoing",
            Direction::Incoming => "incoming",
        };
        let mut facts = Self {
            port: format!("{}/{}", told.port, told.transport),
            deployment: told.deployment,
            from: told.from.service,
            to: told.to.service,
            direction: direction.into(),
            state: "waiting".into(),
            not_after: told.not_after.unwrap_or(0),
            ..Self::default()
        };
        let Some(status) = told.status else { return facts };
        facts.state = match status.state {
            TunnelState::Waiting => "waiting",
            TunnelState::Up => "up",
            TunnelState::Down => "down",
        }
        .into();
        (facts.bytes_in, facts.bytes_out) = (status.bytes_in, status.bytes_out);
        (facts.connections_open, facts.failures) = (status.connections_open, status.failures);
        facts.rtt_micros = status.rtt_micros.unwrap_or(0);
        facts
    }
}

/// A live lease.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LeaseFacts {
    pub lease: String,
    /// pending, active or reclaiming.
    pub state: String,
    /// As tenants are told.
    pub phase: String,
    pub message: String,
    /// A second, with denom.
    pub rate: String,
    /// Unix seconds; 0: not yet.
    pub started_at: u64,
    /// When its deployment's money ends, in Unix seconds; 0: never, or not
    /// known.
    pub exhausts_at: u64,
}

/// A bid that stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BidFacts {
    pub order: String,
    /// A second.
    pub rate: String,
    /// Unix seconds.
    pub closes_at: u64,
}

impl Sources {
    /// Reads all.
    pub fn facts(&self) -> Facts {
        let view = self.views.borrow().clone();
        let bids = self.bids.borrow().clone();
        let books = self.books.borrow().clone();
        let purse = self.purse.borrow().clone();
        let capacity = self.capacity.borrow().clone();
        let total = capacity.map(|capacity| capacity.total).unwrap_or_default();
        let balance = purse.balance.clone().unwrap_or_default();
        let denom = &self.config.pricing.denom;
        let has = balance.get(denom).copied().unwrap_or(0);
        let low = self.config.low_balance().unwrap_or(0);
        let shown = |amounts: BTreeMap<String, u128>| -> BTreeMap<String, String> {
            amounts.into_iter().map(|(denom, sum)| (denom, sum.to_string())).collect()
        };
        let mut facts = Facts {
            provider: self.provider.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            chain_id: self.config.chain.id.clone(),
            draining: bids.draining,
            total,
            free: bids.left.room,
            bid_deposits: bids.left.deposits.to_string(),
            low_balance: purse.balance.is_some() && has < low,
            balance: shown(balance),
            earned: shown(books.earned),
            ledger_height: books.height,
            ledger_mismatches: books.mismatches,
            ledger_problem: books.problem.unwrap_or_default(),
            passed: bids.passed.clone(),
            tunnels: self.overlay.told_all().into_iter().map(TunnelFacts::from).collect(),
            overlay_problems: self.overlay.problems(),
            machines: (self.machines)(),
            ..Facts::default()
        };
        if let Some(view) = view {
            self.add_view(&mut facts, &view, &purse, &bids);
        }
        facts
    }

    fn add_view(&self, facts: &mut Facts, view: &View, purse: &Purse, bids: &BidStatus) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        facts.height = view.height;
        facts.block_time = view.time;
        facts.block_age = now.saturating_sub(view.time);
        let best = u64::try_from(meters().best_height.get()).unwrap_or(0);
        facts.height_lag = best.saturating_sub(view.height);
        for lease in view.leases.values() {
            let status = self.board.get(&lease.name).unwrap_or_default();
            facts.leases.push(LeaseFacts {
                lease: lease.name.clone(),
                state: state_word(lease.lease.state()).into(),
                phase: phase_word(status.phase()),
                message: status.message,
                rate: lease.lease.provider_rate.as_ref().map(show_dec_coin).unwrap_or_default(),
                started_at: lease.lease.started_at,
                exhausts_at: purse.exhausts_at.get(&lease.name).copied().unwrap_or(0),
            });
        }
        let open = bids.bids.iter().filter(|(_, bid)| {
            bid.closes_at > view.time
                && matches!(bid.state, IntentState::Intended | IntentState::Placed)
        });
        facts.bids.extend(open.map(|(order, bid)| BidFacts {
            order: order.clone(),
            rate: bid.rate.clone(),
            closes_at: bid.closes_at,
        }));
        let grace = self.config.money.grace_seconds;
        let stuck = self.leases.all().into_iter().filter(|record| {
            let since = record.closed_at.map(|at| at.saturating_add(grace + STUCK_AFTER));
            !record.removed && since.is_some_and(|since| since < view.time)
        });
        facts.stuck_deletes.extend(stuck.map(|record| record.lease));
    }
}

pub(super) fn state_word(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Pending => "pending",
        LeaseState::Active => "active",
        LeaseState::Reclaiming => "reclaiming",
        LeaseState::Closed => "closed",
        LeaseState::Unspecified => "unknown",
    }
}

fn phase_word(phase: LeasePhase) -> String {
    phase.as_str_name().trim_start_matches("LEASE_PHASE_").to_lowercase().replace('_', " ")
}
