//! One transaction queue per key.
//!
//! Messages of several callers share a transaction; the queue alone holds the
//! key's sequence. Only one transaction is under way at a time, so what the
//! chain says next is always about it. Before it is sent it stands in the
//! journal: a process that was killed finds out what became of it.
//!
//! A message that fails does not take the others with it: the failing one is
//! reported to its caller and the rest goes on without it.

mod batch;
mod journal;
mod worker;

use std::{path::PathBuf, time::Duration};

use prost::Name;
use stoa_proto::Any;
use tokio::sync::{mpsc, oneshot};

pub use journal::Intent;

use crate::{
    keys::SecretKey,
    tx::{Event, TxOptions},
    Chain, Error, Result,
};
use batch::Unit;
use journal::Journal;
use worker::Worker;

/// Callers that may wait at once; more wait to get in.
const MAX_WAITING: usize = 1024;

/// How a queue works.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// Messages in one transaction at most.
    pub max_messages: usize,
    /// Bytes of messages in one transaction at most.
    pub max_bytes: usize,
    /// How long the first message waits for others to join it.
    pub linger: Duration,
    /// Where intents are written; none: a restart knows nothing of what was
    /// sent before.
    pub journal: Option<PathBuf>,
    pub tx: TxOptions,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_messages: 50,
            max_bytes: 128 << 10,
            linger: Duration::from_millis(20),
            journal: None,
            tx: TxOptions::default(),
        }
    }
}

/// What became of one caller's messages.
#[derive(Clone, Debug)]
pub struct Done {
    /// Upper-case hex of the transaction that they were in.
    pub hash: String,
    pub height: u64,
    /// Of these messages, where the chain tells them apart; else all.
    pub events: Vec<Event>,
    /// One for each message.
    pub responses: Vec<Any>,
}

impl Done {
    /// The response of the message at an index.
    pub fn response<M: Name + Default>(&self, index: usize) -> Result<M> {
        let bad = |why: String| Error::BadAnswer(format!("transaction {}: {why}", self.hash));
        let any = self.responses.get(index).ok_or_else(|| bad(format!("no response {index}")))?;
        M::decode(any.value.as_slice()).map_err(|e| bad(e.to_string()))
    }
}

/// What a process that was killed had under way.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// As given to [`TxQueue::submit_labelled`], one for each caller.
    pub labels: Vec<String>,
    pub hash: String,
    /// None: it is in no block and never will be. Else the block, and the
    /// refusal where it failed there.
    pub outcome: Option<Result<u64, crate::Refusal>>,
}

/// One transaction queue. Cheap to clone; it ends when the last is dropped,
/// after what it holds is done.
#[derive(Clone, Debug)]
pub struct TxQueue {
    units: mpsc::Sender<Unit>,
    address: String,
}

impl TxQueue {
    /// Starts a queue for a key. Where the journal holds a transaction of an
    /// earlier process, waits until its fate is decided and tells it.
    ///
    /// # Errors
    /// An unreadable journal. A node that does not answer is waited for.
    pub async fn open(
        chain: Chain,
        key: SecretKey,
        options: QueueOptions,
    ) -> Result<(Self, Option<Recovered>)> {
        let address = key.address().to_string();
        let journal = options.journal.clone().map(|path| Journal::new(path, &address));
        let mut worker = Worker::new(chain, key, options, journal);
        let recovered = worker.recover().await?;
        let (units, receiver) = mpsc::channel(MAX_WAITING);
        tokio::spawn(worker.run(receiver));
        Ok((Self { units, address }, recovered))
    }

    /// The account that signs.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends messages (all in one transaction, all or none) and waits until
    /// they are in a block.
    ///
    /// # Errors
    /// The chain's refusal of these messages. Dropping the future does not
    /// take them back.
    pub async fn submit(&self, messages: Vec<Any>) -> Result<Done> {
        self.submit_labelled("", messages).await
    }

    /// The same, with a label by which [`Recovered`] names it after a crash.
    pub async fn submit_labelled(&self, label: &str, messages: Vec<Any>) -> Result<Done> {
        if messages.is_empty() {
            return Err(Error::Invalid("nothing to send".into()));
        }
        let (reply, done) = oneshot::channel();
        let unit = Unit { label: label.into(), messages, reply };
        let ended = || Error::Timeout("the transaction queue has ended".into());
        self.units.send(unit).await.map_err(|_| ended())?;
        done.await.map_err(|_| ended())?
    }
}
