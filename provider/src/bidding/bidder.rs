//! The loop that bids: journal, transaction, outcome.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use stoa_client::ids::{bid_on, TextId};
use stoa_client::money::{show_dec_coin, Dec};
use stoa_client::proto::cosmos::base::v1beta1::DecCoin;
use stoa_client::proto::market::v1::{
    GpuOffer, MsgCommitBid, MsgCreateBid, MsgRevealBid, MsgWithdrawBid, Order,
};
use stoa_client::proto::Any;
use stoa_client::tx::any;
use stoa_client::{Error, TxQueue};
use tokio::sync::watch;

use super::capacity::Capacity;
use super::intents::{Intent, IntentState, Intents};
use super::parts::counted;
use super::resources::Resources;
use super::round::{plan_round, Left, Planned, Rules};
use super::screen::{BidStatus, OwnBid};
use super::sealed::{plan_reveals, Reveal};
use super::withdraw::{plan_withdrawals, Regret};
use super::{Prices, Reason};
use crate::chain::{View, Views};
use crate::config::Config;
use crate::drain;
use crate::failpoint::failpoint;
use crate::metrics::meters;

/// What the bidder is made of.
pub struct BidderParts {
    pub config: Arc<Config>,
    /// It must have found out what became of the last run's transaction.
    pub queue: TxQueue,
    pub views: Views,
    pub capacity: watch::Receiver<Option<Capacity>>,
    pub prices: Arc<Prices>,
    /// The journal's file.
    pub journal: PathBuf,
}

/// Bids for one provider.
pub struct Bidder {
    parts: BidderParts,
    max_exposure: Option<u128>,
    intents: Intents,
    /// Why orders were let pass, so that each is logged once.
    told: HashMap<String, Reason>,
    /// Bids that cannot be honoured nor taken back; each is logged once.
    stuck: HashSet<String>,
    /// When open orders were first seen.
    seen: HashMap<String, Instant>,
    draining: bool,
    status: watch::Sender<BidStatus>,
}

/// What became of one message, by its order.
type Outcome = (String, Option<IntentState>);

impl Bidder {
    /// Reads the journal. Also gives what the bidder tells of itself.
    pub fn open(parts: BidderParts) -> anyhow::Result<(Self, watch::Receiver<BidStatus>)> {
        let max_exposure = parts.config.max_exposure()?;
        let intents = Intents::open(&parts.journal)?;
        let (status, told) = watch::channel(BidStatus::default());
        let bidder = Self {
            parts,
            max_exposure,
            intents,
            told: HashMap::new(),
            stuck: HashSet::new(),
            seen: HashMap::new(),
            draining: false,
            status,
        };
        Ok((bidder, told))
    }

