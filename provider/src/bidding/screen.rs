//! "Why not": whether this provider would bid on an order, everything that
//! speaks against it, and its price.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoa_client::ids::TextId;
use stoa_client::money::Dec;
use stoa_client::proto::market::v1::{GpuOffer, Order, OrderState};
use tokio::sync::watch;

use super::eligibility::objections;
use super::gpu::gpu_offers;
use super::intents::IntentState;
use super::prices::Prices;
use super::resources::Resources;
use super::round::{check_price, Left, Rules, LEAST_SECONDS};
use super::{Capacity, Reason};
use crate::chain::View;
use crate::config::Config;

/// What the bidder has done and has left, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct BidStatus {
    pub left: Left,
    /// No new orders are taken.
    pub draining: bool,
    /// By order id as text.
    pub bids: BTreeMap<String, OwnBid>,
    /// Why open orders are let pass, by order id as text.
    pub passed: BTreeMap<String, String>,
}

/// A bid of the journal's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnBid {
    /// Per second, as a decimal.
    pub rate: String,
    /// Unix seconds.
    pub closes_at: u64,
    pub state: IntentState,
}

/// What screening goes by.
pub struct Screener {
    pub config: Arc<Config>,
    pub prices: Arc<Prices>,
    pub capacity: watch::Receiver<Option<Capacity>>,
    pub status: watch::Receiver<BidStatus>,
}

/// The answer about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Everything that speaks against a bid; none: there is one, or would be.
    pub reasons: Vec<Reason>,
    /// Per second; none where it could not be found.
    pub rate: Option<Dec>,
    /// A bid of this provider's stands, or stood.
    pub has_bid: bool,
}

impl Screener {
    /// Looks at an order as a round would, but to the end.
    pub async fn screen(&self, order: &Order, view: &View) -> anyhow::Result<Verdict> {
        let capacity = self.capacity.borrow().clone();
        let status = self.status.borrow().clone();
        let name = order.id.as_ref().map(TextId::text).unwrap_or_default();
        let own = status.bids.get(&name);
        let mut reasons = own.and_then(|own| of_state(&own.state)).into_iter().collect::<Vec<_>>();
        let stands = own.is_some_and(|own| reasons.is_empty() && !own.rate.is_empty());
        if stands {
            let rate = own.and_then(|own| own.rate.parse().ok());
            return Ok(Verdict { reasons, rate, has_bid: true });
        }
        let late = against_time(order, view);
        let takes_bids = late.is_none();
        reasons.extend(late);
        let rules = Rules {
            config: &self.config,
            prices: &self.prices,
            capacity: capacity.as_ref(),
            max_exposure: self.config.max_exposure()?,
            draining: status.draining,
        };
        let gpus = self.judge(order, view, &rules, &status.left, &mut reasons);
        let rate = match gpus {
            Some(gpus) if takes_bids => self.price(order, &gpus, &mut reasons).await,
            // No script runs for an order that takes no bids.
            Some(gpus) => self.known_price(order, &gpus, &mut reasons),
            None => None,
        };
        Ok(Verdict { reasons, rate, has_bid: own.is_some() })
    }

    /// All but the price; the GPUs that it would be for.
    fn judge(
        &self,
        order: &Order,
        view: &View,
        rules: &Rules<'_>,
        left: &Left,
        reasons: &mut Vec<Reason>,
    ) -> Option<Vec<GpuOffer>> {
        let Some(spec) = &order.spec else {
            reasons.push(Reason::Malformed("no spec".into()));
            return None;
        };
        let Some(offer) = rules.offer() else {
            reasons.push(Reason::CapacityUnknown);
            return None;
        };
        reasons.extend(objections(order, spec, &view.standing, &offer));
        let wanted = Resources::of_group(spec);
        match wanted {
            Ok(wanted) => reasons.extend(left.check(view, order, wanted, rules).err()),
            Err(reason) => reasons.push(reason),
        }
        let of_all = || gpu_offers(spec, &offer.capacity.gpus, &self.config.pricing);
        left.gpu_offers(spec, rules).or_else(|_| of_all()).ok()
    }

    async fn price(
        &self,
        order: &Order,
        gpus: &[GpuOffer],
        reasons: &mut Vec<Reason>,
    ) -> Option<Dec> {
        match self.prices.quote(order, gpus).await {
            Ok(rate) => {
                reasons.extend(check_price(order, rate, self.prices.denom()).err());
                Some(rate)
            }
            Err(reason) => {
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
                None
            }
        }
    }

