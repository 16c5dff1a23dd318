//! Fetches what leases have earned: on a schedule, and before a lease's known
//! end. Watches the account and the deployments' money.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::money::show_coin;
use stoa_client::proto::market::v1::{MsgWithdrawLease, MsgWithdrawLeaseResponse};
use stoa_client::proto::types::v1::BidId;
use stoa_client::tx::any;
use stoa_client::TxQueue;
use tokio::sync::watch;
use tokio::time::Instant;

use super::schedule::Schedule;
use crate::chain::{ChainReads, View, Views};
use crate::config::Config;
use crate::failpoint::failpoint;
use crate::metrics::meters;

/// The market's limit on leases in one message.
pub const MAX_LEASES: usize = 100;
/// How often balances are read.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A deployment whose money ends so soon is told, in seconds.
const SOON: u64 = 3_600;

/// What the account and the deployments have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purse {
    /// By denom, whole units; none: not read yet.
    pub balance: Option<BTreeMap<String, u128>>,
    /// When each lease's deployment runs out of money, in Unix seconds, by
    /// lease; 0: never.
    pub exhausts_at: BTreeMap<String, u64>,
}

/// The loop that fetches.
pub struct Collector {
    config: Arc<Config>,
    queue: TxQueue,
    views: Views,
    reads: Arc<dyn ChainReads>,
    purse: watch::Sender<Purse>,
    /// Leases whose money was told to end.
    told: HashMap<String, u64>,
}

impl Collector {
    pub fn new(
        config: Arc<Config>,
        queue: TxQueue,
        views: Views,
        reads: Arc<dyn ChainReads>,
    ) -> (Self, watch::Receiver<Purse>) {
        let (purse, told) = watch::channel(Purse::default());
        (Self { config, queue, views, reads, purse, told: HashMap::new() }, told)
    }

    /// Fetches until the views end.
    pub async fn run(mut self) {
        let every = Duration::from_secs(self.config.timing.withdraw_seconds);
        let before_end = self.config.money.before_end_seconds;
        let mut schedule = Schedule::new(every, before_end, Instant::now());
        let mut look = Instant::now();
        while self.views.changed().await.is_ok() {
            let Some(view) = self.views.borrow_and_update().clone() else { continue };
            if Instant::now() >= look {
                self.look(&view).await;
                look = Instant::now() + LOOK_EVERY;
            }
            let due = schedule.due(&view, &self.purse.borrow().exhausts_at, Instant::now());
            if due.leases.is_empty() {
                continue;
            }
            match withdraw(&self.queue, &due.leases).await {
                Ok(_) => schedule.done(due, Instant::now()),
                Err(error) => {
                    meters().withdrawals_failed.inc();
                    let pause = schedule.failed(Instant::now());
                    tracing::warn!("withdrawing: {error}; again in {} s", pause.as_secs());
                }
            }
        }
    }

    /// Reads balances; what cannot be read stays as it was.
    async fn look(&mut self, view: &View) {
        match self.reads.balances().await {
            Ok(coins) => {
                let amounts = coins.into_iter().map(|c| (c.denom, c.amount.parse().unwrap_or(0)));
                let balance: BTreeMap<String, u128> = amounts.collect();
                self.warn_of_balance(&balance);
                self.purse.send_modify(|purse| purse.balance = Some(balance));
            }
            Err(error) => tracing::warn!("the balance cannot be read: {error}"),
        }
        let mut exhausts_at = BTreeMap::new();
        let mut asked: HashMap<String, u64> = HashMap::new();
        for lease in view.leases.values().filter(|lease| !lease.is_pending()) {
            let id = deployment_of(&lease.id);
            let known = asked.get(&id.text()).copied();
            let end = match known {
                Some(end) => end,
                None => match self.reads.escrow(&id).await {
                    Ok(account) => account.exhausts_at,
                    Err(error) => {
                        tracing::warn!("the money of {} cannot be read: {error}", id.text());
                        continue;
                    }
                },
            };
            asked.insert(id.text(), end);
            exhausts_at.insert(lease.name.clone(), end);
        }
        self.warn_of_ends(view, &exhausts_at);
        self.purse.send_modify(|purse| purse.exhausts_at = exhausts_at);
    }

    fn warn_of_balance(&self, balance: &BTreeMap<String, u128>) {
        let denom = &self.config.pricing.denom;
        let has = balance.get(denom).copied().unwrap_or(0);
        if has < self.config.low_balance().unwrap_or(0) {
            tracing::warn!("the account has {has}{denom} left for deposits and fees; send it some");
        }
    }

    fn warn_of_ends(&mut self, view: &View, exhausts_at: &BTreeMap<String, u64>) {
        self.told.retain(|lease, _| exhausts_at.contains_key(lease));
        for (lease, end) in exhausts_at {
            let is_soon = *end > 0 && *end <= view.time.saturating_add(SOON);
            if is_soon && self.told.insert(lease.clone(), *end) != Some(*end) {
                let seconds = end.saturating_sub(view.time);
                tracing::warn!(%lease, "its deployment's money ends in {seconds} s");
            }
        }
    }
}

/// All leases that are paid.
pub fn paid_leases(view: &View) -> Vec<BidId> {
    let paid = view.leases.values().filter(|lease| !lease.is_pending());
    paid.map(|lease| lease.id.clone()).collect()
}

/// Withdraws from leases that are paid, once. Gives what was paid.
pub async fn withdraw(queue: &TxQueue, leases: &[BidId]) -> stoa_client::Result<Vec<String>> {
    let mut amounts = vec![];
    for batch in leases.chunks(MAX_LEASES) {
        let message = MsgWithdrawLease { provider: queue.address().into(), leases: batch.to_vec() };
        failpoint("money.before_send");
        let done = queue.submit_labelled("withdraw", vec![any(&message)]).await?;
        failpoint("money.after_send");
        meters().withdrawals.inc();
        let answer: MsgWithdrawLeaseResponse = done.response(0)?;
        let paid: Vec<String> = answer.paid.iter().map(show_coin).collect();
        tracing::info!(
            leases = batch.len(),
            paid = paid.join(","),
            height = done.height,
            "withdrawn"
        );
        amounts.extend(paid);
    }
    Ok(amounts)
}
