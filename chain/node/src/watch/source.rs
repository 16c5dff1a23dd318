//! Blocks as the engine keeps them; the latest are read once for all streams.

use std::{collections::BTreeMap, future::Future, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use stoa_proto::market::v1::{MarketEvent, WatchMarketResponse};
use tendermint::block::Height;
use tokio::sync::{Mutex, Semaphore};
use tonic::Status;

use super::events;
use crate::comet::{Rpc, RpcError};

/// Blocks under the latest that are kept for all streams.
const KEPT_BLOCKS: u64 = 64;

/// Bytes of kept blocks; larger ones are read for each stream.
const KEPT_BYTES: usize = 1 << 20;

/// Older blocks that are read at a time.
const READERS: usize = 4;

/// How often an engine that does not answer is asked, and the pause between.
const TRIES: (u32, Duration) = (25, Duration::from_millis(200));

/// Bytes of events in one answer; the one that goes over this is its last. gRPC's clients take
/// 4 MiB, and no event has more than the largest transaction.
const PART_BYTES: usize = 1 << 20;

/// A block as a stream tells it.
#[derive(Clone)]
pub struct Told {
    /// The encoded answers: several where there are many events, at least one.
    pub answers: Vec<Bytes>,
    /// Whether it tells of anything.
    pub has_events: bool,
}

impl Told {
    fn of(height: u64, time: u64, events: Vec<MarketEvent>) -> Self {
        let has_events = !events.is_empty();
        let mut parts = vec![Vec::new()];
        let mut bytes = 0;
        for event in events {
            if bytes > PART_BYTES {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += event.encoded_len();
            if let Some(part) = parts.last_mut() {
                part.push(event);
            }
        }
        let last = parts.len() - 1;
        let answer = |(index, events): (usize, Vec<MarketEvent>)| {
            let more = index < last;
            WatchMarketResponse { height, time, events, more }.encode_to_vec().into()
        };
        Self { answers: parts.into_iter().enumerate().map(answer).collect(), has_events }
    }

    /// Bytes of all answers.
    fn len(&self) -> usize {
        self.answers.iter().map(Bytes::len).sum()
    }
}

/// What reads blocks.
pub struct Source {
    rpc: Rpc,
    readers: Semaphore,
    latest: Mutex<BTreeMap<u64, Told>>,
}

impl Source {
    pub fn new(rpc: Rpc) -> Self {
        Self { rpc, readers: Semaphore::new(READERS), latest: Mutex::default() }
    }

    /// The block at `height`, where `head` is the latest.
    pub async fn block(&self, height: u64, head: u64) -> Result<Told, Status> {
        if height.saturating_add(KEPT_BLOCKS) <= head {
            let turn = self.readers.acquire().await;
            let _turn = turn.map_err(|_| Status::unavailable("the node is stopping"))?;
            return self.read(height).await;
        }
        // Held while the block is read, so that many streams ask for it once.
        let mut latest = self.latest.lock().await;
        if let Some(told) = latest.get(&height) {
            return Ok(told.clone());
        }
        let told = self.read(height).await?;
        let first_kept = head.saturating_sub(KEPT_BLOCKS);
        latest.retain(|height, _| *height > first_kept);
        if told.len() <= KEPT_BYTES / usize::try_from(KEPT_BLOCKS).unwrap_or(1) {
            latest.insert(height, told.clone());
        }
        Ok(told)
    }

    /// Unix seconds of a block; 0 before the first.
    pub async fn time(&self, height: u64) -> Result<u64, Status> {
        if height == 0 {
            return Ok(0);
        }
        let asked = asked(height)?;
        let header = self.patiently(height, || self.rpc.header(Some(asked))).await?;
        Ok(u64::try_from(header.time.unix_timestamp()).unwrap_or_default())
    }

    async fn read(&self, height: u64) -> Result<Told, Status> {
        let asked = asked(height)?;
        let results = self.patiently(height, || self.rpc.block_results(asked)).await?;
        let events = events::of_block(&results);
        let time = self.time(height).await?;
        Ok(Told::of(height, time, events))
    }

    /// Asks again for a while where the engine does not answer: it may be starting.
    async fn patiently<T, F>(&self, height: u64, ask: impl Fn() -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        let mut tries = 0;
        loop {
            match ask().await {
                Ok(found) => return Ok(found),
                Err(RpcError::Unreachable { .. }) if tries < TRIES.0 => tries += 1,
                Err(error) => return Err(self.missing(height, &error).await),
            }
            tokio::time::sleep(TRIES.1).await;
        }
    }

    /// Why a block cannot be told.
    async fn missing(&self, height: u64, error: &RpcError) -> Status {
        if let (RpcError::Refused(_), Ok(status)) = (error, self.rpc.status().await) {
            let first = status.sync_info.earliest_block_height.value();
            if height < first {
                return Status::out_of_range(format!(
                    "the node no longer keeps block {height}; the first that it has is {first}"
                ));
            }
        }
        let text = format!("block {height}: {error}");
        match error {
            RpcError::Unreachable { .. } => Status::unavailable(text),
            _ => Status::internal(text),
        }
    }
}

fn asked(height: u64) -> Result<Height, Status> {
    Height::try_from(height).map_err(|_| Status::invalid_argument(format!("height {height}")))
}

#[cfg(test)]
mod tests {
    use stoa_proto::market::v1::{market_event::Event, EventOrderOpened};

    use super::*;

    #[test]
    fn a_block_of_many_events_is_told_in_answers_that_every_client_takes_and_none_is_lost() {
        let event = |number: usize| {
            let order = format!("{number} {}", "x".repeat(1_000));
            let opened = EventOrderOpened { order, ..EventOrderOpened::default() };
            MarketEvent { event: Some(Event::OrderOpened(opened)) }
        };
        let events: Vec<MarketEvent> = (0..9_000).map(event).collect();
        let told = Told::of(7, 5, events.clone());
        let answers: Vec<WatchMarketResponse> = told
            .answers
            .iter()
            .map(|answer| {
                assert!(answer.len() < 2 << 20, "{} bytes", answer.len());
                WatchMarketResponse::decode(answer.clone()).unwrap()
            })
            .collect();
        assert!(answers.len() > 4);
        let (last, others) = answers.split_last().unwrap();
        assert!(others.iter().all(|answer| answer.more && answer.height == 7) && !last.more);
        let found: Vec<_> = answers.into_iter().flat_map(|answer| answer.events).collect();
        assert!(found == events);
    }

    #[test]
    fn a_block_without_events_has_one_answer() {
        let told = Told::of(7, 5, Vec::new());
        assert!(!told.has_events);
        let answer = WatchMarketResponse::decode(told.answers[0].clone()).unwrap();
        assert_eq!((told.answers.len(), answer.height, answer.more), (1, 7, false));
    }
}
