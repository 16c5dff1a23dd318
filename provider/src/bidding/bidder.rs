//! The loop that bids: journal, transaction, outcome.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use stoa_client::ids::TextId;
use stoa_client::money::show_dec_coin;
use stoa_client::proto::cosmos::base::v1beta1::DecCoin;
use stoa_client::proto::market::v1::MsgCreateBid;
use stoa_client::tx::any;
use stoa_client::{Error, TxQueue};
use tokio::sync::watch;

use super::capacity::Capacity;
use super::intents::{IntentState, Intents};
use super::price::LinearPrice;
use super::round::{plan_round, Planned, Rules};
use super::Reason;
use crate::chain::{View, Views};
use crate::config::Config;
use crate::failpoint::failpoint;

/// Bids for one provider.
pub struct Bidder {
    config: Arc<Config>,
    queue: TxQueue,
    views: Views,
    capacity: watch::Receiver<Option<Capacity>>,
    price: LinearPrice,
    max_exposure: Option<u128>,
    intents: Intents,
    /// Why orders were let pass, so that each is logged once.
    told: HashMap<String, Reason>,
}

impl Bidder {
    /// Reads the journal. The queue must have found out what became of the
    /// last run's transaction.
    pub fn open(
        config: Arc<Config>,
        queue: TxQueue,
        views: Views,
        capacity: watch::Receiver<Option<Capacity>>,
        journal: &Path,
    ) -> anyhow::Result<Self> {
        let price = LinearPrice::new(&config.pricing)?;
        let max_exposure = config.max_exposure()?;
        let intents = Intents::open(journal)?;
        Ok(Self {
            config,
            queue,
            views,
            capacity,
            price,
            max_exposure,
            intents,
            told: HashMap::new(),
        })
    }

    /// Bids until the views end.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut recovered = false;
        while self.views.changed().await.is_ok() {
            let Some(view) = self.views.borrow_and_update().clone() else { continue };
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
        Ok(())
    }

    async fn round(&mut self, view: &View) -> anyhow::Result<()> {
        self.intents.prune(view.time)?;
        let capacity = self.capacity.borrow().clone();
        let rules = Rules {
            config: &self.config,
            price: &self.price,
            capacity: capacity.as_ref(),
            max_exposure: self.max_exposure,
        };
        let round = plan_round(view, &self.intents, &rules);
        self.tell(round.passed);
        if round.bids.is_empty() {
            return Ok(());
        }
        let entries = round.bids.iter().map(|bid| (bid.order.text(), bid.intent.clone()));
        self.intents.intend(entries)?;
        failpoint("bid.after_intent");
        let outcomes = self.place(round.bids).await;
        failpoint("bid.after_send");
        self.intents.settle(outcomes)?;
        Ok(())
    }

    /// Places all bids of a round; the queue puts them into one transaction.
    async fn place(&self, bids: Vec<Planned>) -> Vec<(String, Option<IntentState>)> {
        let sending = bids.into_iter().map(|bid| async move {
            let order = bid.order.text();
            let rate = DecCoin { denom: self.price.denom().into(), amount: bid.rate.to_proto() };
            let shown = show_dec_coin(&rate);
            let message = MsgCreateBid {
                provider: self.queue.address().into(),
                order: Some(bid.order),
                rate: Some(rate),
                gpus: vec![],
            };
            let label = format!("bid:{order}");
            let state = match self.queue.submit_labelled(&label, vec![any(&message)]).await {
                Ok(done) => {
                    tracing::info!(%order, rate = shown, height = done.height, "bid placed");
                    Some(IntentState::Placed)
                }
                Err(Error::Refused(refusal)) => {
                    tracing::warn!(%order, rate = shown, "the chain refused the bid: {refusal}");
                    Some(IntentState::Refused(refusal.message.clone()))
                }
                Err(error) => {
                    tracing::warn!(%order, rate = shown, "the bid did not land: {error}");
                    None
                }
            };
            (order, state)
        });
        futures::future::join_all(sending).await
    }

    /// Logs why orders are let pass, once each and where it changes.
    fn tell(&mut self, passed: Vec<(String, Reason)>) {
        let mut now = HashMap::new();
        for (order, reason) in passed {
            let same_kind = self.told.get(&order).is_some_and(|before| {
                std::mem::discriminant(before) == std::mem::discriminant(&reason)
            });
            let known = matches!(reason, Reason::AlreadyBid | Reason::Refused(_))
                || matches!(reason, Reason::TooLate(_)) && self.told.contains_key(&order);
            if !same_kind && !known {
                tracing::info!(%order, "no bid: {reason}");
            }
            now.insert(order, reason);
        }
        self.told = now;
    }
}
