//! Follows the chain's payments into the ledger, and holds the ledger against
//! the chain's sums.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use stoa_client::ids::TextId;
use stoa_client::money::parse_coin;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::market::v1::market_event::Event;
use stoa_client::proto::market::v1::{EventLeasePaid, Lease, WatchMarketResponse};
use stoa_client::proto::types::v1::BidId;
use tokio::sync::watch;
use tokio::time::Interval;

use super::history::History;
use super::ledger::{Ledger, LedgerError, Settled};
use super::lines::{Kind, Payment};

/// A new ledger reads so many blocks back for payments with their
/// transactions; what was before comes as one line a lease.
const LOOK_BACK: u64 = 20_000;
/// How often all is held against the chain's sums.
const AUDIT_EVERY: Duration = Duration::from_secs(600);
/// Between tries of what the chain does not answer, or the disk does not take.
const RETRY: Duration = Duration::from_secs(3);
/// Tries for the names of transactions, which a payment can do without.
const TRIES: u32 = 3;
/// The height is written down after so many blocks without a payment.
const WRITE_EVERY: u64 = 200;
/// Leases asked for at a time.
const AT_ONCE: usize = 8;

/// How far the books are, and whether they agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// All payments up to here are booked.
    pub height: u64,
    /// The height of the last sum of the chain's that all was held against.
    pub held_at: u64,
    /// Holds against the chain's sum that found the ledger over it, since the
    /// start.
    pub mismatches: u64,
    /// What leases earned in all: by denom, whole units.
    pub earned: BTreeMap<String, u128>,
    /// Why nothing can be booked now; none: it can.
    pub problem: Option<String>,
}

/// Where the ledger lies, and whose it is.
#[derive(Debug, Clone)]
pub struct LedgerFile {
    pub path: PathBuf,
    pub chain_id: String,
    /// The provider's address.
    pub provider: String,
}

