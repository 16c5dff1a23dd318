//! The market's events from a height on, over broken streams and other nodes.

use std::time::Duration;

use stoa_proto::market::v1::{
    query_client::QueryClient as Client, MarketEvent, WatchMarketRequest, WatchMarketResponse,
};
use tonic::{Code, Status, Streaming};

use super::{
    endpoints::{error_of, is_connection, MAX_ANSWER},
    QueryClient,
};
use crate::{Error, Result};

/// The longest pause between tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Most events of a block.
const MAX_EVENTS: usize = 1_000_000;

/// Follows the market: each block that has events once and in order.
#[derive(Debug)]
pub struct MarketWatch {
    client: QueryClient,
    /// The first height that was not told; 0: the one after the latest.
    next: u64,
    stream: Option<Streaming<WatchMarketResponse>>,
    /// Events of a block of which there is more.
    part: Vec<MarketEvent>,
    /// Tries in vain since the last answer.
    failures: u32,
}

impl QueryClient {
    /// Follows the market from this height on; 0: from the block after the latest.
    pub fn watch_market(&self, from_height: u64) -> MarketWatch {
        MarketWatch {
            client: self.clone(),
            next: from_height,
            stream: None,
            part: Vec::new(),
            failures: 0,
        }
    }
}

impl MarketWatch {
    /// The height from which on nothing was told yet: where a new watch goes on.
    pub fn next_height(&self) -> u64 {
        self.next
    }

    /// The next block that has events, or a heartbeat without: everything up to its height was
    /// told. Broken streams are taken up again without end, at any of the nodes; nothing is
    /// lost where this future is dropped.
    ///
    /// # Errors
    /// No node can go on, as where the block is kept no more: the state must be read anew.
    pub async fn next(&mut self) -> Result<WatchMarketResponse> {
        loop {
            match self.read().await {
                Ok(mut answer) if answer.height >= self.next => {
                    self.failures = 0;
                    self.part.append(&mut answer.events);
                    if self.part.len() > MAX_EVENTS {
                        let height = answer.height;
                        return Err(Error::BadAnswer(format!("block {height} does not end")));
                    }
                    if answer.more {
                        continue;
                    }
                    answer.events = std::mem::take(&mut self.part);
                    self.next = answer.height.saturating_add(1);
                    return Ok(answer);
                }
                // A heartbeat at the beginning says what was known already.
                Ok(answer) if answer.events.is_empty() => self.failures = 0,
                Ok(answer) => {
                    return Err(Error::BadAnswer(format!(
                        "the market's block {} was told again; {} is next",
                        answer.height, self.next
                    )));
                }
                Err(status) => self.pause_or_fail(&status).await?,
            }
        }
    }

    async fn read(&mut self) -> std::result::Result<WatchMarketResponse, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let turn = usize::try_from(self.failures).unwrap_or_default();
                let mut client =
                    Client::new(self.client.endpoint(turn)).max_decoding_message_size(MAX_ANSWER);
                let request = WatchMarketRequest { from_height: self.next };
                let stream = client.watch_market(request).await?.into_inner();
                self.stream.insert(stream)
            }
        };
        match stream.message().await? {
            Some(answer) => Ok(answer),
            None => Err(Status::unavailable("the stream has ended")),
        }
    }

    /// Waits before the next try, unless there is no use in one.
    async fn pause_or_fail(&mut self, status: &Status) -> Result<()> {
        self.stream = None;
        // A block is told whole again.
        self.part.clear();
        let passes = is_connection(status)
            || matches!(status.code(), Code::Aborted | Code::ResourceExhausted);
        // The node that told of the last block may be ahead of the one that is asked now.
        let behind = status.code() == Code::FailedPrecondition && self.failures < 100;
        if !passes && !behind {
            return Err(error_of(status));
        }
        tracing::debug!("watching the market from {}: {status}; trying again", self.next);
        let pause = Duration::from_millis(50 << self.failures.min(7)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
