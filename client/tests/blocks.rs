//! The block stream: every height once and in order, from wherever it begins.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used)]

mod mock;

use std::time::Duration;

use mock::{market::Market, Node, BLOCK};
use stoa_client::{
    query::{MarketWatch, QueryClient},
    rpc::{BlockItem, Blocks, BlocksOptions, RpcClient},
    Error,
};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn no_gap_and_no_repeat_from_the_past_into_the_present() {
    let node = Node::start().await;
    let dead = "http://127.0.0.1:1".to_owned();
    let rpc = RpcClient::new(&[dead, node.rpc.clone()]).unwrap();
    let options = BlocksOptions { from: Some(4), watchdog: BLOCK * 3, ..BlocksOptions::default() };
    let mut blocks = Blocks::follow(&rpc, options);
    for expected in 4..30 {
        let next = tokio::time::timeout(Duration::from_secs(10), blocks.next()).await;
        let Some(BlockItem::Block(block)) = next.unwrap() else { panic!("no block") };
        assert_eq!(block.height, expected);
        assert_eq!(block.time, 1_767_225_600);
        assert_eq!(block.events[0].get("height"), Some(expected.to_string().as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_beginning_it_begins_now() {
    let node = Node::start().await;
    let rpc = RpcClient::new(std::slice::from_ref(&node.rpc)).unwrap();
    let before = node.state().height;
    let mut blocks = Blocks::follow(&rpc, BlocksOptions { watchdog: BLOCK, ..Default::default() });
    let Some(BlockItem::Block(block)) = blocks.next().await else { panic!("no block") };
    assert!(block.height > before);
}

async fn next_height(watch: &mut MarketWatch) -> Result<u64, Error> {
    let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
    next.expect("an answer in time").map(|answer| answer.height)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_market_is_taken_up_after_the_last_height_when_its_stream_breaks() {
    let (market, address) = Market::serve(vec![
        (vec![3, 5], Code::Unavailable),
        // A heartbeat at the beginning says what was known.
        (vec![-5, 7, -9], Code::Ok),
        // This node is behind the other.
        (vec![], Code::FailedPrecondition),
        (vec![-9, 12], Code::Aborted),
        (vec![], Code::OutOfRange),
    ])
    .await;
    let client = QueryClient::new(&[address]).unwrap();
    let mut watch = client.watch_market(3);
    let mut heights = Vec::new();
    for _ in 0..5 {
        heights.push(next_height(&mut watch).await.unwrap());
    }
    assert_eq!(heights, [3, 5, 7, 9, 12]);
    assert_eq!(watch.next_height(), 13);
    assert!(next_height(&mut watch).await.is_err(), "what is pruned is not passed over");
    assert_eq!(market.asked(), [3, 6, 10, 10, 13]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_is_asked_where_one_is_gone_and_a_beginning_now_is_kept() {
    let script = vec![(vec![-20], Code::Unavailable), (vec![21], Code::Ok)];
    let (market, address) = Market::serve(script).await;
    let client = QueryClient::new(&["http://127.0.0.1:1".to_owned(), address]).unwrap();
    let mut watch = client.watch_market(0);
    assert_eq!(next_height(&mut watch).await.unwrap(), 20);
    assert_eq!(next_height(&mut watch).await.unwrap(), 21);
    assert_eq!(market.asked(), [0, 21]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_in_parts_comes_whole_and_is_told_anew_where_the_stream_broke_between_them() {
    let (market, address) = Market::serve(vec![
        (vec![3, 4, 0, 4, 0, 4, 5, 0], Code::Unavailable),
        (vec![5, 0, 5], Code::Unavailable),
    ])
    .await;
    let mut watch = QueryClient::new(&[address]).unwrap().watch_market(3);
    let mut told = Vec::new();
    for _ in 0..3 {
        let block = watch.next().await.unwrap();
        assert!(!block.more);
        told.push((block.height, block.events.len()));
    }
    assert_eq!(told, [(3, 1), (4, 3), (5, 2)]);
    assert_eq!(market.asked(), [3, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_tells_a_block_twice_is_not_believed() {
    let (_market, address) = Market::serve(vec![(vec![4, 4], Code::Ok)]).await;
    let mut watch = QueryClient::new(&[address]).unwrap().watch_market(4);
    assert_eq!(next_height(&mut watch).await.unwrap(), 4);
    assert!(matches!(next_height(&mut watch).await, Err(Error::BadAnswer(_))));
}