impl LedgerFile {
    /// # Errors
    /// It is another's or damaged, or its disk does not have it.
    pub fn open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.path, &self.chain_id, &self.provider)
    }

    /// Refuses one that will never be ours; what its disk may give later is
    /// waited for by [`keep_books`].
    pub fn check(&self) -> Result<(), LedgerError> {
        match self.open() {
            Err(error) if !error.may_pass() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Opens the ledger, as soon as its disk lets it, and books without end.
///
/// # Errors
/// As [`Bookkeeper::run`].
pub async fn keep_books(
    file: LedgerFile,
    history: Arc<dyn History>,
    books: watch::Sender<Books>,
) -> anyhow::Result<()> {
    let mut told = false;
    let ledger = loop {
        match file.open() {
            Ok(ledger) => break ledger,
            Err(error) if error.may_pass() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!("{}: {error}; it is tried until it opens", file.path.display());
                }
                books.send_modify(|books| books.problem = Some(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(RETRY).await;
    };
    books.send_modify(|books| books.problem = None);
    Bookkeeper::new(Arc::new(ledger), history, &file.provider, books).run().await
}

/// The loop that books.
pub struct Bookkeeper {
    ledger: Arc<Ledger>,
    history: Arc<dyn History>,
    provider: String,
    /// What the chain said at heights that are not booked yet.
    claims: Vec<Claim>,
    /// The newest block that was told.
    seen: u64,
    time: u64,
    written: u64,
    books: watch::Sender<Books>,
}

/// The chain's word at a height.
enum Claim {
    Lease(u64, Box<Lease>),
    All(u64, Vec<Coin>),
}

impl Claim {
    fn height(&self) -> u64 {
        match self {
            Self::Lease(height, _) | Self::All(height, _) => *height,
        }
    }
}

impl Bookkeeper {
    pub fn new(
        ledger: Arc<Ledger>,
        history: Arc<dyn History>,
        provider: &str,
        books: watch::Sender<Books>,
    ) -> Self {
        Self {
            ledger,
            history,
            provider: provider.into(),
            claims: vec![],
            seen: 0,
            time: 0,
            written: 0,
            books,
        }
    }

    /// Books without end. A disk that does not take a payment is waited for:
    /// the chain keeps it meanwhile.
    ///
    /// # Errors
    /// The ledger is damaged: money must not be earned unseen.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut audit = tokio::time::interval(AUDIT_EVERY);
        audit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            match self.follow(&mut audit).await {
                Ok(()) => tokio::time::sleep(RETRY).await,
                Err(error) if error.may_pass() => {
                    self.await_room(&error).await;
                    audit.reset_immediately();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Follows for as long as the nodes tell.
    async fn follow(&mut self, audit: &mut Interval) -> Result<(), LedgerError> {
        let from = self.next_height().await?;
        self.seen = self.seen.max(from.saturating_sub(1));
        self.tell_earned()?;
        let mut follow = self.history.follow(from);
        loop {
            tokio::select! {
                told = follow.next() => match told {
                    Ok(block) => self.take(block).await?,
                    Err(error) => {
                        tracing::warn!("following payments from {}: {error}", self.seen + 1);
                        return Ok(());
                    }
                },
                _ = audit.tick() => self.audit().await?,
            }
        }
    }

    /// Waits until the ledger can be written, and forgets all that is not in
    /// it: it is followed, and asked, anew.
    async fn await_room(&mut self, why: &LedgerError) {
        tracing::error!("{why}; payments are booked once it can be written");
        self.books.send_modify(|books| books.problem = Some(why.to_string()));
        loop {
            tokio::time::sleep(RETRY).await;
            match self.ledger.try_write() {
                Ok(()) => break,
                Err(error) => tracing::debug!("the ledger: {error}"),
            }
        }
        tracing::info!("the ledger can be written again");
        self.books.send_modify(|books| books.problem = None);
        self.claims.clear();
        (self.seen, self.written) = (0, 0);
    }

    /// Where to go on: after what is booked, or where the nodes' memory
    /// begins.
    async fn next_height(&self) -> Result<u64, LedgerError> {
        let (latest, earliest) = loop {
            match self.history.kept().await {
                Ok(kept) => break kept,
                Err(error) => tracing::warn!("the ledger waits for the chain: {error}"),
            }
            tokio::time::sleep(RETRY).await;
        };
        let booked = self.ledger.height()?.map(|height| height.max(self.seen));
        let next = match booked {
            Some(height) => height.saturating_add(1),
            None => latest.saturating_sub(LOOK_BACK).max(1),
        };
        if next < earliest {
            if booked.is_some() {
                tracing::warn!(
                    "blocks {next} to {} are at no node any more; their payments are booked as \
                     one line a lease",
                    earliest - 1
                );
            }
            self.ledger.skip_to(earliest.saturating_sub(1))?;
            return Ok(earliest);
        }
        if booked.is_none() {
            self.ledger.skip_to(next.saturating_sub(1))?;
        }
        Ok(next)
    }

    /// Books one block.
    pub(super) async fn take(&mut self, block: WatchMarketResponse) -> Result<(), LedgerError> {
        let events: Vec<Event> = block.events.into_iter().filter_map(|e| e.event).collect();
        let mine: Vec<&EventLeasePaid> =
            events.iter().filter_map(|e| self.own_payment(e)).collect();
        let payments = self.payments(block.height, block.time, &mine).await;
        let due = block.height.saturating_sub(self.written) >= WRITE_EVERY;
        if !payments.is_empty() || due {
            self.ledger.book(block.height, &payments)?;
            self.written = block.height;
        }
        for payment in &payments {
            tracing::info!(
                lease = %payment.lease,
                height = payment.height,
                tx = %payment.tx,
                "earned {}{}",
                payment.amount,
                payment.denom
            );
        }
        (self.seen, self.time) = (block.height, block.time);
        let changed: Vec<String> = events.iter().filter_map(|e| self.own_change(e)).collect();
        for lease in changed {
            self.ledger.note(&lease)?;
            self.ask(&lease).await?;
        }
        self.settle()
    }

    fn own_payment<'a>(&self, event: &'a Event) -> Option<&'a EventLeasePaid> {
        match event {
            Event::LeasePaid(paid) if paid.provider == self.provider => Some(paid),
            _ => None,
        }
    }

    /// A lease that began, or ended, with this event.
    fn own_change(&self, event: &Event) -> Option<String> {
        let (lease, provider) = match event {
            Event::LeaseCreated(event) => (&event.lease, &event.provider),
            Event::LeaseStarted(event) => (&event.lease, &event.provider),
            Event::LeaseClosed(event) => (&event.lease, &event.provider),
            _ => return None,
        };
        (*provider == self.provider).then(|| lease.clone())
    }

    async fn payments(&self, height: u64, time: u64, paid: &[&EventLeasePaid]) -> Vec<Payment> {
        if paid.is_empty() {
            return vec![];
        }
        let payers = self.payers(height, paid.len()).await;
        let lines = (0_u32..).zip(paid).zip(payers).filter_map(|((place, paid), tx)| {
            let Ok(coin) = parse_coin(&paid.amount) else {
                tracing::error!(height, "a payment of `{}` is not understood", paid.amount);
                return None;
            };
            Some(Payment {
                height,
                place,
                time,
                lease: paid.lease.clone(),
                denom: coin.denom,
                amount: coin.amount.parse().ok()?,
                tx,
                kind: Kind::Paid,
            })
        });
        lines.collect()
    }

    /// The transactions of a block's payments; empty names where they cannot
    /// be found out.
    async fn payers(&self, height: u64, count: usize) -> Vec<String> {
        for turn in 0..TRIES {
            match self.history.payers(height).await {
                Ok(payers) if payers.len() == count => return payers,
                Ok(_) => break,
                Err(error) if turn + 1 == TRIES => {
                    tracing::warn!(height, "which transaction paid: {error}");
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
        vec![String::new(); count]
    }

    /// Asks for everything that may differ.
    pub(super) async fn audit(&mut self) -> Result<(), LedgerError> {
        let mut names: BTreeSet<String> = self.ledger.unsettled()?.into_iter().collect();
        match self.history.leases().await {
            Ok(leases) => names.extend(leases.iter().map(TextId::text)),
            Err(error) => return self.unheard(&error),
        }
        let known = self.ledger.settled()?;
        let ids = names.iter().filter(|name| !known.contains(*name));
        let ids: Vec<BidId> = ids.filter_map(|name| BidId::parse(name).ok()).collect();
        let history = Arc::clone(&self.history);
        let asked = futures::stream::iter(ids).map(|id| {
            let history = Arc::clone(&history);
            async move { (id.text(), history.lease_at(&id).await) }
        });
        let answers: Vec<_> = asked.buffered(AT_ONCE).collect().await;
        for (name, answer) in answers {
            match answer {
                Ok(Some((height, lease))) => {
                    self.claims.push(Claim::Lease(height, Box::new(lease)));
                }
                Ok(None) => self.ledger.forgotten(&name)?,
                Err(error) => return self.unheard(&error),
            }
        }
        match self.history.paid_at().await {
            Ok((height, amounts)) => self.claims.push(Claim::All(height, amounts)),
            Err(error) => return self.unheard(&error),
        }
        self.settle()
    }

    async fn ask(&mut self, lease: &str) -> Result<(), LedgerError> {
        let Ok(id) = BidId::parse(lease) else { return Ok(()) };
        match self.history.lease_at(&id).await {
            Ok(Some((height, lease))) => self.claims.push(Claim::Lease(height, Box::new(lease))),
            Ok(None) => {}
            Err(error) => return self.unheard(&error),
        }
        Ok(())
    }

    /// The next audit asks again.
    fn unheard(&self, error: &stoa_client::Error) -> Result<(), LedgerError> {
        tracing::warn!("the ledger could not be held against the chain: {error}");
        Ok(())
    }

    /// Settles the claims whose height is booked.
    fn settle(&mut self) -> Result<(), LedgerError> {
        let seen = self.seen;
        self.books.send_modify(|books| books.height = seen);
        let (ready, waiting) =
            std::mem::take(&mut self.claims).into_iter().partition(|c| c.height() <= seen);
        self.claims = waiting;
        for claim in ready {
            match claim {
                Claim::Lease(height, lease) => {
                    let settled = self.ledger.settle(height, self.time, &lease)?;
                    let name = lease.id.as_ref().map(TextId::text).unwrap_or_default();
                    self.tell(&name, settled);
                }
                Claim::All(height, amounts) => {
                    for coin in amounts {
                        let paid = coin.amount.parse().unwrap_or(0);
                        let settled =
                            self.ledger.settle_all(height, self.time, &coin.denom, paid)?;
                        self.tell("all leases", settled);
                    }
                    self.books.send_modify(|books| books.held_at = height);
                }
            }
        }
        self.tell_earned()
    }

    /// All that was to be written is written.
    fn tell_earned(&self) -> Result<(), LedgerError> {
        let earned = self.ledger.totals()?;
        self.books.send_modify(|books| books.earned = earned);
        Ok(())
    }

    fn tell(&self, of: &str, settled: Settled) {
        match settled {
            Settled::Equal | Settled::Added(0) => {}
            Settled::Added(units) => {
                tracing::info!("the ledger of {of}: {units} units of blocks not seen were added");
            }
            Settled::Over(units) => {
                tracing::error!("the ledger of {of} has {units} units more than the chain");
                self.books.send_modify(|books| books.mismatches += 1);
            }
        }
    }
}
