//! The market followed over the node's kills and starts.

use std::time::Duration;

use cosmos_sdk_proto::cosmos::base::v1beta1::{Coin, DecCoin};
use serde_json::{json, Value};
use stoa_proto::{
    deployment::v1::MsgCreateDeployment,
    market::v1::{market_event::Event, MarketEvent, WatchMarketRequest, WatchMarketResponse},
    types::v1::{Cpu, GroupResource, GroupSpec, Memory, ResourceUnit, Volume},
};
use tokio::{sync::watch, task::JoinHandle};
use tonic::{
    client::Grpc,
    codec::{ProstCodec, Streaming},
    codegen::http::uri::PathAndQuery,
    transport::Endpoint,
    Request, Status,
};

use crate::{
    node::{include, Node, CHAIN, PATIENCE},
    wallet::Wallet,
};

/// A deployment of one small group, whose order is open for five seconds.
fn post(owner: &str, dseq: u64) -> MsgCreateDeployment {
    let volume = Volume { name: "default".into(), bytes: 1 << 30, class: "ephemeral".into() };
    let unit = ResourceUnit {
        id: 1,
        cpu: Some(Cpu { millicores: 100, arch: String::new() }),
        memory: Some(Memory { bytes: 1 << 28 }),
        storage: vec![volume],
        ..Default::default()
    };
    let max_rate = DecCoin { denom: "ustoa".to_owned(), amount: "1000000000000000000".to_owned() };
    let resource = GroupResource { unit: Some(unit), count: 1, max_rate: Some(max_rate) };
    let group = GroupSpec { name: "web".into(), resources: vec![resource], ..Default::default() };
    MsgCreateDeployment {
        owner: owner.to_owned(),
        dseq,
        groups: vec![group],
        version: vec![7; 32],
        manifest_root: vec![8; 32],
        deposit: Some(Coin { denom: "ustoa".to_owned(), amount: "1000000".to_owned() }),
        bid_window: 5,
        ..Default::default()
    }
}

/// What a reader was told, with the height up to which that is everything.
struct Told {
    events: watch::Receiver<(u64, Vec<(u64, String)>)>,
    /// Ends when the node is asked to stop while nobody starts it again.
    reader: JoinHandle<()>,
}

/// Follows the market from the first block on. A stream that breaks is taken up after the last
/// height that was told.
fn follow(grpc: &str) -> Told {
    let url = format!("http://{grpc}");
    let (told, events) = watch::channel((0, Vec::new()));
    let reader = tokio::spawn(async move {
        let mut last = None;
        loop {
            let status = read(&url, &told).await;
            last = status.or(last);
            let stopped = |status: &Status| status.message().contains("the node is stopping");
            if last.as_ref().is_some_and(stopped) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    Told { events, reader }
}

/// Opens a stream, without the generated client, which is not compiled here.
async fn open(url: &str, from_height: u64) -> Result<Streaming<WatchMarketResponse>, Status> {
    let unreachable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unreachable)?;
    let mut grpc = Grpc::new(endpoint.connect().await.map_err(unreachable)?);
    grpc.ready().await.map_err(unreachable)?;
    let path = PathAndQuery::from_static("/stoa.market.v1.Query/WatchMarket");
    let request = Request::new(WatchMarketRequest { from_height });
    Ok(grpc.server_streaming(request, path, ProstCodec::default()).await?.into_inner())
}

/// Returns by which status the stream ended, if by one.
async fn read(url: &str, told: &watch::Sender<(u64, Vec<(u64, String)>)>) -> Option<Status> {
    let from_height = told.borrow().0 + 1;
    let mut stream = match open(url, from_height).await {
        Ok(stream) => stream,
        Err(status) => return Some(status),
    };
    loop {
        match stream.message().await {
            Ok(Some(answer)) => told.send_modify(|(height, events)| {
                let heartbeat = answer.events.is_empty();
                assert!(answer.height > *height || heartbeat, "{} again", answer.height);
                *height = answer.height;
                events.extend(answer.events.iter().map(|event| (answer.height, text(event))));
            }),
            Ok(None) => return None,
            Err(status) => return Some(status),
        }
    }
}

impl Told {
    /// Everything up to a height, once it was told.
    async fn up_to(&self, last: u64) -> Vec<String> {
        let mut events = self.events.clone();
        let told = tokio::time::timeout(PATIENCE, events.wait_for(|(height, _)| *height >= last));
        let told = told.await.expect("told in time").unwrap();
        told.1.iter().filter(|(height, _)| *height <= last).map(|(_, text)| text.clone()).collect()
    }

    /// Waits until the node has said that it stops.
    async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.reader).await.expect("told of the stop").unwrap();
    }
}

