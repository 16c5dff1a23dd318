//! Nodes killed at random moments while transactions come in.

use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

use anyhow::{ensure, Context, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{json, Value};
use stoa_client::{
    rpc::RpcClient,
    tx::{any, Gas, TxOptions},
};
use stoa_localnet::Node;
use stoa_proto::cosmos::bank::v1beta1::MsgSend;
use tokio::task::JoinSet;

use crate::world::{coin, eventually, Tenant, World};

/// How often a node is killed.
const KILLS: usize = 20;

/// Accounts that send to each other all the while.
const SENDERS: usize = 6;

/// How long a killed node may take to be where the others are.
const RETURN: Duration = Duration::from_secs(40);

pub async fn killed_nodes_come_back_and_no_node_disagrees(world: World) -> Result<()> {
    let seed: u64 = rand::random();
    println!("  seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let senders = senders(&world).await?;
    let sum = sum(&world, &senders).await?;
    let sent = Arc::new(AtomicU64::new(0));
    let mut load = JoinSet::new();
    for (index, sender) in senders.iter().enumerate() {
        let to = senders[(index + 1) % senders.len()].address.clone();
        load.spawn(send_for_ever(world.clone(), sender.clone(), to, Arc::clone(&sent)));
    }
    for kill in 1..=KILLS {
        kill_one(&world, &mut random, kill, &sent).await?;
    }
    load.shutdown().await;
    let sent = sent.load(Ordering::Relaxed);
    ensure!(sent > 100, "only {sent} transactions took effect: that was no load");
    let height = settle(&world).await?;
    compare(&world, height).await?;
    invariants_hold(&world).await?;
    let after = self::sum(&world, &senders).await?;
    ensure!(after <= sum, "the senders have {after}, more than the {sum} of before");
    println!("  {sent} transactions, {height} blocks, {KILLS} kills: all nodes agree");
    Ok(())
}

async fn senders(world: &World) -> Result<Vec<Tenant>> {
    let mut all = Vec::with_capacity(SENDERS);
    for index in 0..SENDERS {
        all.push(world.new_tenant(&format!("sender{index}")).await?);
    }
    Ok(all)
}

async fn sum(world: &World, senders: &[Tenant]) -> Result<u128> {
    let mut sum = 0;
    for sender in senders {
        sum += world.balance(&sender.address).await?;
    }
    Ok(sum)
}

/// Sends without a break; what fails because a node is away is tried anew.
async fn send_for_ever(world: World, from: Tenant, to: String, sent: Arc<AtomicU64>) {
    let options = TxOptions { gas: Gas::Fixed(200_000), ..TxOptions::default() };
    let message =
        MsgSend { from_address: from.address.clone(), to_address: to, amount: vec![coin(1)] };
    loop {
        let messages = vec![any(&message)];
        match world.chain().execute(&from.key, messages, &options, |_, _| Ok(())).await {
            Ok(_) => drop(sent.fetch_add(1, Ordering::Relaxed)),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Kills a node at a random moment, lets the chain go on without it, and waits for its return.
async fn kill_one(
    world: &World,
    random: &mut ChaCha8Rng,
    number: usize,
    sent: &AtomicU64,
) -> Result<()> {
    let network = world.network();
    let nodes = network.state().nodes;
    tokio::time::sleep(Duration::from_millis(random.gen_range(0..800))).await;
    let node = &nodes[random.gen_range(0..nodes.len())];
    let away = Duration::from_millis(random.gen_range(0..600));
    let at = height(node).await.unwrap_or(0);
    network.kill(&node.name)?;
    tokio::time::sleep(away).await;
    network.start_one(&node.name, &[])?;
    let deadline = Instant::now() + RETURN;
    loop {
        let mut others = 0;
        for other in nodes.iter().filter(|other| other.name != node.name) {
            others = others.max(height(other).await.unwrap_or(0));
        }
        let own = height(node).await.unwrap_or(0);
        if own > at && own + 1 >= others && others > at + 1 {
            let (name, sent) = (&node.name, sent.load(Ordering::Relaxed));
            println!("  kill {number:>2}: {name} at {at}, back at {own}; {sent} sent");
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline && network.pid(&node.name).is_some(),
            "{} was killed at {at} and is at {own}, the others at {others}\n{}",
            node.name,
            network.explain(&node.name)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn height(node: &Node) -> Result<u64> {
    let rpc = RpcClient::new(std::slice::from_ref(&node.rpc))?;
    let answer = tokio::time::timeout(Duration::from_secs(1), rpc.status()).await?;
    Ok(answer?.latest_height)
}

/// Waits until all nodes have a height that all had begun to work on.
async fn settle(world: &World) -> Result<u64> {
    let nodes = world.network().state().nodes;
    let newest = AtomicU64::new(0);
    eventually("every node says its height", RETURN, || async {
        for node in &nodes {
            newest.fetch_max(height(node).await?, Ordering::Relaxed);
        }
        Ok(true)
    })
    .await?;
    let newest = newest.into_inner();
    world.network().wait_for_height(newest + 2, RETURN).await?;
    Ok(newest)
}

/// Stops a node and lets it look at its own last state: nothing was lost and nothing made.
async fn invariants_hold(world: &World) -> Result<()> {
    let network = world.network();
    let node = network.state().nodes.into_iter().next().context("no nodes")?;
    network.kill(&node.name)?;
    let stoad = network.options().programs.path("stoad");
    let mut command = tokio::process::Command::new(stoad);
    let output = command.arg("invariants").arg("--home").arg(&node.home).output().await?;
    ensure!(output.status.success(), "stoad invariants: {output:?}");
    network.start_one(&node.name, &[])
}

/// Each node's own result of each block: the app hash that it computed, and the block that it
/// holds for that height.
async fn compare(world: &World, newest: u64) -> Result<()> {
    let nodes = world.network().state().nodes;
    let mut asked = Vec::with_capacity(nodes.len());
    for node in &nodes {
        asked.push((node, RpcClient::new(std::slice::from_ref(&node.rpc))?));
    }
    for height in 1..=newest {
        let seen = asked.iter().map(|(node, rpc)| result_at(node, rpc, height));
        let seen = futures::future::try_join_all(seen).await?;
        let first = seen.first().context("no nodes")?;
        let same = seen.iter().all(|one| one == first);
        ensure!(same, "height {height}: the nodes disagree: {seen:?}");
    }
    Ok(())
}

/// App hash after a block, its transactions' results, and the block's own hash.
async fn result_at(node: &Node, rpc: &RpcClient, height: u64) -> Result<(String, String, String)> {
    let at = || json!({ "height": height.to_string() });
    let results: Value = rpc.call("block_results", at()).await?;
    let commit: Value = rpc.call("commit", at()).await?;
    let text = |value: &Value, pointer: &str| -> Result<String> {
        let found = value.pointer(pointer).and_then(Value::as_str);
        let found = found.with_context(|| format!("{}: no {pointer} at {height}", node.name))?;
        Ok(found.to_owned())
    };
    let transactions = results.get("txs_results").map(Value::to_string).unwrap_or_default();
    Ok((
        text(&results, "/app_hash")?,
        transactions,
        text(&commit, "/signed_header/commit/block_id/hash")?,
    ))
}
