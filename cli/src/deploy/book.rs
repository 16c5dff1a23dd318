//! The order book while bids come in, until every order is decided.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use stoa_client::{
    ids::TextId,
    query::{BidsOf, LeaseFilter},
    Chain, Error,
};
use stoa_proto::{
    market::v1::{Bid, BidState, Lease, LeaseState, Order, OrderState},
    types::v1::DeploymentId,
};

use super::progress::BookView;
use crate::{exit::Failure, text};

/// How long a decision may be late before the wait is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between looks where nothing is announced.
const POLL: Duration = Duration::from_millis(500);

/// How the market decided on a group.
#[derive(Clone, Debug)]
pub enum End {
    Leased(Box<Lease>),
    /// With the chain's reason.
    Unmatched(String),
    Cancelled(String),
    /// Matched, and the lease ended already.
    LeaseEnded(Box<Lease>),
}

/// One group and how the market decided on it.
#[derive(Clone, Debug)]
pub struct GroupEnd {
    pub name: String,
    pub order: Order,
    /// All that bid while we watched, with their last rates.
    pub seen: Seen,
    pub end: End,
}

/// Providers and the rates that they bid, as text.
pub type Seen = BTreeMap<String, String>;

impl GroupEnd {
    /// The lease, where there is a live one.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.end {
            End::Leased(lease) => Some(lease),
            _ => None,
        }
    }
}

/// One look at the book.
#[derive(Debug, Default)]
pub struct Look {
    /// The newest order of each group.
    pub orders: Vec<Order>,
    /// Open bids by the order's text, best first.
    pub bids: BTreeMap<String, Vec<Bid>>,
}

impl Look {
    /// Whether any order is still open.
    pub fn is_open(&self) -> bool {
        self.orders.iter().any(|o| o.state() == OrderState::Open)
    }
}

