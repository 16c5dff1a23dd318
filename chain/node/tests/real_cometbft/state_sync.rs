//! A node joins a running chain from a snapshot.

use stoa_chain::types::Address;

use crate::{
    node::{app_hash_after, await_some, balance, include, Node, CHAIN},
    wallet::Wallet,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_joins_by_state_sync_and_follows_with_the_same_app_hash() {
    let mut wallet = Wallet::new(CHAIN, 9);
    let to = Address::new([9; 20]);
    let mut validator = Node::new(&wallet);
    validator.configure("stoad.toml", "interval = 5000", "interval = 10");
    validator.configure("stoad.toml", "keep = 2", "keep = 20");
    validator.start();
    validator.wait_for_height(2);
    let channel = validator.channel().await;
    for _ in 0..3 {
        include(&channel, wallet.send(to, 5)).await;
    }
    // The blocks after a snapshot's height carry what the light client checks it with.
    let listed = await_some("a snapshot", || {
        let listed = validator.json(&["snapshots", "list", "-o", "json"]);
        let newest = listed[0]["height"].as_u64()?;
        (newest + 3 <= validator.height()).then_some(newest)
    });

    let mut joiner = Node::bare();
    joiner.init();
    let genesis = "config/genesis.json";
    std::fs::copy(validator.home.path().join(genesis), joiner.home.path().join(genesis)).unwrap();
    let trusted = validator.call("block?height=1").await;
    let hash = trusted["result"]["block_id"]["hash"].as_str().unwrap().to_owned();
    let id = validator.json(&["keys", "-o", "json"])["node_id"].as_str().unwrap().to_owned();
    let (peer, rpc) = (format!("{id}@{}", validator.p2p), format!("http://{}", validator.rpc));
    // CometBFT looks for snapshots for at least so long before it takes the best.
    joiner.env.push(("CMT_STATESYNC_DISCOVERY_TIME", "5s".to_owned()));
    joiner.start_with(&[
        "--persistent-peers",
        &peer,
        "--state-sync-rpc",
        &format!("{rpc},{rpc}"),
        "--trust-height",
        "1",
        "--trust-hash",
        &hash,
    ]);
    joiner.wait_for_height(listed + 3);
    let log = joiner.log();
    assert!(log.contains("the snapshot is taken in, its root is the chain's"), "{log}");
    assert!(log.contains("waiting for a snapshot"), "{log}");
    let state = joiner.status();
    let begins = state["state"]["oldest_height"].as_u64().unwrap();
    assert!(begins >= listed, "it executed from {begins}, the snapshot is of {listed}");

    // It follows: what happens now arrives, and its hashes are the chain's.
    include(&channel, wallet.send(to, 27)).await;
    let joined = joiner.channel().await;
    let height = validator.height();
    joiner.wait_for_height(height + 2);
    assert_eq!(balance(&joined, to).await, "42");
    assert_eq!(app_hash_after(&joined, height).await, app_hash_after(&channel, height).await);
    joiner.run(&["invariants"]);

    // It goes on from where it was after a kill, with the same flags.
    joiner.kill();
    let state = joiner.status();
    let (height, hash) = (state["state"]["height"].as_u64(), state["state"]["app_hash"].clone());
    joiner.start_with(&["--persistent-peers", &peer]);
    joiner.wait_for_height(height.unwrap() + 2);
    assert_eq!(app_hash_after(&channel, height.unwrap()).await, hash);
    joiner.stop();
    validator.stop();
}
