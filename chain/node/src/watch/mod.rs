//! `stoa.market.v1.Query/WatchMarket`: the market's events, block by block.
//!
//! Every block, old or new, is read from CometBFT (`/block_results`); a commit only says that
//! there is a further one. So a stream has each block once and in order, whichever node gives
//! it and however often that node starts again: whoever follows goes on at the height after
//! the last that it was told.

#![allow(clippy::result_large_err, reason = "tonic's Status is the error of every call")]

mod events;
mod source;

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use stoa_proto::market::v1::{WatchMarketRequest, WatchMarketResponse};
use tokio::{
    sync::{mpsc, watch, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_stream::Stream;
use tonic::Status;

use crate::comet::Rpc;
use source::Source;

/// The call's path.
pub const PATH: &str = "/stoa.market.v1.Query/WatchMarket";

/// Streams at a time.
pub const MAX_WATCHERS: usize = 64;

/// Answers that wait for a reader. The next block is read when it has taken one.
const AHEAD: usize = 4;

/// How long a reader may take nothing before it loses its place.
const PATIENCE: Duration = Duration::from_secs(60);

/// After so long without an event the stream tells how far it is.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// All streams of a node. Clones share one.
#[derive(Clone)]
pub struct Watchers {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    /// Height of the last commit.
    heads: watch::Receiver<u64>,
    stopping: watch::Sender<bool>,
    places: Arc<Semaphore>,
}

/// A stream, which gives its place back when its reader is done with it.
#[derive(Debug)]
pub struct Watched {
    answers: mpsc::Receiver<Result<Bytes, Status>>,
    _place: OwnedSemaphorePermit,
}

impl Stream for Watched {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.answers.poll_recv(context)
    }
}

impl Watchers {
    /// Streams of what the engine behind `rpc` keeps, up to the height that `heads` tells.
    pub fn new(rpc: Rpc, heads: watch::Receiver<u64>) -> Self {
        let source = Source::new(rpc);
        let places = Arc::new(Semaphore::new(MAX_WATCHERS));
        let stopping = watch::Sender::new(false);
        Self { shared: Arc::new(Shared { source, heads, stopping, places }) }
    }

    /// Starts a stream of encoded answers.
    pub async fn watch(&self, request: WatchMarketRequest) -> Result<Watched, Status> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned().map_err(|_| {
            let text = format!("{MAX_WATCHERS} streams are open, as many as this node gives");
            Status::resource_exhausted(text)
        })?;
        let (out, answers) = mpsc::channel(AHEAD);
        let head = *self.shared.heads.borrow();
        let first = match request.from_height {
            0 => head.saturating_add(1),
            from => from,
        };
        if first > head.saturating_add(1) {
            let text = format!("height {first} has not come; the latest is {head}");
            return Err(Status::failed_precondition(text));
        }
        if first <= head {
            // What is not kept is refused before the stream begins.
            self.shared.source.block(first, head).await?;
        } else {
            // Says from which height on the stream tells everything.
            let time = self.shared.source.time(head).await?;
            let begun = WatchMarketResponse { height: head, time, ..Default::default() };
            let _ = out.try_send(Ok(begun.encode_to_vec().into()));
        }
        tokio::spawn(follow(Arc::clone(&self.shared), first, out));
        Ok(Watched { answers, _place: place })
    }

    /// Ends all streams, and waits until they have, but no longer than `grace`.
    pub async fn stop(&self, grace: Duration) {
        self.shared.stopping.send_replace(true);
        let all = u32::try_from(MAX_WATCHERS).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(grace, self.shared.places.acquire_many(all)).await;
    }
}

/// Tells block after block until the reader has gone, the node stops, or a block is not there.
async fn follow(shared: Arc<Shared>, first: u64, out: mpsc::Sender<Result<Bytes, Status>>) {
    let mut stopping = shared.stopping.subscribe();
    let status = tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Status::unavailable("the node is stopping"),
        () = out.closed() => return,
        status = tell(&shared, first, &out) => status,
    };
    // A full channel has no room for it; then the stream ends without.
    let _ = out.try_send(Err(status));
}

/// Returns why it goes no further.
async fn tell(shared: &Shared, first: u64, out: &mpsc::Sender<Result<Bytes, Status>>) -> Status {
    let mut heads = shared.heads.clone();
    let mut told = Instant::now();
    for height in first.. {
        let head = match heads.wait_for(|head| *head >= height).await {
            Ok(head) => *head,
            Err(_) => break,
        };
        let block = match shared.source.block(height, head).await {
            Ok(block) => block,
            Err(status) => return status,
        };
        if !block.has_events && told.elapsed() < HEARTBEAT {
            continue;
        }
        for answer in block.answers {
            match tokio::time::timeout(PATIENCE, out.send(Ok(answer))).await {
                Ok(Ok(())) => told = Instant::now(),
                // Nobody reads any more.
                Ok(Err(_)) => return Status::cancelled("the reader has gone"),
                Err(_) => {
                    let text = format!("nothing was read for {} seconds", PATIENCE.as_secs());
                    return Status::aborted(text);
                }
            }
        }
    }
    Status::unavailable("the node is stopping")
}
