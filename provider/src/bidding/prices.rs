//! Prices of orders by the chosen strategy. A script's are worked out beside
//! the rounds, and kept as long as their orders are open. Whoever asks about an
//! order has a turn of its own: bids never wait behind questions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stoa_client::ids::TextId;
use stoa_client::money::Dec;
use stoa_client::proto::market::v1::{GpuOffer, Order};
use tokio::sync::{watch, Semaphore};

use super::price::LinearPrice;
use super::script::{Script, ScriptError};
use super::Reason;
use crate::config::{Config, Strategy};

/// After so long a script that failed is asked again.
const RETRY: Duration = Duration::from_secs(10);
/// Prices kept at most.
const MAX_KEPT: usize = 4096;
/// Questions about orders that wait for the script at a time.
const MAX_ASKERS: usize = 32;

/// Prices of orders.
pub struct Prices {
    linear: LinearPrice,
    script: Option<Script>,
    /// For bids.
    kept: Mutex<HashMap<String, Kept>>,
    /// For those who ask; nothing is [`Kept::Running`] in it.
    asked: Mutex<HashMap<String, Kept>>,
    askers: Semaphore,
    /// Held while the script runs for one who asks.
    turn: tokio::sync::Mutex<()>,
    /// Tells that a price was found.
    ready: watch::Sender<()>,
}

/// A script's answer about one order.
#[derive(Debug, Clone)]
enum Kept {
    Running,
    Rate(Dec),
    Failed(String, Instant),
}

impl Kept {
    fn new(answer: Result<Dec, ScriptError>, order: &str) -> Self {
        match answer {
            Ok(rate) => Self::Rate(rate),
            Err(error) => {
                tracing::warn!(%order, "no price: {error}");
                Self::Failed(error.to_string(), Instant::now())
            }
        }
    }

    /// None: the script is to be asked, again perhaps.
    fn told(&self) -> Option<Result<Dec, Reason>> {
        match self {
            Self::Running => Some(Err(Reason::Pricing)),
            Self::Rate(rate) => Some(Ok(*rate)),
            Self::Failed(why, at) if at.elapsed() < RETRY => {
                Some(Err(Reason::Unpriced(why.clone())))
            }
            Self::Failed(..) => None,
        }
    }
}

