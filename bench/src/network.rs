//! Whole networks: transactions a second from the RPC port to a block.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use futures::{stream, StreamExt, TryStreamExt};
use stoa_client::keys::SecretKey;
use stoa_client::rpc::RpcClient;
use stoa_client::tx::{self, any, SignInput};
use stoa_localnet::{Localnet, Options};
use stoa_proto::cosmos::bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output};
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::Any;

use crate::accounts::key;
use crate::report::{Better, Report};

/// Senders, each with transactions in order.
const SENDERS: u32 = 100;
/// Transactions of a sender.
const EACH: u64 = 40;
/// Requests under way at once.
const PARALLEL: usize = 32;
/// Gas of a send.
const GAS: u64 = 60_000;
/// Until all transactions are in blocks.
const DEADLINE: Duration = Duration::from_secs(180);

/// One validator on this machine.
pub fn one_validator(report: &mut Report) -> Result<()> {
    let rate = measure(1)?;
    report.add("e2e.one_validator.tx", rate, "tx/s", Some(1_000.0), Better::Higher);
    Ok(())
}

/// Four validators on this machine, sharing its cores.
pub fn four_validators(report: &mut Report) -> Result<()> {
    let rate = measure(4)?;
    report.add("e2e.four_validators.tx", rate, "tx/s", Some(300.0), Better::Higher);
    Ok(())
}

fn measure(validators: usize) -> Result<f64> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let dir = tempfile::Builder::new().prefix("stoa-bench").tempdir_in("/tmp")?;
        let mut options = Options::new(&dir.path().join("net"), validators, 0)?;
        options.block_time = Duration::from_secs(1);
        let network = Localnet::start(options).await?;
        let rate = load(&network).await;
        network.down()?;
        rate
    })
}

async fn load(network: &Localnet) -> Result<f64> {
    let state = network.state();
    let endpoints: Vec<String> = state.nodes.iter().map(|node| node.rpc.clone()).collect();
    let clients: Vec<RpcClient> = endpoints
        .iter()
        .map(|endpoint| Ok(RpcClient::new(std::slice::from_ref(endpoint))?))
        .collect::<Result<_>>()?;
    let first = clients.first().context("the network has no node")?;
    let first_number = fund(network, first, &state.chain_id).await?;
    let queues = signed(&state.chain_id, first_number)?;

    let start_height = first.status().await?.latest_height;
    let start = Instant::now();
    stream::iter(queues.into_iter().enumerate())
        .map(|(sender, queue)| {
            let client = clients[sender % clients.len()].clone();
            async move { submit(&client, queue).await }
        })
        .buffer_unordered(PARALLEL)
        .try_collect::<Vec<()>>()
        .await?;
    let total = u64::from(SENDERS) * EACH;
    await_included(first, start_height, total).await?;
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

async fn submit(client: &RpcClient, queue: Vec<Vec<u8>>) -> Result<()> {
    for bytes in queue {
        let answer = client.broadcast(&bytes).await?;
        ensure!(answer.code == 0, "a transaction was refused: {}", answer.log);
    }
    Ok(())
}

async fn await_included(client: &RpcClient, from: u64, total: u64) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let (mut height, mut seen) = (from, 0);
    while seen < total {
        if Instant::now() > deadline {
            bail!("{seen} of {total} transactions are in blocks after {DEADLINE:?}");
        }
        match client.block_txs(height + 1).await? {
            Some(txs) => {
                seen += txs.len() as u64;
                height += 1;
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    Ok(())
}

/// Gives every sender coins; answers the account number of the first.
async fn fund(network: &Localnet, client: &RpcClient, chain_id: &str) -> Result<u64> {
    let faucet = network.key("faucet")?;
    let chain = network.chain().await?;
    let coins = |amount: u64| vec![Coin { denom: "ustoa".into(), amount: amount.to_string() }];
    let each = 100_000_000;
    let outputs = (0..SENDERS)
        .map(|number| {
            let address = key(number)?.address().to_string();
            Ok(Output { address, coins: coins(each) })
        })
        .collect::<Result<Vec<_>>>()?;
    let input =
        Input { address: faucet.address().to_string(), coins: coins(each * u64::from(SENDERS)) };
    let message = any(&MsgMultiSend { inputs: vec![input], outputs });
    let account = chain.query().account(&faucet.address().to_string()).await?;
    let funding = SignInput {
        chain_id,
        account_number: account.number,
        sequence: account.sequence,
        gas: 10_000_000,
        fee: 1_000_000,
        fee_denom: "ustoa",
        memo: "",
        timeout_height: 0,
    };
    let signed = tx::sign(&faucet, vec![message], &funding)?;
    let answer = client.broadcast(&signed.bytes).await?;
    ensure!(answer.code == 0, "the faucet's transaction was refused: {}", answer.log);
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = client.tx(&signed.hash).await? {
            ensure!(
                found.result.code == 0,
                "the faucet's transaction failed: {}",
                found.result.log
            );
            break;
        }
        ensure!(Instant::now() < deadline, "the faucet's transaction is not in a block");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let first = chain.query().account(&key(0)?.address().to_string()).await?;
    Ok(first.number)
}

/// Each sender's transactions. New accounts are numbered in the order of the
/// outputs that made them.
fn signed(chain_id: &str, first_number: u64) -> Result<Vec<Vec<Vec<u8>>>> {
    (0..SENDERS).map(|sender| signed_by(chain_id, sender, first_number)).collect()
}

fn signed_by(chain_id: &str, sender: u32, first_number: u64) -> Result<Vec<Vec<u8>>> {
    let (from, to): (SecretKey, SecretKey) = (key(sender)?, key((sender + 1) % SENDERS)?);
    let message: Any = any(&MsgSend {
        from_address: from.address().to_string(),
        to_address: to.address().to_string(),
        amount: vec![Coin { denom: "ustoa".into(), amount: "1".into() }],
    });
    (0..EACH)
        .map(|sequence| {
            let input = SignInput {
                chain_id,
                account_number: first_number + u64::from(sender),
                sequence,
                gas: GAS,
                fee: 3_000,
                fee_denom: "ustoa",
                memo: "",
                timeout_height: 0,
            };
            Ok(tx::sign(&from, vec![message.clone()], &input)?.bytes)
        })
        .collect()
}
