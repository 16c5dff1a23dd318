//! The books on a chain that is a few lists.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use stoa_client::ids::TextId;
use stoa_client::proto::cosmos::base::v1beta1::{Coin, DecCoin};
use stoa_client::proto::market::v1::market_event::Event;
use stoa_client::proto::market::v1::{
    CloseReason, EventLeaseClosed, EventLeaseCreated, EventLeasePaid, Lease, LeaseState,
    MarketEvent, WatchMarketResponse,
};
use stoa_client::proto::types::v1::BidId;
use stoa_client::{Error, Result};
use tokio::sync::{watch, Notify};

use super::{Bookkeeper, Books, Filter, Follow, History, Kind, Ledger, LedgerError, Settled};
use crate::tests_support::{lease_view, me, order, tenant};

/// A market that is a list of blocks.
#[derive(Default)]
pub(super) struct Market {
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Default)]
struct State {
    blocks: BTreeMap<u64, Vec<Event>>,
    leases: BTreeMap<String, Lease>,
    paid: u128,
    /// The first height that is kept.
    earliest: u64,
}

impl Market {
    fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next block.
    pub(super) fn block(&self, events: Vec<Event>) -> u64 {
        let mut state = self.look();
        for event in &events {
            state.apply(event);
        }
        let height = state.blocks.keys().next_back().map_or(1, |last| last + 1);
        state.blocks.insert(height, events);
        drop(state);
        self.grown.notify_waiters();
        height
    }

    fn prune(&self, earliest: u64) {
        let mut state = self.look();
        state.earliest = earliest;
        state.blocks.retain(|height, _| *height >= earliest);
    }

    pub(super) fn paid(&self) -> u128 {
        self.look().paid
    }

    pub(super) fn tip(&self) -> u64 {
        self.look().tip()
    }
}

impl State {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::LeaseCreated(created) => {
                let rate = DecCoin { denom: "ustoa".into(), amount: "2000000000000000000".into() };
                let lease = Lease {
                    id: Some(BidId::parse(&created.lease).unwrap()),
                    state: LeaseState::Active.into(),
                    provider_rate: Some(rate),
                    matched_at: 7,
                    ..Lease::default()
                };
                self.leases.insert(created.lease.clone(), lease);
            }
            Event::LeasePaid(paid) => {
                let amount: u128 = paid.amount.trim_end_matches("ustoa").parse().unwrap();
                let lease = self.leases.get_mut(&paid.lease).unwrap();
                let before = lease.withdrawn.take().map_or(0, |c| c.amount.parse().unwrap());
                let sum: u128 = before + amount;
                lease.withdrawn = Some(Coin { denom: "ustoa".into(), amount: sum.to_string() });
                self.paid += amount;
            }
            Event::LeaseClosed(closed) => {
                let lease = self.leases.get_mut(&closed.lease).unwrap();
                lease.set_state(LeaseState::Closed);
                lease.closed_at = 99;
                lease.set_reason(CloseReason::FundsExhausted);
            }
            _ => {}
        }
    }

    fn tip(&self) -> u64 {
        self.blocks.keys().next_back().copied().unwrap_or(0)
    }
}

struct Reader(Arc<Market>, u64);

#[async_trait]
impl Follow for Reader {
    async fn next(&mut self) -> Result<WatchMarketResponse> {
        loop {
            let grown = self.0.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            {
                let state = self.0.look();
                if self.1 < state.earliest {
                    return Err(Error::Invalid("pruned".into()));
                }
                if let Some(events) = state.blocks.get(&self.1) {
                    let events = events.iter().map(|e| MarketEvent { event: Some(e.clone()) });
                    let (height, events) = (self.1, events.collect());
                    self.1 += 1;
                    let time = 1_000 + height;
                    return Ok(WatchMarketResponse { height, time, events, more: false });
                }
            }
            grown.await;
        }
    }
}

/// `History` is of the market in an `Arc`.
pub(super) struct Past(pub(super) Arc<Market>);

#[async_trait]
impl History for Past {
    fn follow(&self, from: u64) -> Box<dyn Follow> {
        Box::new(Reader(self.0.clone(), from))
    }

    async fn kept(&self) -> Result<(u64, u64)> {
        let state = self.0.look();
        Ok((state.tip(), state.earliest.max(1)))
    }

    async fn payers(&self, height: u64) -> Result<Vec<String>> {
        let state = self.0.look();
        let mine = state.blocks[&height]
            .iter()
            .filter(|event| matches!(event, Event::LeasePaid(paid) if paid.provider == me()));
        Ok(mine.map(|_| format!("TX{height}")).collect())
    }

    async fn leases(&self) -> Result<Vec<BidId>> {
        Ok(self.0.look().leases.values().filter_map(|lease| lease.id.clone()).collect())
    }

    async fn lease_at(&self, id: &BidId) -> Result<Option<(u64, Lease)>> {
        let state = self.0.look();
        Ok(state.leases.get(&id.text()).map(|lease| (state.tip(), lease.clone())))
    }

