//! Prices of orders by the chosen strategy. A script's are worked out beside
//! the rounds, and kept as long as their orders are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stoa_client::ids::TextId;
use stoa_client::money::Dec;
use stoa_client::proto::market::v1::{GpuOffer, Order};
use tokio::sync::watch;

use super::price::LinearPrice;
use super::script::Script;
use super::Reason;
use crate::config::{Config, Strategy};

/// After so long a script that failed is asked again.
const RETRY: Duration = Duration::from_secs(10);
/// Prices kept at most.
const MAX_KEPT: usize = 4096;

/// Prices of orders.
pub struct Prices {
    linear: LinearPrice,
    script: Option<Script>,
    kept: Mutex<HashMap<String, Kept>>,
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

impl Prices {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let script = match config.bidding.strategy {
            Strategy::Linear => None,
            Strategy::Script => Some(Script::new(&config.bidding)),
        };
        let linear = LinearPrice::new(&config.pricing)?;
        Ok(Self { linear, script, kept: Mutex::default(), ready: watch::channel(()).0 })
    }

    pub fn denom(&self) -> &str {
        self.linear.denom()
    }

    /// An order's price a second. [`Reason::Pricing`]: it is being worked
    /// out, and [`Self::found`] tells when to ask again.
    pub fn rate(self: &Arc<Self>, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let Some(script) = &self.script else { return self.list_price(order, gpus) };
        let name = order.id.as_ref().map(TextId::text).unwrap_or_default();
        let mut kept = self.kept();
        match kept.get(&name) {
            Some(Kept::Rate(rate)) => return Ok(*rate),
            Some(Kept::Running) => return Err(Reason::Pricing),
            Some(Kept::Failed(why, at)) if at.elapsed() < RETRY => {
                return Err(Reason::Unpriced(why.clone()))
            }
            Some(Kept::Failed(..)) | None => {}
        }
        if kept.len() >= MAX_KEPT && !kept.contains_key(&name) {
            return Err(Reason::Unpriced("too many orders are being priced".into()));
        }
        kept.insert(name.clone(), Kept::Running);
        drop(kept);
        let (prices, script) = (Arc::clone(self), script.clone());
        let (order, gpus) = (order.clone(), gpus.to_vec());
        tokio::spawn(async move {
            let answer = match script.rate(&order, &gpus).await {
                Ok(rate) => Kept::Rate(rate),
                Err(error) => {
                    tracing::warn!(order = %name, "no price: {error}");
                    Kept::Failed(error.to_string(), Instant::now())
                }
            };
            prices.kept().insert(name, answer);
            prices.ready.send_replace(());
        });
        Err(Reason::Pricing)
    }

    /// The same, waited for.
    pub async fn quote(self: &Arc<Self>, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let mut ready = self.ready.subscribe();
        loop {
            match self.rate(order, gpus) {
                Err(Reason::Pricing) => drop(ready.changed().await),
                known => return known,
            }
        }
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
        self.kept().retain(|order, kept| matches!(kept, Kept::Running) || is_open(order));
    }

    fn list_price(&self, order: &Order, gpus: &[GpuOffer]) -> Result<Dec, Reason> {
        let spec = order.spec.as_ref().ok_or_else(|| Reason::Malformed("no spec".into()))?;
        self.linear.rate(spec, gpus)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    async fn a_list_price_that_rose_over_an_open_bid_is_told() {
        let prices = Arc::new(Prices::new(&config()).unwrap());
        let rate = prices.rate(&order(1), &[]).unwrap();
        assert_eq!(prices.raised_over(rate, &order(1), &[]), None);
        let less = rate.checked_sub(Dec::from_atoms(1)).unwrap();
        assert_eq!(prices.raised_over(less, &order(1), &[]), Some(rate));
    }
}