    fn known_price(
        &self,
        order: &Order,
        gpus: &[GpuOffer],
        reasons: &mut Vec<Reason>,
    ) -> Option<Dec> {
        let rate = self.prices.known(order, gpus)?;
        reasons.extend(check_price(order, rate, self.prices.denom()).err());
        Some(rate)
    }
}

/// What a bid that is over says.
fn of_state(state: &IntentState) -> Option<Reason> {
    match state {
        IntentState::Intended | IntentState::Placed => None,
        IntentState::Refused(why) => Some(Reason::Refused(why.clone())),
        IntentState::Withdrawn(why) => Some(Reason::Withdrawn(why.clone())),
    }
}

fn against_time(order: &Order, view: &View) -> Option<Reason> {
    if order.state() != OrderState::Open {
        let state = order.state().as_str_name().trim_start_matches("ORDER_STATE_").to_lowercase();
        return Some(Reason::NotOpen(state));
    }
    let seconds = order.closes_at.saturating_sub(view.time);
    (seconds <= LEAST_SECONDS).then_some(Reason::TooLate(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cores;
    use crate::tests_support::{config, machine, order, tenant, view};

    fn screener(config: Config, status: BidStatus) -> Screener {
        let prices = Arc::new(Prices::new(&config).unwrap());
        let capacity = Capacity::new(&config, &machine());
        let mut status = status;
        status.left.room = capacity.total;
        Screener {
            config: Arc::new(config),
            prices,
            capacity: watch::channel(Some(capacity)).1,
            status: watch::channel(status).1,
        }
    }

    #[tokio::test]
    async fn an_order_that_would_get_a_bid_has_a_price_and_no_reason() {
        let verdict = screener(config(), BidStatus::default()).screen(&order(1), &view()).await;
        let verdict = verdict.unwrap();
        assert_eq!(verdict.reasons, []);
        assert!(verdict.rate.is_some());
    }

    #[tokio::test]
    async fn every_reason_is_told_with_the_price_that_there_would_be() {
        let mut config = config();
        config.limits.denied_tenants.push(tenant());
        config.capacity.cpu = Cores(500);
        config.pricing.minimum = "99999999999999".into();
        let mut closed = order(1);
        closed.set_state(OrderState::Matched);
        let verdict = screener(config, BidStatus::default()).screen(&closed, &view()).await;
        let verdict = verdict.unwrap();
        assert!(
            matches!(
                verdict.reasons[..],
                [
                    Reason::NotOpen(_),
                    Reason::TenantDenied,
                    Reason::Room { .. },
                    Reason::Price { .. }
                ]
            ),
            "{:?}",
            verdict.reasons
        );
        assert!(verdict.rate.is_some());
    }

    /// It did, for anybody who asked: in the places that bids wait for.
    #[tokio::test]
    async fn no_script_runs_for_an_order_that_takes_no_bids_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (script, ran) = (dir.path().join("price.sh"), dir.path().join("ran"));
        let text = format!("#!/bin/sh\necho >> {}\necho 5\n", ran.display());
        crate::tests_support::program(&script, &text);
        std::fs::remove_file(&ran).unwrap();
        let mut config = config();
        config.bidding.strategy = crate::config::Strategy::Script;
        config.bidding.script = script;
        let screener = screener(config, BidStatus::default());
        let mut closed = order(1);
        closed.set_state(OrderState::Matched);
        let mut late = order(2);
        late.closes_at = view().time;
        for order in [&closed, &late] {
            let verdict = screener.screen(order, &view()).await.unwrap();
            let [Reason::NotOpen(_) | Reason::TooLate(_)] = verdict.reasons[..] else {
                panic!("{:?}", verdict.reasons);
            };
            assert_eq!(verdict.rate, None);
        }
        assert!(!ran.exists());
        let open = screener.screen(&order(3), &view()).await.unwrap();
        assert!(ran.exists() && open.rate.is_some(), "{:?}", open.reasons);
    }

    #[tokio::test]
    async fn an_order_with_a_bid_answers_with_that_bid() {
        let name = order(1).id.unwrap().text();
        let own = |state| OwnBid { rate: "7.5".into(), closes_at: 1, state };
        let with =
            |state| BidStatus { bids: [(name.clone(), own(state))].into(), ..BidStatus::default() };
        let placed = screener(config(), with(IntentState::Placed));
        let verdict = placed.screen(&order(1), &view()).await.unwrap();
        assert_eq!((verdict.has_bid, verdict.reasons.len()), (true, 0));
        assert_eq!(verdict.rate.unwrap().to_string(), "7.5");
        let refused = screener(config(), with(IntentState::Refused("too high".into())));
        let verdict = refused.screen(&order(1), &view()).await.unwrap();
        assert_eq!(verdict.reasons, [Reason::Refused("too high".into())]);
    }
}
