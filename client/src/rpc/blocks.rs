//! Every block from a height on, once each and in order, over reconnects.
//!
//! Announcements only say when to look; what happened is read by
//! `/block_results` for each height passed.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinHandle};

use super::{Hints, RpcClient};
use crate::{tx::Event, Result};

/// One block's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub height: u64,
    /// Unix seconds, rounded down: the market's clock.
    pub time: u64,
    /// Of its transactions that took effect, then of its end.
    pub events: Vec<Event>,
}

/// What the stream gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockItem {
    Block(Block),
    /// The node has pruned `from..=to`: whoever follows must read the state
    /// anew. The stream goes on after it.
    Gap {
        from: u64,
        to: u64,
    },
}

/// How to follow.
#[derive(Clone, Debug)]
pub struct BlocksOptions {
    /// The first height wanted; none: the next one from now.
    pub from: Option<u64>,
    /// Without an announcement for so long, the node is asked.
    pub watchdog: Duration,
    /// Blocks read ahead of the consumer.
    pub buffer: usize,
}

impl Default for BlocksOptions {
    fn default() -> Self {
        Self { from: None, watchdog: Duration::from_secs(3), buffer: 64 }
    }
}

/// A stream of [`BlockItem`]s; dropping it ends the following.
#[derive(Debug)]
pub struct Blocks {
    items: mpsc::Receiver<BlockItem>,
    task: JoinHandle<()>,
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Blocks {
    /// Starts following. Unreachable nodes are tried again without end.
    pub fn follow(rpc: &RpcClient, options: BlocksOptions) -> Self {
        let (sender, items) = mpsc::channel(options.buffer.max(1));
        let task = tokio::spawn(run(rpc.clone(), options, sender));
        Self { items, task }
    }

    /// The next block; none only when the task has ended.
    pub async fn next(&mut self) -> Option<BlockItem> {
        self.items.recv().await
    }
}

impl futures::Stream for Blocks {
    type Item = BlockItem;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<BlockItem>> {
        self.items.poll_recv(context)
    }
}

async fn run(rpc: RpcClient, options: BlocksOptions, out: mpsc::Sender<BlockItem>) {
    let mut hints = Hints::start(&rpc);
    let mut next = options.from;
    let mut failures = 0_u32;
    while !out.is_closed() {
        match catch_up(&rpc, &mut next, hints.height(), &out).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!("following blocks from {next:?}: {error}; trying again");
                tokio::time::sleep(Duration::from_millis(200 << failures.min(5))).await;
                continue;
            }
        }
        // An announcement that came while catching up is acted on at once.
        if next.is_some_and(|n| hints.height() < n) {
            hints.changed(options.watchdog).await;
        }
    }
}

/// Sends every block up to the newest.
async fn catch_up(
    rpc: &RpcClient,
    next: &mut Option<u64>,
    hint: u64,
    out: &mpsc::Sender<BlockItem>,
) -> Result<()> {
    let status = rpc.status().await?;
    let from = *next.get_or_insert(status.latest_height + 1);
    // The announced node may be another than the one that gave the status.
    let newest = status.latest_height.max(hint);
    let mut height = from;
    while height <= newest {
        match read(rpc, height).await? {
            Some(block) => {
                height += 1;
                *next = Some(height);
                if out.send(BlockItem::Block(block)).await.is_err() {
                    return Ok(());
                }
            }
            None if height < status.earliest_height => {
                let gap = BlockItem::Gap { from: height, to: status.earliest_height - 1 };
                height = status.earliest_height;
                *next = Some(height);
                if out.send(gap).await.is_err() {
                    return Ok(());
                }
            }
            // Not there yet at this node: ask again soon.
            None => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read(rpc: &RpcClient, height: u64) -> Result<Option<Block>> {
    let (results, header) = tokio::try_join!(rpc.block_results(height), rpc.header(height))?;
    let (Some(results), Some(header)) = (results, header) else { return Ok(None) };
    Ok(Some(Block { height, time: header.time, events: results.into_events() }))
}
