//! The server over a real connection, without an engine behind it.

use cosmos_sdk_proto::cosmos::{
    bank::v1beta1::{query_client::QueryClient, QueryBalanceRequest},
    base::tendermint::v1beta1::{service_client::ServiceClient as NodeClient, GetNodeInfoRequest},
    tx::v1beta1::{
        service_client::ServiceClient as TxClient, GetTxRequest, SimulateRequest, TxDecodeRequest,
    },
};
use tonic::{transport::Channel, Code};
use tonic_reflection::pb::v1::{
    server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse, ServerReflectionRequest,
};

use std::sync::Arc;

use super::{bind, Server};
use crate::{
    app::testing::{genesis, open, Consensus, Wallet, CHAIN},
    comet::Rpc,
    services::{Facts, Services, MAX_CALLS},
};

/// A server on a chain of one block, with an engine that does not answer.
struct Node {
    channel: Channel,
    chain: Consensus,
    wallet: Wallet,
    address: std::net::SocketAddr,
    _dir: tempfile::TempDir,
}

async fn node(max_connections: usize) -> Node {
    node_at("tcp://127.0.0.1:1", max_connections).await
}

async fn node_at(engine: &str, max_connections: usize) -> Node {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let wallet = Wallet::new(CHAIN, 1);
    let mut chain = Consensus::connect(open(dir.path()));
    chain.begin(genesis(&[&wallet]));
    chain.block(&[]);
    let rpc = Rpc::new(engine).unwrap();
    let services = Services::new(chain.app.queries().clone(), rpc, Facts::default());
    let server = Server::new(Arc::new(services), max_connections);
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener));
    let channel = connect(address).await;
    Node { channel, chain, wallet, address, _dir: dir }
}

async fn connect(address: std::net::SocketAddr) -> Channel {
    let url = format!("http://{address}");
    tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}

fn balance_of(wallet: &Wallet) -> QueryBalanceRequest {
    QueryBalanceRequest { address: wallet.address().to_string(), denom: "ustoa".to_owned() }
}

#[tokio::test]
async fn queries_are_answered_with_their_height() {
    let mut node = node(10).await;
    let mut bank = QueryClient::new(node.channel.clone());
    let response = bank.balance(balance_of(&node.wallet)).await.unwrap();
    assert_eq!(response.metadata().get("x-cosmos-block-height").unwrap(), "1");
    assert_eq!(response.into_inner().balance.unwrap().amount, "1000000");
    let refused = bank.balance(QueryBalanceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");

    let mut tx = TxClient::new(node.channel.clone());
    let tx_bytes = node.wallet.send(node.wallet.address(), 5);
    #[allow(deprecated)]
    let simulated = tx.simulate(SimulateRequest { tx: None, tx_bytes }).await.unwrap();
    assert!(simulated.into_inner().gas_info.unwrap().gas_used > 0);
    node.chain.block(&[]);
}

#[tokio::test]
async fn a_height_that_has_not_come_is_refused() {
    let node = node(10).await;
    let mut bank = QueryClient::new(node.channel.clone());
    let mut at = async |height: &'static str| {
        let mut request = tonic::Request::new(balance_of(&node.wallet));
        request.metadata_mut().insert("x-cosmos-block-height", height.parse().unwrap());
        bank.balance(request).await
    };
    assert!(at("1").await.is_ok());
    let refused = at("2").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(at("x").await.is_err());
}

#[tokio::test]
async fn what_is_not_served_or_too_large_says_so() {
    let node = node(10).await;
    let mut tx = TxClient::new(node.channel.clone());
    let unserved = tx.tx_decode(TxDecodeRequest::default());
    let unserved = unserved.await.unwrap_err();
    assert_eq!(unserved.code(), Code::Unimplemented, "{unserved}");
    let mut bank = QueryClient::new(node.channel.clone());
    let long = QueryBalanceRequest { address: "x".repeat(3 << 20), ..Default::default() };
    let refused = bank.balance(long).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
}

#[tokio::test]
async fn an_engine_that_is_gone_is_named() {
    let node = node(10).await;
    let mut info = NodeClient::new(node.channel.clone());
    let refused = info.get_node_info(GetNodeInfoRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(refused.message().contains("does not answer"), "{refused}");
    let mut tx = TxClient::new(node.channel.clone());
    let refused = tx.get_tx(GetTxRequest { hash: "zz".to_owned() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let node = node(10).await;
    let mut reflection = ServerReflectionClient::new(node.channel.clone());
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("a list of services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for served in ["stoa.market.v1.Query", "cosmos.bank.v1beta1.Query", "cosmos.tx.v1beta1.Service"]
    {
        assert!(names.contains(&served), "{names:?}");
    }
    for other in ["stoa.gateway.v1.Gateway", "cosmos.bank.v1beta1.Msg"] {
        assert!(!names.contains(&other), "{other} is not served");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let first = node(1).await;
    let mut bank = QueryClient::new(first.channel.clone());
    bank.balance(balance_of(&first.wallet)).await.unwrap();
    let request = balance_of(&first.wallet);
    let second = tokio::spawn(async move {
        let mut bank = QueryClient::new(connect(first.address).await);
        bank.balance(request).await.unwrap();
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!second.is_finished(), "the one place is taken");
    drop((bank, first.channel));
    tokio::time::timeout(std::time::Duration::from_secs(60), second).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_engine_is_asked_so_many_times_at_once_and_queries_do_not_wait_for_it() {
    let engine = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let laddr = format!("tcp://{}", engine.local_addr().unwrap());
    let node = node_at(&laddr, 10).await;
    let calls: Vec<_> = (0..3 * MAX_CALLS)
        .map(|_| {
            let mut client = NodeClient::new(node.channel.clone());
            tokio::spawn(async move { client.get_node_info(GetNodeInfoRequest {}).await })
        })
        .collect();
    // It takes every call and answers none.
    let mut taken = Vec::new();
    while taken.len() < MAX_CALLS {
        let long = std::time::Duration::from_secs(60);
        let call = tokio::time::timeout(long, engine.accept()).await.expect("a call in time");
        taken.push(call.unwrap());
    }
    let pause = std::time::Duration::from_millis(500);
    let more = tokio::time::timeout(pause, engine.accept()).await;
    assert!(more.is_err(), "the others wait for their turn");
    let mut bank = QueryClient::new(node.channel.clone());
    bank.balance(balance_of(&node.wallet)).await.unwrap();
    calls.iter().for_each(|call| call.abort());
}