/// The refusal of a stream from this height on.
async fn refusal(grpc: &str, from_height: u64) -> Status {
    open(&format!("http://{grpc}"), from_height).await.unwrap_err()
}

/// An event in words, as [`events_of_blocks`] has it.
fn text(event: &MarketEvent) -> String {
    match event.event.as_ref().unwrap() {
        Event::OrderOpened(e) => {
            let parts = [&e.order, &e.owner, &e.closes_at, &e.max_rate].map(String::as_str);
            format!("stoa.market.v1.EventOrderOpened {}", parts.join(" "))
        }
        Event::OrderClosed(e) => {
            let parts = [&e.order, &e.owner, &e.state, &e.reason].map(String::as_str);
            format!("stoa.market.v1.EventOrderClosed {}", parts.join(" "))
        }
        other => panic!("{other:?} without a provider"),
    }
}

/// The market's events of all blocks up to a height, as CometBFT has them.
async fn events_of_blocks(rpc: &str, last: u64) -> Vec<String> {
    let url = format!("http://{rpc}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut found = Vec::new();
    for height in 1..=last {
        let params = json!({ "height": height.to_string() });
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "block_results", "params": params });
        let answer = client.post(&url).json(&call).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let txs = list(&answer["result"]["txs_results"]);
        let of_txs = txs.iter().flat_map(|tx| list(&tx["events"]));
        let of_block = list(&answer["result"]["finalize_block_events"]);
        found.extend(of_txs.chain(of_block).filter_map(|event| {
            let kind = event["type"].as_str()?;
            let attributes = list(&event["attributes"]);
            let values = attributes
                .iter()
                .filter(|attribute| {
                    !["msg_index", "mode"].contains(&attribute["key"].as_str().unwrap())
                })
                .map(|attribute| attribute["value"].as_str().unwrap());
            let values: Vec<&str> = values.collect();
            kind.starts_with("stoa.market.v1.Event").then(|| format!("{kind} {}", values.join(" ")))
        }));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_the_market_is_told_each_event_once_over_kills_of_the_node() {
    let mut wallet = Wallet::new(CHAIN, 7);
    let mut node = Node::bare();
    node.init();
    node.run(&["add-genesis-account", &wallet.address().to_string(), "1000000000ustoa"]);
    node.begin_chain(&Wallet::new(CHAIN, 8), |_| ());
    node.start();
    node.wait_for_height(2);
    let told = follow(&node.grpc);
    let mut last = 0;
    for dseq in 1..=6 {
        let posted = wallet.sign(&post(&wallet.address().to_string(), dseq));
        last = include(&node.channel().await, posted).await;
        if dseq % 2 == 0 {
            node.kill();
            node.start();
            node.wait_for_height(u64::try_from(last).unwrap() + 1);
        }
    }
    // Each order ends without bids some seconds after it was opened.
    let last = u64::try_from(last).unwrap() + 60;
    node.wait_for_height_within(last + 1, Duration::from_secs(300));
    let truth = events_of_blocks(&node.rpc, last).await;
    let count = |kind: &str| truth.iter().filter(|event| event.contains(kind)).count();
    assert_eq!((count("EventOrderOpened"), count("EventOrderClosed")), (6, 6), "{truth:?}");
    assert_eq!(told.up_to(last).await, truth);
    let future = refusal(&node.grpc, last + 1_000).await;
    assert_eq!(future.code(), tonic::Code::FailedPrecondition, "{future}");
    node.stop();
    told.ended().await;
}