/// Waits until no order of the deployment is open.
///
/// # Errors
/// [`Error::Timeout`] where the chain does not decide in time.
pub async fn wait(chain: &Chain, id: &DeploymentId) -> Result<Vec<GroupEnd>, Failure> {
    let mut view = BookView::new();
    let mut heights = chain.hints().subscribe();
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut unanswered: Option<Instant> = None;
    loop {
        match look(chain, id).await {
            Ok(look) => {
                unanswered = None;
                remember(&look, &mut seen);
                view.show(&look);
                if !look.is_open() && !look.orders.is_empty() {
                    view.finish();
                    return ends(chain, id, look, &seen).await;
                }
                overdue(&look)?;
            }
            Err(error) if error.is_transient() => {
                let since = *unanswered.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        let _ = tokio::time::timeout(POLL, heights.changed()).await;
    }
}

/// An order long past its time: the chain stands still.
fn overdue(look: &Look) -> Result<(), Failure> {
    let now = text::now();
    let last = look.orders.iter().map(|o| o.match_at.max(o.closes_at)).max().unwrap_or(0);
    if last > 0 && now > last.saturating_add(PATIENCE.as_secs()) {
        return Err(Error::Timeout(format!(
            "the bids' time was over {} ago and the chain has not matched; is it running?",
            text::seconds(now - last)
        ))
        .into());
    }
    Ok(())
}

async fn look(chain: &Chain, id: &DeploymentId) -> Result<Look, Error> {
    let query = chain.query();
    let all = query.orders(&id.owner, id.dseq, OrderState::Unspecified).await?;
    let mut newest: BTreeMap<u32, Order> = BTreeMap::new();
    for order in all {
        let Some((gseq, oseq)) = order.id.as_ref().map(|id| (id.gseq, id.oseq)) else { continue };
        let known = newest.get(&gseq).and_then(|o| o.id.as_ref()).map_or(0, |id| id.oseq);
        if oseq > known {
            newest.insert(gseq, order);
        }
    }
    let mut look = Look { orders: newest.into_values().collect(), bids: BTreeMap::new() };
    for order in look.orders.iter().filter(|o| o.state() == OrderState::Open) {
        let Some(id) = &order.id else { continue };
        let bids = query.bids(&BidsOf::Order(id.clone()), BidState::Open).await?;
        look.bids.insert(id.text(), bids);
    }
    Ok(look)
}

fn remember(look: &Look, seen: &mut BTreeMap<String, Seen>) {
    for (order, bids) in &look.bids {
        let seen = seen.entry(order.clone()).or_default();
        for bid in bids {
            let provider = bid.id.as_ref().map(|id| id.provider.clone()).unwrap_or_default();
            seen.insert(provider, rate_of(bid));
        }
    }
}

/// A bid's rate, or that it is sealed.
pub fn rate_of(bid: &Bid) -> String {
    if !bid.commitment.is_empty() && !bid.revealed {
        return "sealed".into();
    }
    text::rate(bid.rate.as_ref())
}

async fn ends(
    chain: &Chain,
    id: &DeploymentId,
    look: Look,
    seen: &BTreeMap<String, Seen>,
) -> Result<Vec<GroupEnd>, Failure> {
    let filter = LeaseFilter { owner: id.owner.clone(), dseq: id.dseq, ..LeaseFilter::default() };
    let leases = chain.query().leases(&filter).await?;
    look.orders.into_iter().map(|order| end(order, &leases, seen)).collect()
}

fn end(order: Order, leases: &[Lease], seen: &BTreeMap<String, Seen>) -> Result<GroupEnd, Failure> {
    let id = order.id.clone().unwrap_or_default();
    let of_order =
        |l: &&Lease| l.id.as_ref().is_some_and(|l| (l.gseq, l.oseq) == (id.gseq, id.oseq));
    let reason = order.unmatched_reason.clone();
    let end = match (order.state(), leases.iter().find(of_order)) {
        (OrderState::Matched, Some(lease)) if lease.state() == LeaseState::Closed => {
            End::LeaseEnded(Box::new(lease.clone()))
        }
        (OrderState::Matched, Some(lease)) => End::Leased(Box::new(lease.clone())),
        (OrderState::Matched, None) => {
            return Err(Failure::new(format!("order {} is matched without a lease", id.text())))
        }
        (OrderState::Unmatched, _) => End::Unmatched(reason),
        _ => End::Cancelled(reason),
    };
    let name = order.spec.as_ref().map(|s| s.name.clone()).unwrap_or_default();
    let seen = seen.get(&id.text()).cloned().unwrap_or_default();
    Ok(GroupEnd { name, order, seen, end })
}

#[cfg(test)]
mod tests {
    use stoa_proto::types::v1::{BidId, OrderId};

    use super::*;

    fn order(state: OrderState) -> Order {
        let id = OrderId { owner: "o".into(), dseq: 1, gseq: 2, oseq: 3 };
        Order { id: Some(id), state: state.into(), ..Order::default() }
    }

    fn lease(oseq: u32, state: LeaseState) -> Lease {
        let id = BidId { owner: "o".into(), dseq: 1, gseq: 2, oseq, provider: "p".into() };
        Lease { id: Some(id), state: state.into(), ..Lease::default() }
    }

    #[test]
    fn each_order_finds_its_end() {
        let seen = BTreeMap::new();
        let leases = [lease(2, LeaseState::Closed), lease(3, LeaseState::Pending)];
        let leased = end(order(OrderState::Matched), &leases, &seen).unwrap();
        assert!(leased.lease().is_some());
        let ended = [lease(3, LeaseState::Closed)];
        let ended = end(order(OrderState::Matched), &ended, &seen).unwrap();
        assert!(matches!(ended.end, End::LeaseEnded(_)) && ended.lease().is_none());
        assert!(end(order(OrderState::Matched), &leases[..1], &seen).is_err());
        let none = end(order(OrderState::Unmatched), &[], &seen).unwrap();
        assert!(matches!(none.end, End::Unmatched(_)));
        let cancelled = end(order(OrderState::Cancelled), &[], &seen).unwrap();
        assert!(matches!(cancelled.end, End::Cancelled(_)));
    }

    #[test]
    fn a_chain_that_stands_still_is_noticed() {
        let mut look = Look { orders: vec![order(OrderState::Open)], ..Look::default() };
        look.orders[0].closes_at = text::now();
        assert!(look.is_open() && overdue(&look).is_ok());
        look.orders[0].closes_at = text::now() - 1_000;
        assert_eq!(overdue(&look).unwrap_err().code, crate::exit::Code::Unmatched);
    }
}