impl Prices {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let script = match config.bidding.strategy {
            Strategy::Linear => None,
            Strategy::Script => Some(Script::new(&config.bidding)),
        };
        Ok(Self {
            linear: LinearPrice::new(&config.pricing)?,
            script,
            kept: Mutex::default(),
            asked: Mutex::default(),
            askers: Semaphore::new(MAX_ASKERS),
            turn: tokio::sync::Mutex::default(),
            ready: watch::channel(()).0,
        })
    }

    pub fn denom(&self) -> &str {
        self.linear.denom()
    }

    /// An order's price a second, for a bid. [`Reason::Pricing`]: it is being
    /// worked out, and [`Self::found`] tells when to ask again.
    pub fn rate(self: &Arc<Self>, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let Some(script) = &self.script else { return self.list_price(order, gpus) };
        let name = name_of(order, gpus);
        let mut kept = self.kept();
        if let Some(told) = kept.get(&name).and_then(Kept::told) {
            return told;
        }
        if kept.len() >= MAX_KEPT && !kept.contains_key(&name) {
            return Err(Reason::Unpriced("too many orders are being priced".into()));
        }
        kept.insert(name.clone(), Kept::Running);
        drop(kept);
        let (prices, script) = (Arc::clone(self), script.clone());
        let (order, gpus) = (order.clone(), gpus.to_vec());
        tokio::spawn(async move {
            let answer = Kept::new(script.rate(&order, &gpus).await, &name);
            prices.kept().insert(name, answer);
            prices.ready.send_replace(());
        });
        Err(Reason::Pricing)
    }

    /// An open order's price for one who asks. A script runs for one asker at a
    /// time, beside the bids' runs, and is killed with the question.
    /// [`Reason::Pricing`]: too many ask.
    pub async fn quote(&self, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let Some(script) = &self.script else { return self.list_price(order, gpus) };
        let name = name_of(order, gpus);
        let Ok(_place) = self.askers.try_acquire() else { return Err(Reason::Pricing) };
        let mut ready = self.ready.subscribe();
        loop {
            match self.told(&name) {
                Some(Err(Reason::Pricing)) => drop(ready.changed().await),
                Some(known) => return known,
                None => break,
            }
        }
        let _turn = self.turn.lock().await;
        // Found for another meanwhile.
        if let Some(known) = self.told(&name).filter(|told| *told != Err(Reason::Pricing)) {
            return known;
        }
        let answer = Kept::new(script.rate_beside(order, gpus).await, &name);
        let told = answer.told().unwrap_or(Err(Reason::Pricing));
        let mut asked = self.asked();
        if asked.len() >= MAX_KEPT {
            asked.clear();
        }
        asked.insert(name, answer);
        told
    }

    /// What an order costs, where that takes no run of the script.
    pub fn known(&self, order: &Order, gpus: &[GpuOffer]) -> Option<Dec> {
        match self.script {
            Some(_) => self.told(&name_of(order, gpus))?.ok(),
            None => self.list_price(order, gpus).ok(),
        }
    }

    /// What was found for a bid or for another who asked.
    fn told(&self, name: &str) -> Option<Result<Dec, Reason>> {
        let found = self.kept().get(name).and_then(Kept::told);
        found.or_else(|| self.asked().get(name).and_then(Kept::told))
    }

    /// Changes whenever a price was found.
    pub fn found(&self) -> watch::Receiver<()> {
        self.ready.subscribe()
    }

    /// Where an open bid stands under what the price list says now: that
    /// price. A script is not asked again.
    pub(super) fn raised_over(&self, rate: Dec, order: &Order, gpus: &[GpuOffer]) -> Option<Dec> {
        match self.script {
            Some(_) => None,
            None => self.list_price(order, gpus).ok().filter(|now| *now > rate),
        }
    }

    /// Forgets the prices of orders that are over.
    pub fn keep(&self, is_open: impl Fn(&str) -> bool) {
        self.kept().retain(|name, kept| matches!(kept, Kept::Running) || is_open(order_of(name)));
        self.asked().retain(|name, _| is_open(order_of(name)));
    }

    fn list_price(&self, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let spec = order.spec.as_ref().ok_or_else(|| Reason::Malformed("no spec".into()))?;
        self.linear.rate(spec, gpus)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has a price of its own: an order with the GPUs that are offered for
/// it, which change with those that are left.
fn name_of(order: &Order, gpus: &[GpuOffer]) -> String {
    let mut name = order.id.as_ref().map(TextId::text).unwrap_or_default();
    for gpu in gpus {
        name.push_str(&format!(" {}:{}", gpu.unit, gpu.model));
    }
    name
}

fn order_of(name: &str) -> &str {
    name.split_once(' ').map_or(name, |(order, _)| order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{config, order};

    #[tokio::test]
    async fn a_scripts_price_is_worked_out_once_and_forgotten_with_its_order() {
        let mut config = config();
        config.bidding.strategy = Strategy::Script;
        config.bidding.script = "/bin/false".into();
        let prices = Arc::new(Prices::new(&config).unwrap());
        assert_eq!(prices.rate(&order(1), &[]), Err(Reason::Pricing));
        assert_eq!(prices.rate(&order(1), &[]), Err(Reason::Pricing), "not started twice");
        assert!(matches!(prices.quote(&order(1), &[]).await, Err(Reason::Unpriced(_))));
        assert!(matches!(prices.rate(&order(1), &[]), Err(Reason::Unpriced(_))));
        prices.keep(|_| false);
        assert_eq!(prices.rate(&order(1), &[]), Err(Reason::Pricing), "asked anew");
    }

    #[tokio::test]
    async fn a_price_is_of_the_gpus_that_are_offered_and_of_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let prices = script_prices(dir.path());
        let of = |model: &str| [GpuOffer { unit: 1, model: model.into() }];
        let mut found = prices.found();
        assert_eq!(prices.rate(&order(1), &of("t4")), Err(Reason::Pricing));
        found.changed().await.unwrap();
        assert!(prices.rate(&order(1), &of("t4")).is_ok());
        assert_eq!(prices.known(&order(1), &of("a100")), None);
        assert_eq!(prices.rate(&order(1), &of("a100")), Err(Reason::Pricing));
        found.changed().await.unwrap();
        let open = order(1).id.unwrap().text();
        prices.keep(|order| order == open);
        assert!(prices.rate(&order(1), &of("a100")).is_ok());
        prices.keep(|_| false);
        assert_eq!(prices.known(&order(1), &of("t4")), None);
    }

    /// Never ends for orders whose number ends in a 9.
    fn script_prices(dir: &std::path::Path) -> Arc<Prices> {
        let script = dir.join("price.sh");
        let text = "#!/bin/sh\ncase $STOA_ORDER in */*9/1/1) exec sleep 600;; esac\necho 5\n";
        crate::tests_support::program(&script, text);
        let mut config = config();
        config.bidding.strategy = Strategy::Script;
        config.bidding.script = script;
        config.bidding.script_timeout_seconds = 600;
        config.bidding.script_parallel = 1;
        Arc::new(Prices::new(&config).unwrap())
    }

    /// It did: one address that asked about many orders kept open ones from
    /// getting a bid in their window.
    #[tokio::test]
    async fn bids_do_not_wait_behind_questions_about_other_orders() {
        let dir = tempfile::tempdir().unwrap();
        let prices = script_prices(dir.path());
        let ask = |dseq| {
            let prices = Arc::clone(&prices);
            async move { prices.quote(&order(dseq), &[]).await }
        };
        let mut askers = tokio::task::JoinSet::new();
        for tens in 1..=MAX_ASKERS as u64 {
            askers.spawn(ask(tens * 10 + 9));
        }
        while prices.askers.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(2).await, Err(Reason::Pricing), "questions have a bound");
        let mut found = prices.found();
        assert_eq!(prices.rate(&order(1), &[]), Err(Reason::Pricing));
        let found = tokio::time::timeout(Duration::from_secs(60), found.changed()).await;
        assert!(found.is_ok(), "the bid waits behind questions");
        assert!(prices.rate(&order(1), &[]).is_ok());
        assert_eq!(prices.known(&order(1), &[]), prices.rate(&order(1), &[]).ok());
        // A question that nobody waits for any more leaves nothing behind.
        askers.shutdown().await;
        let answer = tokio::time::timeout(Duration::from_secs(60), ask(2)).await;
        assert!(answer.is_ok_and(|answer| answer.is_ok()), "a run that nobody waits for goes on");
        assert!(prices.known(&order(2), &[]).is_some());
        prices.keep(|_| false);
        assert_eq!(prices.known(&order(2), &[]), None, "forgotten with its order");
    }

    #[tokio::test]
    async fn a_list_price_that_rose_over_an_open_bid_is_told() {
        let prices = Arc::new(Prices::new(&config()).unwrap());
        let rate = prices.rate(&order(1), &[]).unwrap();
        assert_eq!(prices.raised_over(rate, &order(1), &[]), None);
        let less = rate.checked_sub(Dec::from_atoms(1)).unwrap();
        assert_eq!(prices.raised_over(less, &order(1), &[]), Some(rate));
    }
}
