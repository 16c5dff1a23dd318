//! The loop that sends one transaction after the other.

use std::{future::Future, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{
    batch::{Batch, Unit},
    journal::{Intent, Journal},
    QueueOptions, Recovered,
};
use crate::{
    chain::{Fate, Sent},
    error::CODE_OUT_OF_GAS,
    keys::SecretKey,
    query::AccountState,
    tx::{Gas, SignedTx, TxOptions, TxResult},
    Chain, Error, Refusal, Result,
};

/// How often a batch is signed anew before its callers are told.
const ATTEMPTS: u32 = 8;
/// Between looks at a chain that does not answer.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// After so long without a decision a line is logged, and the wait goes on.
const SLOW: Duration = Duration::from_secs(60);

pub(super) struct Worker {
    chain: Chain,
    key: SecretKey,
    address: String,
    options: QueueOptions,
    journal: Option<Journal>,
    /// None: to be asked for.
    account: Option<AccountState>,
    /// A unit that did not fit into the last batch.
    held: Option<Unit>,
}

/// How one signing of a batch ended.
enum Turn {
    Took(Box<TxResult>),
    Failed(Refusal),
    /// Sign again: it did not land, and now we know why or that it cannot.
    Again(String),
}

impl Worker {
    pub fn new(
        chain: Chain,
        key: SecretKey,
        options: QueueOptions,
        journal: Option<Journal>,
    ) -> Self {
        let address = key.address().to_string();
        Self { chain, key, address, options, journal, account: None, held: None }
    }

    /// Decides what an earlier process left behind.
    pub async fn recover(&mut self) -> Result<Option<Recovered>> {
        let Some(intent) = self.journal.as_ref().map(Journal::read).transpose()?.flatten() else {
            return Ok(None);
        };
        let (signed, sent) = intent.signed()?;
        tracing::info!("transaction {} was under way at the last stop; looking", intent.hash);
        let decided = self.decide(&signed, &sent).await?;
        if let Some(journal) = &self.journal {
            journal.clear()?;
        }
        let outcome = decided.map(|result| match result.code {
            0 => Ok(result.height),
            _ => Err(result.refusal()),
        });
        Ok(Some(Recovered { labels: intent.labels, hash: intent.hash, outcome }))
    }

    pub async fn run(mut self, mut units: mpsc::Receiver<Unit>) {
        while let Some(batch) = self.gather(&mut units).await {
            // Split batches go before what came later.
            let mut stack = vec![batch];
            while let Some(batch) = stack.pop() {
                stack.extend(self.deliver(batch).await);
            }
        }
    }

    /// The next batch: waits for the first unit, then a little for others.
    async fn gather(&mut self, units: &mut mpsc::Receiver<Unit>) -> Option<Batch> {
        let first = match self.held.take() {
            Some(unit) => unit,
            None => units.recv().await?,
        };
        let mut batch = Batch(vec![first]);
        let until = Instant::now() + self.options.linger;
        while let Ok(Some(unit)) = tokio::time::timeout_at(until, units.recv()).await {
            if !batch.fits(&unit, self.options.max_messages, self.options.max_bytes) {
                self.held = Some(unit);
                break;
            }
            batch.0.push(unit);
        }
        Some(batch)
    }

    /// Delivers a batch; what is to be tried apart comes back, last first.
    async fn deliver(&mut self, batch: Batch) -> Vec<Batch> {
        let mut options = self.options.tx.clone();
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            match self.turn(&batch, &options).await {
                Ok(Turn::Took(result)) => {
                    batch.finish(&result);
                    return vec![];
                }
                Ok(Turn::Failed(refusal)) if refusal.is_sdk(CODE_OUT_OF_GAS) && attempt < 2 => {
                    // Simulation saw another state than the block did.
                    options.gas = more(options.gas);
                }
                Ok(Turn::Failed(refusal)) => return separate(batch, refusal),
                Ok(Turn::Again(why)) => reason = why,
                Err(error) => {
                    batch.fail(|| Error::Invalid(error.to_string()));
                    return vec![];
                }
            }
        }
        batch.fail(|| {
            Error::Timeout(format!("given up after {ATTEMPTS} attempts; the last: {reason}"))
        });
        vec![]
    }

    /// Signs, sends and waits once.
    async fn turn(&mut self, batch: &Batch, options: &TxOptions) -> Result<Turn> {
        let account = match self.account {
            Some(account) => account,
            None => patiently(|| self.chain.query().account(&self.address)).await?,
        };
        self.account = Some(account);
        let prepared =
            patiently(|| self.chain.prepare(&self.key, account, batch.messages(), options)).await;
        let (signed, sent) = match prepared {
            Ok(prepared) => prepared,
            Err(Error::Refused(refusal)) => return Ok(self.refused(*refusal)),
            Err(error) => return Err(error),
        };
        if let Some(journal) = &self.journal {
            journal.write(&Intent::new(&self.address, &signed, &sent, batch.labels()))?;
        }
        let turn = match self.chain.send(&signed).await {
            Err(refusal) => self.refused(refusal),
            Ok(()) => self.included(&signed, &sent).await?,
        };
        if let Some(journal) = &self.journal {
            journal.clear()?;
        }
        Ok(turn)
    }

    /// Refused before any block: no fee, no sequence.
    fn refused(&mut self, refusal: Refusal) -> Turn {
        match (refusal.expected_sequence(), &mut self.account) {
            (Some(sequence), Some(account)) => {
                tracing::info!(
                    "the chain expects sequence {sequence} of {}, not {}",
                    self.address,
                    account.sequence
                );
                account.sequence = sequence;
                Turn::Again(refusal.message)
            }
            _ => {
                self.account = None;
                Turn::Failed(refusal)
            }
        }
    }

    async fn included(&mut self, signed: &SignedTx, sent: &Sent) -> Result<Turn> {
        let Some(result) = self.decide(signed, sent).await? else {
            self.account = None;
            return Ok(Turn::Again(format!("no block up to {} took it", sent.timeout_height)));
        };
        match (&mut self.account, result.code) {
            // In a block, the sequence counts whether it took effect or not.
            (Some(account), _) if account.sequence == signed.sequence => account.sequence += 1,
            _ => self.account = None,
        }
        match result.code {
            0 => Ok(Turn::Took(result)),
            _ => Ok(Turn::Failed(result.refusal())),
        }
    }

    /// Waits as long as it takes. None: it can no longer land.
    async fn decide(&self, signed: &SignedTx, sent: &Sent) -> Result<Option<Box<TxResult>>> {
        loop {
            match self.chain.confirm(Some(signed), sent, Instant::now() + SLOW).await {
                Ok(Fate::Included(result)) => return Ok(Some(result)),
                Ok(Fate::Dropped) => return Ok(None),
                Ok(Fate::Undecided) => {}
                Err(Error::Timeout(_)) => tracing::warn!(
                    "transaction {} is still undecided (until height {})",
                    sent.hash,
                    sent.timeout_height
                ),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The failing caller is told, the others are tried again without it. Where
/// the refusal names no message, halves are tried apart.
fn separate(mut batch: Batch, refusal: Refusal) -> Vec<Batch> {
    let failing = match batch.0.len() {
        1 => Some(0),
        _ => refusal.message_index().and_then(|index| batch.unit_of(index)),
    };
    match failing {
        Some(index) => {
            batch.0.remove(index).finish(Err(refusal.into()));
            if batch.0.is_empty() {
                return vec![];
            }
            vec![batch]
        }
        None => {
            let (first, second) = batch.halves();
            vec![second, first]
        }
    }
}

fn more(gas: Gas) -> Gas {
    match gas {
        Gas::Simulated { percent } => Gas::Simulated { percent: percent.saturating_add(70) },
        Gas::Fixed(gas) => Gas::Fixed(gas.saturating_mul(2)),
    }
}

/// Asks again while nobody answers.
async fn patiently<T, F, Fut>(ask: F) -> Result<T>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut wait = Duration::from_millis(200);
    loop {
        match ask().await {
            Err(error) if error.is_transient() => {
                tracing::warn!("{error}; trying again in {wait:?}");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(MAX_WAIT);
            }
            other => return other,
        }
    }
}