    async fn paid_at(&self) -> Result<(u64, Vec<Coin>)> {
        let state = self.0.look();
        let coin = Coin { denom: "ustoa".into(), amount: state.paid.to_string() };
        Ok((state.tip(), vec![coin]))
    }
}

fn lease(dseq: u64) -> String {
    lease_view(&order(dseq)).name
}

pub(super) fn created(dseq: u64) -> Event {
    let (owner, provider) = (tenant(), me());
    Event::LeaseCreated(EventLeaseCreated { lease: lease(dseq), owner, provider, rate: "2".into() })
}

pub(super) fn paid(dseq: u64, units: u128) -> Event {
    Event::LeasePaid(EventLeasePaid {
        lease: lease(dseq),
        owner: tenant(),
        provider: me(),
        amount: format!("{units}ustoa"),
    })
}

fn closed(dseq: u64) -> Event {
    Event::LeaseClosed(EventLeaseClosed {
        lease: lease(dseq),
        owner: tenant(),
        provider: me(),
        reason: "funds_exhausted".into(),
    })
}

/// A market and a ledger's file.
struct Stage {
    market: Arc<Market>,
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { market: Arc::default(), dir: tempfile::tempdir().unwrap() }
    }

    fn ledger(&self) -> Arc<Ledger> {
        let path = self.dir.path().join("ledger.db");
        Arc::new(Ledger::open(&path, "test-1", &me()).unwrap())
    }

    /// Runs a bookkeeper until all that is on chain is booked and held against it.
    async fn catch_up(&self) {
        let tip = self.market.tip();
        let past = Arc::new(Past(self.market.clone()));
        let (told, mut books) = watch::channel(Books::default());
        let bookkeeper = Bookkeeper::new(self.ledger(), past, &me(), told);
        let run = tokio::spawn(bookkeeper.run());
        books.wait_for(|books| books.height >= tip && books.held_at >= tip).await.unwrap();
        let mismatches = books.borrow().mismatches;
        run.abort();
        let _ = run.await;
        assert_eq!(mismatches, 0);
        assert_eq!(books.borrow().earned.values().sum::<u128>(), self.total());
    }

    /// What the ledger says was earned, which is the sum of its lines.
    fn total(&self) -> u128 {
        let ledger = self.ledger();
        let mut sums: BTreeMap<String, u128> = BTreeMap::new();
        for line in ledger.earnings(&Filter::default()).unwrap().payments {
            *sums.entry(line.denom).or_default() += line.amount;
        }
        assert_eq!(ledger.totals().unwrap(), sums);
        sums.values().sum()
    }
}

#[tokio::test]
async fn the_ledger_equals_the_chain_to_the_unit_whatever_is_replayed() {
    let stage = Stage::new();
    stage.market.block(vec![created(1), created(2)]);
    stage.market.block(vec![paid(1, 10), paid(2, 7)]);
    stage.catch_up().await;
    assert_eq!(stage.total(), 17);
    stage.market.block(vec![paid(1, 5)]);
    stage.market.block(vec![paid(2, 1), closed(2)]);
    stage.catch_up().await;
    stage.catch_up().await;
    assert_eq!((stage.total(), stage.market.paid()), (23, 23));

    let ledger = stage.ledger();
    let all = ledger.earnings(&Filter::default()).unwrap();
    assert!(all.payments.iter().all(|line| line.kind == Kind::Paid), "{:?}", all.payments);
    assert_eq!(all.payments[0].tx, "TX2");
    assert_eq!(all.total["ustoa"], "23");
    let one = Filter { lease: Some(lease(2)), ..Filter::default() };
    let one = ledger.earnings(&one).unwrap();
    assert_eq!((one.leases.len(), one.leases[0].earned), (1, 8));
    assert_eq!((one.leases[0].rate.as_str(), one.leases[0].closed_at), ("2", 99));
    assert_eq!(one.leases[0].reason, "funds_exhausted");
    let tenants = |address: String| Filter { tenant: Some(address), ..Filter::default() };
    assert_eq!(ledger.earnings(&tenants(tenant())).unwrap().payments.len(), 4);
    assert_eq!(ledger.earnings(&tenants(me())).unwrap().payments.len(), 0);
    let late = ledger.earnings(&Filter { since: 1_003, ..Filter::default() }).unwrap();
    assert_eq!(late.total["ustoa"], "6");
}

#[tokio::test]
async fn what_was_paid_in_blocks_that_no_node_has_is_rebuilt_from_the_chains_sums() {
    let stage = Stage::new();
    stage.market.block(vec![created(1)]);
    stage.market.block(vec![paid(1, 100)]);
    stage.catch_up().await;
    // The daemon sleeps; blocks with payments come, and are pruned.
    for units in [3, 4] {
        stage.market.block(vec![paid(1, units)]);
    }
    stage.market.block(vec![]);
    stage.market.prune(5);
    stage.catch_up().await;
    assert_eq!((stage.total(), stage.market.paid()), (107, 107));
    let lines = stage.ledger().earnings(&Filter::default()).unwrap().payments;
    assert_eq!(lines.iter().filter(|line| line.kind == Kind::Rebuilt).count(), 1);
    stage.market.block(vec![paid(1, 2)]);
    stage.catch_up().await;
    assert_eq!((stage.total(), stage.market.paid()), (109, 109));
}

