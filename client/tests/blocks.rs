//! The block stream: every height once and in order, from wherever it begins.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used)]

mod mock;

use std::time::Duration;

use mock::{Node, BLOCK};
use stoa_client::rpc::{BlockItem, Blocks, BlocksOptions, RpcClient};

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
