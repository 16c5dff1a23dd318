//! A provider on a real network: from an order's sight to its bid in a block.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use stoa_client::query::MarketWatch;
use stoa_client::tx::{any, TxOptions};
use stoa_localnet::{keys::FAUCET, Localnet, Options};
use stoa_proto::cosmos::base::v1beta1::{Coin, DecCoin};
use stoa_proto::deployment::v1::MsgCreateDeployment;
use stoa_proto::market::v1::market_event::Event;
use stoa_proto::types::v1::{Cpu, GroupResource, GroupSpec, Memory, ResourceUnit, Volume};
use stoa_proto::Any;

use crate::report::{Better, Report};
use crate::timing::millis;

/// Orders that come in one block.
const ORDERS: u64 = 100;
/// Seconds that they stay open.
const WINDOW: u64 = 120;
const DEADLINE: Duration = Duration::from_secs(90);
const ONE: u128 = 1_000_000_000_000_000_000;

/// 100 orders at once, one provider, blocks of a second. Needs a container engine.
pub fn bids(report: &mut Report) -> Result<()> {
    let mut times = tokio::runtime::Runtime::new()?.block_on(async {
        let dir = tempfile::Builder::new().prefix("stoa-bench").tempdir_in("/tmp")?;
        let mut options = Options::new(&dir.path().join("net"), 1, 1)?;
        options.block_time = Duration::from_secs(1);
        let network = Localnet::start(options).await?;
        let times = measure(&network).await;
        network.down()?;
        times
    })?;
    times.sort();
    let part = |percent: usize| {
        let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(index).copied().map(millis).unwrap_or(f64::NAN)
    };
    report.add("provider.bid_p50", part(50), "ms", Some(4_000.0), Better::Lower);
    report.add("provider.bid_p95", part(95), "ms", Some(6_000.0), Better::Lower);
    Ok(())
}

/// From the block that opened each order to the one that has its bid, as a watcher of the market
/// sees them.
async fn measure(network: &Localnet) -> Result<Vec<Duration>> {
    let chain = network.chain().await?;
    let mut watch = chain.query().watch_market(0);
    let key = network.key(FAUCET)?;
    let owner = key.address().to_string();
    let posts: Vec<Any> = (1..=ORDERS).map(|dseq| post(&owner, dseq)).collect();
    let options = TxOptions::default();
    let (sent, times) = tokio::join!(
        chain.execute(&key, posts, &options, |_, _| Ok(())),
        tokio::time::timeout(DEADLINE, follow(&mut watch, &owner))
    );
    sent.context("posting the orders")?;
    let times = times.context("not every order got its bid")??;
    ensure!(times.len() as u64 == ORDERS, "{} of {ORDERS} orders got a bid", times.len());
    Ok(times)
}

async fn follow(watch: &mut MarketWatch, owner: &str) -> Result<Vec<Duration>> {
    let mut opened: HashMap<String, Instant> = HashMap::new();
    let mut times = vec![];
    while (times.len() as u64) < ORDERS {
        let block = watch.next().await?;
        let now = Instant::now();
        for event in block.events.into_iter().filter_map(|event| event.event) {
            match event {
                Event::OrderOpened(event) if event.order.starts_with(owner) => {
                    opened.insert(event.order, now);
                }
                Event::BidPlaced(event) => {
                    times.extend(opened.remove(&event.order).map(|at| now - at));
                }
                _ => {}
            }
        }
    }
    Ok(times)
}

/// A deployment of one group so small that a provider has room for all.
fn post(owner: &str, dseq: u64) -> Any {
    let max_rate = DecCoin { denom: "ustoa".to_owned(), amount: (500 * ONE).to_string() };
    let volume =
        Volume { name: "default".to_owned(), bytes: 1 << 27, class: "ephemeral".to_owned() };
    let unit = ResourceUnit {
        id: 1,
        cpu: Some(Cpu { millicores: 10, arch: String::new() }),
        memory: Some(Memory { bytes: 1 << 25 }),
        storage: vec![volume],
        ..ResourceUnit::default()
    };
    let resource = GroupResource { unit: Some(unit), count: 1, max_rate: Some(max_rate) };
    let group =
        GroupSpec { name: "web".to_owned(), resources: vec![resource], ..GroupSpec::default() };
    any(&MsgCreateDeployment {
        owner: owner.to_owned(),
        dseq,
        groups: vec![group],
        version: vec![7; 32],
        manifest_root: vec![8; 32],
        deposit: Some(Coin { denom: "ustoa".to_owned(), amount: "10000000".to_owned() }),
        bid_window: WINDOW,
        ..MsgCreateDeployment::default()
    })
}
