//! `stoa-provider withdraw`: by a transaction of its own. A running daemon's
//! queue notices the sequence and goes on.

use std::sync::Arc;

use anyhow::Context;
use stoa_client::money::show_coin;
use stoa_client::proto::market::v1::{LeaseState, MsgWithdrawLease, MsgWithdrawLeaseResponse};
use stoa_client::proto::types::v1::BidId;
use stoa_client::tx::{any, TxOptions};
use stoa_client::Chain;

use crate::chain::{ChainReads, LiveChain};
use crate::config::Config;
use crate::money::MAX_LEASES;

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let chain = Chain::connect(&config.client()).await?;
    let key = config.secret_key()?;
    let provider = key.address().to_string();
    let reads: Arc<dyn ChainReads> =
        Arc::new(LiveChain::new(&config.client(), &chain, &provider, (&config.chain).into())?);
    let leases = reads.own_leases().await.context("asking for leases")?;
    let paid: Vec<BidId> = leases
        .into_iter()
        .filter(|lease| lease.state() != LeaseState::Pending)
        .filter_map(|lease| lease.id)
        .collect();
    if paid.is_empty() {
        println!("no lease is being paid");
    }
    for batch in paid.chunks(MAX_LEASES) {
        let message = MsgWithdrawLease { provider: provider.clone(), leases: batch.to_vec() };
        let messages = vec![any(&message)];
        let done = chain.execute(&key, messages, &TxOptions::default(), |_, _| Ok(())).await?;
        let answer: MsgWithdrawLeaseResponse = done.response(0)?;
        let amounts: Vec<String> = answer.paid.iter().map(show_coin).collect();
        println!("{} leases: {} in block {}", batch.len(), amounts.join(", "), done.height);
    }
    Ok(())
}
