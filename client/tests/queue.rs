//! The transaction queue against a node that loses, cuts, fails and restarts.

// Helpers of tests may fail as loudly as tests.
#![allow(clippy::unwrap_used)]

mod mock;

use std::time::Duration;

use futures::future::join_all;
use mock::{Node, FAILS, FAILS_DARKLY, FAILS_LATE};
use stoa_client::{
    keys::{new_mnemonic, recover, Algorithm, SecretKey},
    queue::QueueOptions,
    tx::{any, TxOptions},
    Error, TxQueue,
};
use stoa_proto::{cosmos::bank::v1beta1::MsgSend, Any};

fn key() -> SecretKey {
    recover(&new_mnemonic().unwrap(), "", Algorithm::Secp256k1).unwrap()
}

fn to(address: &str) -> Vec<Any> {
    vec![any(&MsgSend { to_address: address.into(), ..MsgSend::default() })]
}

fn options(timeout_blocks: u64) -> QueueOptions {
    QueueOptions {
        linger: Duration::from_millis(60),
        tx: TxOptions { timeout_blocks, ..TxOptions::default() },
        ..QueueOptions::default()
    }
}

async fn queue(node: &Node) -> TxQueue {
    TxQueue::open(node.chain(), key(), options(50)).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_transactions_and_each_gets_its_own() {
    let node = Node::start().await;
    let queue = queue(&node).await;
    let names: Vec<String> = (0..30).map(|i| format!("to-{i}")).collect();
    let sent = names.iter().map(|name| {
        let mut messages = to(name);
        messages.extend(to(name));
        queue.submit(messages)
    });
    for (name, done) in names.iter().zip(join_all(sent).await) {
        let done = done.unwrap();
        assert_eq!(done.responses.len(), 2);
        let told: Vec<_> = done.events.iter().filter_map(|e| e.get("to")).collect();
        assert_eq!(told, [name, name]);
        assert_eq!(node.landed(name), 2);
    }
    // 60 messages, at most 50 in one.
    let transactions = node.state().included.len();
    assert!((2..=4).contains(&transactions), "{transactions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_message_does_not_sink_the_others() {
    for failing in [FAILS, FAILS_LATE, FAILS_DARKLY] {
        let node = Node::start().await;
        let queue = queue(&node).await;
        let names = ["a", "b", failing, "c", "d"];
        let results = join_all(names.iter().map(|name| queue.submit(to(name)))).await;
        for (name, result) in names.iter().zip(results) {
            if *name == failing {
                let error = result.unwrap_err();
                assert!(error.refusal().is_some(), "{failing}: {error}");
                assert_eq!(node.landed(name), 0);
            } else {
                result.unwrap();
                assert_eq!(node.landed(name), 1, "{failing}: {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_another_program_used_is_learned_again() {
    let node = Node::start().await;
    let queue = queue(&node).await;
    queue.submit(to("a")).await.unwrap();
    node.state().sequence += 4;
    queue.submit(to("b")).await.unwrap();
    assert_eq!((node.landed("a"), node.landed("b")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_does_not_send_twice() {
    let node = Node::start().await;
    let queue = queue(&node).await;
    node.state().cut = 1;
    queue.submit(to("a")).await.unwrap();
    assert_eq!(node.landed("a"), 1);
    assert_eq!(node.state().included.len(), 1);
    assert!(node.state().broadcasts >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mempool_forgot_is_signed_anew_only_when_it_can_no_longer_land() {
    let node = Node::start().await;
    let (queue, _) = TxQueue::open(node.chain(), key(), options(5)).await.unwrap();
    node.state().forget = 1;
    let before = node.state().height;
    let done = queue.submit(to("a")).await.unwrap();
    assert!(done.height > before + 5, "{} after {before}", done.height);
    assert_eq!(node.landed("a"), 1);
}

/// Runs a queue in a runtime of its own until its intent is on disk, then
/// kills it.
fn killed_under_way(node: &Node, key: &SecretKey, options: &QueueOptions) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (there, key, options) = (node.clone(), key.clone(), options.clone());
    let journal = options.journal.clone().unwrap();
    runtime.spawn(async move {
        let (queue, before) = TxQueue::open(there.chain(), key, options).await.unwrap();
        assert!(before.is_none());
        let _ = queue.submit_labelled("bid on order 7", to("a")).await;
    });
    let begun = std::time::Instant::now();
    let written = || std::fs::read_dir(&journal).is_ok_and(|mut d| d.next().is_some());
    while !written() || node.state().broadcasts == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "nothing was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_learns_that_its_transaction_landed() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let options = QueueOptions { journal: Some(dir.path().join("journal")), ..options(100) };
    let key = key();
    node.state().hold = true;
    let (n, k, o) = (node.clone(), key.clone(), options.clone());
    tokio::task::spawn_blocking(move || killed_under_way(&n, &k, &o)).await.unwrap();
    node.state().hold = false;
    let (queue, recovered) = TxQueue::open(node.chain(), key, options).await.unwrap();
    let recovered = recovered.unwrap();
    assert_eq!(recovered.labels, ["bid on order 7"]);
    assert!(matches!(recovered.outcome, Some(Ok(_))), "{recovered:?}");
    assert_eq!(node.landed("a"), 1);
    queue.submit(to("b")).await.unwrap();
    assert_eq!((node.landed("a"), node.landed("b")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_learns_that_its_transaction_never_will() {
    let node = Node::start().await;
    let dir = tempfile::tempdir().unwrap();
    let options = QueueOptions { journal: Some(dir.path().join("journal")), ..options(20) };
    let key = key();
    node.state().hold = true;
    let (n, k, o) = (node.clone(), key.clone(), options.clone());
    tokio::task::spawn_blocking(move || killed_under_way(&n, &k, &o)).await.unwrap();
    node.state().mempool.clear();
    node.state().hold = false;
    let (queue, recovered) =
        TxQueue::open(node.chain(), key.clone(), options.clone()).await.unwrap();
    assert!(recovered.unwrap().outcome.is_none());
    assert_eq!(node.landed("a"), 0);
    queue.submit(to("a")).await.unwrap();
    assert_eq!(node.landed("a"), 1);
    drop(queue);
    // Decided once: the next start has nothing to tell.
    let (_, again) = TxQueue::open(node.chain(), key, options).await.unwrap();
    assert!(again.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_a_caller_can_stop_waiting() {
    let node = Node::start().await;
    let queue = queue(&node).await;
    node.state().hold = true;
    let waiting = tokio::time::timeout(Duration::from_millis(300), queue.submit(to("a"))).await;
    assert!(waiting.is_err());
    node.state().hold = false;
    // It was under way all the same, and goes before what comes later.
    queue.submit(to("b")).await.unwrap();
    assert_eq!((node.landed("a"), node.landed("b")), (1, 1));
    let nothing = queue.submit(vec![]).await;
    assert!(matches!(nothing, Err(Error::Invalid(_))));
}
