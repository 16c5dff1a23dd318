//! Streams over an engine that answers as told.

mod engine;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use stoa_proto::market::v1::{market_event::Event, WatchMarketRequest, WatchMarketResponse};
use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use super::{Watched, Watchers, AHEAD, MAX_WATCHERS};
use crate::comet::Rpc;
use engine::Engine;

const LONG: Duration = Duration::from_secs(30);

/// Watchers of an engine that keeps blocks from the first to the second height.
async fn watchers(from: u64, to: u64) -> (Watchers, Engine, watch::Sender<u64>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = Engine::start(from, to).await;
    let heads = watch::Sender::new(to);
    let watchers = Watchers::new(Rpc::new(&engine.laddr).unwrap(), heads.subscribe());
    (watchers, engine, heads)
}

async fn follow(watchers: &Watchers, from_height: u64) -> Result<Watched, Status> {
    watchers.watch(WatchMarketRequest { from_height }).await
}

async fn next(stream: &mut Watched) -> Result<WatchMarketResponse, Status> {
    let answer = tokio::time::timeout(LONG, stream.next()).await.expect("an answer in time");
    let answer: Bytes = answer.expect("the stream goes on")?;
    Ok(WatchMarketResponse::decode(answer).unwrap())
}

/// Heights of the next answers; each holds its own block's one event.
async fn heights(stream: &mut Watched, count: usize) -> Vec<u64> {
    let mut heights = Vec::new();
    for _ in 0..count {
        let answer = next(stream).await.unwrap();
        assert_eq!(answer.time, engine::time_of(answer.height));
        let [event] = answer.events.as_slice() else { panic!("{answer:?}") };
        let Some(Event::OrderOpened(event)) = &event.event else { panic!("{event:?}") };
        assert_eq!(event.order, answer.height.to_string());
        heights.push(answer.height);
    }
    heights
}

#[tokio::test]
async fn past_blocks_then_new_ones_come_once_each_in_order_without_those_that_hold_nothing() {
    let (watchers, engine, heads) = watchers(1, 5).await;
    let mut stream = follow(&watchers, 1).await.unwrap();
    assert_eq!(heights(&mut stream, 4).await, [1, 2, 4, 5]);
    for head in 6..200 {
        engine.grow_to(head);
        heads.send_replace(head);
    }
    let wanted: Vec<u64> = (6..200).filter(|height| height % 3 != 0).collect();
    assert_eq!(heights(&mut stream, wanted.len()).await, wanted);
}

#[tokio::test]
async fn a_stream_from_now_says_where_it_begins_and_waits() {
    let (watchers, engine, heads) = watchers(1, 7).await;
    for (from, told) in [(0, 7), (8, 7)] {
        let mut stream = follow(&watchers, from).await.unwrap();
        let begun = next(&mut stream).await.unwrap();
        assert_eq!((begun.height, begun.events.len()), (told, 0));
        assert_eq!(begun.time, engine::time_of(told));
    }
    let mut stream = follow(&watchers, 0).await.unwrap();
    next(&mut stream).await.unwrap();
    engine.grow_to(8);
    heads.send_replace(8);
    assert_eq!(heights(&mut stream, 1).await, [8]);
}

#[tokio::test]
async fn what_is_pruned_or_has_not_come_is_refused_by_its_own_code() {
    let (watchers, engine, heads) = watchers(5, 9).await;
    let pruned = follow(&watchers, 4).await.unwrap_err();
    assert_eq!(pruned.code(), Code::OutOfRange);
    assert!(pruned.message().contains("the first that it has is 5"), "{pruned}");
    let future = follow(&watchers, 11).await.unwrap_err();
    assert_eq!(future.code(), Code::FailedPrecondition);
    assert!(future.message().contains("the latest is 9"), "{future}");
    // What is pruned under a reader ends its stream, and is not left out.
    engine.grow_to(400);
    heads.send_replace(400);
    let mut stream = follow(&watchers, 5).await.unwrap();
    assert_eq!(heights(&mut stream, 1).await, [5]);
    engine.prune_below(300);
    let ended = loop {
        match next(&mut stream).await {
            Ok(answer) => assert!(answer.height < 100, "nothing may be left out"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::OutOfRange, "{ended}");
}

#[tokio::test]
async fn so_many_streams_are_given_and_a_place_comes_back_when_its_reader_goes() {
    let (watchers, _engine, _heads) = watchers(1, 3).await;
    let mut streams = Vec::new();
    for _ in 0..MAX_WATCHERS {
        streams.push(follow(&watchers, 0).await.unwrap());
    }
    let refused = follow(&watchers, 0).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    streams.pop();
    follow(&watchers, 0).await.unwrap();
}

#[tokio::test]
async fn blocks_are_not_read_far_ahead_of_a_slow_reader() {
    let (watchers, engine, _heads) = watchers(1, 3_000).await;
    let mut stream = follow(&watchers, 1).await.unwrap();
    // The channel is full, and the next answer waits for its place.
    engine.wait_until_asked("block_results", AHEAD).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let read = engine.asked("block_results").values().sum::<usize>();
    assert!(read <= 2 * (AHEAD + 2), "{read} blocks were read for nobody");
    let wanted: Vec<u64> = (1..3_000).filter(|height| height % 3 != 0).take(500).collect();
    assert_eq!(heights(&mut stream, 500).await, wanted);
}

#[tokio::test]
async fn a_new_block_is_read_once_for_all_streams() {
    let (watchers, engine, heads) = watchers(1, 4).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = follow(&watchers, 5).await.unwrap();
        next(&mut stream).await.unwrap();
        streams.push(stream);
    }
    engine.grow_to(7);
    heads.send_replace(7);
    for stream in &mut streams {
        assert_eq!(heights(stream, 2).await, [5, 7]);
    }
    assert_eq!(engine.asked("block_results"), BTreeMap::from([(5, 1), (6, 1), (7, 1)]));
}

#[tokio::test]
async fn an_engine_that_is_away_for_a_moment_breaks_no_stream() {
    let (watchers, engine, _heads) = watchers(1, 40).await;
    let mut stream = follow(&watchers, 1).await.unwrap();
    engine.cut_next(3);
    let wanted: Vec<u64> = (1..=40).filter(|height| height % 3 != 0).collect();
    assert_eq!(heights(&mut stream, wanted.len()).await, wanted);
    assert_eq!(engine.left_to_cut(), 0);
}

#[tokio::test]
async fn streams_end_with_the_node_and_say_so() {
    let (watchers, _engine, _heads) = watchers(1, 3).await;
    let mut stream = follow(&watchers, 0).await.unwrap();
    next(&mut stream).await.unwrap();
    let reader = tokio::spawn(async move { next(&mut stream).await.unwrap_err() });
    let stopping = watchers.clone();
    tokio::time::timeout(LONG, stopping.stop(LONG)).await.expect("the reader is done by then");
    assert_eq!(reader.await.unwrap().code(), Code::Unavailable);
}