    /// Bids until the views end.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut recovered = false;
        let mut found = self.parts.prices.found();
        loop {
            tokio::select! {
                changed = self.parts.views.changed() => if changed.is_err() { return Ok(()) },
                _ = found.changed() => {}
            }
            let Some(view) = self.parts.views.borrow_and_update().clone() else { continue };
            // A full disk ends no daemon: without a journal no bid is sent,
            // and the next block is another try.
            if !recovered {
                match self.intents.recover(|order| view.bids.contains_key(order)) {
                    Ok(()) => recovered = true,
                    Err(error) => {
                        tracing::error!("the journal of bids: {error}; no bids until it is well");
                        continue;
                    }
                }
            }
            if let Err(error) = self.round(&view).await {
                tracing::error!("bidding: {error:#}; again at the next block");
            }
        }
    }

    async fn round(&mut self, view: &View) -> anyhow::Result<()> {
        self.intents.prune(view.time)?;
        self.note_orders(view);
        match drain::read(&self.parts.config.data_dir) {
            Ok(order) => self.draining = order.is_some(),
            Err(error) => tracing::warn!("whether to drain cannot be read: {error}"),
        }
        let capacity = self.parts.capacity.borrow().clone();
        let rules = Rules {
            config: &self.parts.config,
            prices: &self.parts.prices,
            capacity: capacity.as_ref(),
            max_exposure: self.max_exposure,
            draining: self.draining,
        };
        let regrets = plan_withdrawals(view, &self.intents, &rules);
        let reveals = plan_reveals(view, &self.intents);
        let round = plan_round(view, &self.intents, &rules);
        let left = Left::new(view, &self.intents, &rules);
        let passed = round.passed.iter().map(|(order, why)| (order.clone(), why.to_string()));
        let passed = passed.collect();
        self.tell(round.passed);
        let regrets = self.note_regrets(view, regrets)?;
        if !(round.bids.is_empty() && regrets.is_empty() && reveals.is_empty()) {
            if !round.bids.is_empty() {
                let entries = round.bids.iter().map(|bid| (bid.order.text(), bid.intent.clone()));
                self.intents.intend(entries)?;
                failpoint("bid.after_intent");
            }
            let outcomes = self.send(round.bids, regrets, reveals).await;
            failpoint("bid.after_send");
            self.intents.settle(outcomes)?;
        }
        self.publish(left, passed);
        Ok(())
    }

    /// The queue puts all of a round into one transaction.
    async fn send(
        &self,
        bids: Vec<Planned>,
        regrets: Vec<Regret>,
        reveals: Vec<Reveal>,
    ) -> Vec<Outcome> {
        let bids = bids.into_iter().map(|bid| -> BoxFuture<'_, _> { Box::pin(self.place(bid)) });
        let regrets =
            regrets.into_iter().map(|one| -> BoxFuture<'_, _> { Box::pin(self.take_back(one)) });
        let reveals =
            reveals.into_iter().map(|one| -> BoxFuture<'_, _> { Box::pin(self.reveal(one)) });
        let all = bids.chain(regrets).chain(reveals);
        futures::future::join_all(all).await.into_iter().flatten().collect()
    }

    async fn place(&self, bid: Planned) -> Option<Outcome> {
        let order = bid.order.text();
        let rate = self.coin(bid.rate);
        let shown = show_dec_coin(&rate);
        let Some(message) = self.bid_message(&bid, rate) else { return Some((order, None)) };
        let label = format!("bid:{order}");
        let state = match self.parts.queue.submit_labelled(&label, vec![message]).await {
            Ok(done) => {
                tracing::info!(%order, rate = shown, height = done.height, "bid placed");
                meters().bids_placed.inc();
                if let Some(seen) = self.seen.get(&order) {
                    meters().bid_seconds.observe(seen.elapsed().as_secs_f64());
                }
                Some(IntentState::Placed)
            }
            Err(Error::Refused(refusal)) => {
                tracing::warn!(%order, rate = shown, "the chain refused the bid: {refusal}");
                meters().bids_failed.inc();
                Some(IntentState::Refused(refusal.message.clone()))
            }
            Err(error) => {
                tracing::warn!(%order, rate = shown, "the bid did not land: {error}");
                meters().bids_failed.inc();
                None
            }
        };
        Some((order, state))
    }

    /// A bid, or the commitment to one.
    fn bid_message(&self, bid: &Planned, rate: DecCoin) -> Option<Any> {
        let provider = self.parts.queue.address().to_string();
        let (order, gpus) = (Some(bid.order.clone()), bid.gpus.clone());
        let Some(seal) = &bid.intent.seal else {
            return Some(any(&MsgCreateBid { provider, order, rate: Some(rate), gpus }));
        };
        let commitment = seal.commitment(&bid_on(&bid.order, &provider), bid.rate)?;
        Some(any(&MsgCommitBid { provider, order, commitment, gpus }))
    }

    async fn take_back(&self, regret: Regret) -> Option<Outcome> {
        let order = regret.order.text();
        let provider = self.parts.queue.address().into();
        let message = MsgWithdrawBid { provider, order: Some(regret.order) };
        let label = format!("withdraw-bid:{order}");
        match self.parts.queue.submit_labelled(&label, vec![any(&message)]).await {
            Ok(done) => {
                tracing::info!(%order, height = done.height, "bid withdrawn: {}", regret.reason);
                meters().bids_withdrawn.inc();
                Some((order, Some(IntentState::Withdrawn(regret.reason.to_string()))))
            }
            Err(error) => {
                tracing::warn!(%order, "the bid could not be withdrawn: {error}");
                None
            }
        }
    }

    async fn reveal(&self, reveal: Reveal) -> Option<Outcome> {
        let order = reveal.order.text();
        let message = MsgRevealBid {
            provider: self.parts.queue.address().into(),
            order: Some(reveal.order),
            rate: Some(self.coin(reveal.rate)),
            salt: reveal.salt,
        };
        let label = format!("reveal:{order}");
        match self.parts.queue.submit_labelled(&label, vec![any(&message)]).await {
            Ok(done) => tracing::info!(%order, height = done.height, "bid revealed"),
            Err(error) => tracing::warn!(%order, "the bid could not be revealed: {error}"),
        }
        None
    }

    fn coin(&self, rate: Dec) -> DecCoin {
        DecCoin { denom: self.parts.prices.denom().into(), amount: rate.to_proto() }
    }

    /// Those that can be taken back, each with an entry in the journal.
    fn note_regrets(&mut self, view: &View, regrets: Vec<Regret>) -> anyhow::Result<Vec<Regret>> {
        let mut in_time = vec![];
        for regret in regrets {
            let name = regret.order.text();
            if !regret.in_time {
                if self.stuck.insert(name.clone()) {
                    tracing::warn!(
                        order = %name,
                        "the bid cannot be honoured, nor withdrawn any more: {}",
                        regret.reason
                    );
                }
                continue;
            }
            if self.intents.get(&name).is_none() {
                // The journal was lost: without an entry it would be bid again.
                let order =
                    view.orders.iter().find(|order| order.id.as_ref() == Some(&regret.order));
                let gpus = view.bids.get(&name).map(|bid| bid.gpus.as_slice()).unwrap_or_default();
                let entry = order.map(|order| (name, entry_of(order, gpus)));
                self.intents.intend(entry)?;
            }
            in_time.push(regret);
        }
        Ok(in_time)
    }

    fn note_orders(&mut self, view: &View) {
        let open: HashSet<String> =
            view.orders.iter().filter_map(|order| Some(order.id.as_ref()?.text())).collect();
        self.seen.retain(|order, _| open.contains(order));
        self.stuck.retain(|order| open.contains(order));
        self.parts.prices.keep(|order| open.contains(order));
        for order in open {
            self.seen.entry(order).or_insert_with(Instant::now);
        }
    }

    /// Logs why orders are let pass, once each and where it changes.
    fn tell(&mut self, passed: Vec<(String, Reason)>) {
        let mut now = HashMap::new();
        for (order, reason) in passed {
            let same_kind = self.told.get(&order).is_some_and(|before| {
                std::mem::discriminant(before) == std::mem::discriminant(&reason)
            });
            let own = matches!(
                reason,
                Reason::AlreadyBid | Reason::Refused(_) | Reason::Withdrawn(_) | Reason::Pricing
            );
            let known =
                own || matches!(reason, Reason::TooLate(_)) && self.told.contains_key(&order);
            if !same_kind && !known {
                tracing::info!(%order, "no bid: {reason}");
            }
            now.insert(order, reason);
        }
        self.told = now;
    }

    fn publish(&self, left: Left, passed: BTreeMap<String, String>) {
        let own = |intent: &Intent| OwnBid {
            rate: intent.rate.clone(),
            closes_at: intent.closes_at,
            state: intent.state.clone(),
        };
        let bids = self.intents.iter().map(|(order, intent)| (order.clone(), own(intent)));
        let status = BidStatus { left, draining: self.draining, bids: bids.collect(), passed };
        self.status.send_replace(status);
    }
}

/// A journal's entry for a bid that only the chain knows.
fn entry_of(order: &Order, gpus: &[GpuOffer]) -> Intent {
    let deposit = order.bid_deposit.as_ref().and_then(|coin| coin.amount.parse().ok());
    let resources = order.spec.as_ref().and_then(|spec| Resources::of_group(spec).ok());
    Intent {
        rate: String::new(),
        closes_at: order.match_at.max(order.closes_at),
        resources: resources.unwrap_or_default(),
        parts: order.spec.as_ref().map(|spec| counted(spec, gpus)).unwrap_or_default(),
        deposit: deposit.unwrap_or_default(),
        state: IntentState::Placed,
        seal: None,
    }
}
