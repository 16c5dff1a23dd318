//! Bids that can no longer be honoured, while the chain still takes them
//! back. Pure.

use stoa_client::ids::TextId;
use stoa_client::money::Dec;
use stoa_client::proto::market::v1::{Bid, BidState, Order};
use stoa_client::proto::types::v1::OrderId;

use super::eligibility::check_order;
use super::intents::Intents;
use super::resources::Resources;
use super::round::Rules;
use super::Reason;
use crate::chain::View;

/// A withdrawal lands in a later block than the one that was looked at.
const MARGIN_SECONDS: u64 = 1;

/// An open bid that cannot be honoured.
#[derive(Debug, Clone, PartialEq)]
pub struct Regret {
    pub order: OrderId,
    pub reason: Reason,
    /// The market still takes it back.
    pub in_time: bool,
}

/// Open bids that cannot be honoured any more. Without a measured machine
/// there are none: "unknown" changes nothing.
pub fn plan_withdrawals(view: &View, intents: &Intents, rules: &Rules<'_>) -> Vec<Regret> {
    let Some(capacity) = rules.capacity else { return vec![] };
    let mut regrets = vec![];
    let mut honoured = vec![];
    for order in &view.orders {
        let Some(id) = &order.id else { continue };
        let open = view.bids.get(&id.text()).filter(|bid| bid.state() == BidState::Open);
        let Some(bid) = open else { continue };
        match regret(order, bid, view, rules) {
            Some(reason) => regrets.push(Regret::new(order, id, reason, view.time)),
            None => honoured.push((order, id)),
        }
    }
    // What is left must fit; the bid placed last on the list gives way first.
    let mut used = capacity.used(view, intents);
    for regret in &regrets {
        used = used.minus(resources_of(view, &regret.order));
    }
    while let (false, Some((order, id))) = (used.fits_in(capacity.total), honoured.pop()) {
        let wanted = resources_of(view, id);
        used = used.minus(wanted);
        let reason = Reason::Room { wanted, free: capacity.total.minus(used) };
        regrets.push(Regret::new(order, id, reason, view.time));
    }
    regrets
}

impl Regret {
    fn new(order: &Order, id: &OrderId, reason: Reason, now: u64) -> Self {
        // The market's rule: before half of the window, rounded up, is over.
        let window = order.closes_at.saturating_sub(order.opened_at);
        let until = order.opened_at.saturating_add(window.div_ceil(2));
        let in_time = now.saturating_add(MARGIN_SECONDS) < until;
        Self { order: id.clone(), reason, in_time }
    }
}

fn regret(order: &Order, bid: &Bid, view: &View, rules: &Rules<'_>) -> Option<Reason> {
    let spec = order.spec.as_ref()?;
    let offer = rules.offer()?;
    if let Err(reason) = check_order(order, spec, &view.standing, &offer) {
        return Some(reason);
    }
    let rate = Dec::from_proto(&bid.rate.as_ref()?.amount).ok()?;
    // A sealed bid has no rate yet.
    if rate.is_zero() {
        return None;
    }
    let now = rules.prices.raised_over(rate, order, &bid.gpus)?;
    let denom = rules.prices.denom();
    Some(Reason::Price {
        price: format!("{now}{denom}"),
        maximum: format!("{rate}{denom}, the bid"),
    })
}

fn resources_of(view: &View, id: &OrderId) -> Resources {
    let order = view.orders.iter().find(|order| order.id.as_ref() == Some(id));
    let spec = order.and_then(|order| order.spec.as_ref());
    spec.and_then(|spec| Resources::of_group(spec).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stoa_client::proto::cosmos::base::v1beta1::DecCoin;

    use super::*;
    use crate::bidding::{Capacity, Prices};
    use crate::config::{Config, Cores};
    use crate::tests_support::{bid, config, machine, order, tenant, view, NOW};

    /// Open bids on so many orders, each at the price list's price.
    struct Case {
        view: View,
        config: Config,
        draining: bool,
        dir: tempfile::TempDir,
    }

    impl Case {
        fn new(orders: u64) -> Self {
            let mut view = view();
            let prices = Arc::new(Prices::new(&config()).unwrap());
            for dseq in 1..=orders {
                let (name, mut bid) = bid(&order(dseq));
                let amount = prices.rate(&order(dseq), &[]).unwrap().to_proto();
                bid.rate = Some(DecCoin { denom: "ustoa".into(), amount });
                view.bids.insert(name, bid);
                view.orders.push(order(dseq));
            }
            let dir = tempfile::tempdir().unwrap();
            Self { view, config: config(), draining: false, dir }
        }

        fn regrets(&self) -> Vec<Regret> {
            let capacity = Capacity::new(&self.config, &machine());
            let rules = Rules {
                config: &self.config,
                prices: &Arc::new(Prices::new(&self.config).unwrap()),
                capacity: Some(&capacity),
                max_exposure: None,
                draining: self.draining,
            };
            let intents = Intents::open(&self.dir.path().join("bids.json")).unwrap();
            plan_withdrawals(&self.view, &intents, &rules)
        }
    }

    #[test]
    fn bids_that_can_be_honoured_stay() {
        assert_eq!(Case::new(2).regrets(), []);
    }

    #[test]
    fn a_denied_tenants_bids_are_taken_back_in_the_first_half_of_the_window() {
        let mut case = Case::new(1);
        case.config.limits.denied_tenants.push(tenant());
        let regrets = case.regrets();
        assert_eq!(regrets[0].reason, Reason::TenantDenied);
        assert!(regrets[0].in_time);
        // The window is 30 s: what is sent at 14 s lands at 15 s or later.
        case.view.time = NOW + 14;
        assert!(!case.regrets()[0].in_time);
        case.view.time = NOW + 13;
        assert!(case.regrets()[0].in_time);
    }

    #[test]
    fn draining_takes_all_open_bids_back() {
        let mut case = Case::new(2);
        case.draining = true;
        assert_eq!(case.regrets().len(), 2);
    }

    #[test]
    fn a_machine_that_shrank_takes_back_what_does_not_fit_and_no_more() {
        let mut case = Case::new(3);
        case.config.capacity.cpu = Cores(2_000);
        let regrets = case.regrets();
        assert_eq!(regrets.len(), 1, "{regrets:?}");
        assert!(matches!(regrets[0].reason, Reason::Room { .. }));
        assert_eq!(regrets[0].order.dseq, 3);
    }

    #[test]
    fn a_bid_under_a_raised_price_list_is_taken_back() {
        let mut case = Case::new(1);
        case.config.pricing.cpu = "400000000".into();
        assert!(matches!(case.regrets()[0].reason, Reason::Price { .. }));
        let won = case.view.bids.values_mut().next().unwrap();
        won.set_state(BidState::Won);
        assert_eq!(case.regrets(), [], "a won bid is a lease");
    }
}