#[tokio::test]
async fn a_lost_ledger_is_made_anew_also_of_leases_that_the_chain_has_forgotten() {
    let stage = Stage::new();
    stage.market.block(vec![created(1), created(2)]);
    stage.market.block(vec![paid(1, 100), paid(2, 11)]);
    stage.market.block(vec![closed(1)]);
    stage.market.prune(3);
    stage.market.look().leases.remove(&lease(1));
    stage.catch_up().await;
    assert_eq!((stage.total(), stage.market.paid()), (111, 111));
}

#[test]
fn a_block_is_booked_once_and_the_height_only_grows() {
    let stage = Stage::new();
    let ledger = stage.ledger();
    let line = |place, amount| super::Payment {
        height: 5,
        place,
        time: 1,
        lease: lease(1),
        denom: "ustoa".into(),
        amount,
        tx: "T".into(),
        kind: Kind::Paid,
    };
    ledger.book(5, &[line(0, 10), line(1, 10)]).unwrap();
    ledger.book(5, &[line(0, 10), line(1, 10)]).unwrap();
    ledger.skip_to(3).unwrap();
    assert_eq!(ledger.height().unwrap(), Some(5));
    assert_eq!(stage.total(), 20, "two payments of one amount in one block are two");
    let mut state = Lease {
        id: Some(lease_view(&order(1)).id),
        withdrawn: Some(Coin { denom: "ustoa".into(), amount: "15".into() }),
        ..Lease::default()
    };
    assert_eq!(ledger.settle(5, 1, &state).unwrap(), Settled::Over(5));
    assert_eq!(stage.total(), 20, "what was seen is not taken back");
    state.withdrawn = Some(Coin { denom: "ustoa".into(), amount: "20".into() });
    assert_eq!(ledger.settle(5, 1, &state).unwrap(), Settled::Equal);
}

/// As a ledger was laid out before it had totals.
const FIRST_LAYOUT: &str = "
DROP TABLE totals;
DROP INDEX payments_of_lease_by_height;
CREATE INDEX payments_of_lease ON payments (lease);
UPDATE meta SET value = '1' WHERE key = 'layout';
";

#[tokio::test]
async fn the_totals_are_the_sum_of_the_lines_also_of_a_ledger_that_had_none() {
    let stage = Stage::new();
    stage.market.block(vec![created(1), created(2)]);
    stage.market.block(vec![paid(1, 100), paid(2, 7), paid(1, 100)]);
    stage.catch_up().await;
    // Two blocks of which no line is seen, one of a lease that is forgotten.
    stage.market.block(vec![paid(1, 3)]);
    stage.market.block(vec![paid(2, 4), closed(2)]);
    stage.market.block(vec![]);
    stage.market.prune(5);
    stage.market.look().leases.remove(&lease(2));
    stage.catch_up().await;
    assert_eq!((stage.total(), stage.market.paid()), (214, 214));

    stage.ledger().sql().execute_batch(FIRST_LAYOUT).unwrap();
    assert_eq!(stage.total(), 214);
    stage.market.block(vec![paid(1, 1)]);
    stage.catch_up().await;
    assert_eq!((stage.total(), stage.market.paid()), (215, 215));

    // A height before the last lines counts these out.
    let ledger = stage.ledger();
    let tip = stage.market.tip();
    assert_eq!(ledger.settle_all(tip - 1, 1, "ustoa", 214).unwrap(), Settled::Equal);
    let state = |units: &str| Lease {
        id: Some(lease_view(&order(1)).id),
        withdrawn: Some(Coin { denom: "ustoa".into(), amount: units.into() }),
        ..Lease::default()
    };
    assert_eq!(ledger.settle(tip - 1, 1, &state("203")).unwrap(), Settled::Equal);
    assert_eq!(ledger.settle(tip, 1, &state("204")).unwrap(), Settled::Equal);
    assert_eq!(stage.total(), 215);

    let later = "UPDATE meta SET value = '3' WHERE key = 'layout'; DROP TABLE totals;";
    ledger.sql().execute_batch(later).unwrap();
    let path = stage.dir.path().join("ledger.db");
    let refused = Ledger::open(&path, "test-1", &me()).unwrap_err();
    assert!(matches!(refused, LedgerError::Other(..)), "{refused}");
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'totals'";
    let count: i64 = ledger.sql().query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0, "nothing of a later layout's is touched");
}

#[test]
fn another_chains_or_providers_ledger_is_refused() {
    let stage = Stage::new();
    drop(stage.ledger());
    let path = stage.dir.path().join("ledger.db");
    assert!(Ledger::open(&path, "test-2", &me()).is_err());
    assert!(Ledger::open(&path, "test-1", &tenant()).is_err());
    let read = Ledger::open_to_read(&path).unwrap();
    assert_eq!(read.earnings(&Filter::default()).unwrap().payments, []);
}
