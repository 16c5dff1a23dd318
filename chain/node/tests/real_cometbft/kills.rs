//! A send is included, and a killed node comes back.

use cosmos_sdk_proto::cosmos::base::tendermint::v1beta1::{
    service_client::ServiceClient as NodeClient, GetNodeInfoRequest,
};
use serde_json::Value;
use stoa_chain::types::Address;

use crate::{
    node::{app_hash_after, balance, include, Node, CHAIN},
    wallet::Wallet,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_makes_blocks_includes_a_send_and_survives_a_kill() {
    let mut wallet = Wallet::new(CHAIN, 7);
    let to = Address::new([9; 20]);
    let mut node = Node::new(&wallet);
    node.start();
    node.wait_for_height(2);
    let channel = node.channel().await;
    let info = NodeClient::new(channel.clone()).get_node_info(GetNodeInfoRequest {}).await;
    let info = info.unwrap().into_inner();
    assert_eq!(info.default_node_info.unwrap().network, CHAIN);
    assert!(info.application_version.unwrap().cosmos_sdk_version.starts_with("v0.50."));
    include(&channel, wallet.send(to, 41)).await;
    assert_eq!(balance(&channel, to).await, "41");

    for round in 0..3 {
        node.kill();
        let left = node.status();
        assert_eq!(left["running"], false);
        let height = left["state"]["height"].as_u64().unwrap();
        let hash = left["state"]["app_hash"].as_str().unwrap().to_owned();
        node.start();
        node.wait_for_height(height + 2);
        let channel = node.channel().await;
        assert_eq!(app_hash_after(&channel, height).await, hash, "the chain agrees");
        include(&channel, wallet.send(to, 1)).await;
        assert_eq!(balance(&channel, to).await, (42 + round).to_string());
    }
    node.stop();
    node.run(&["invariants"]);
    let export: Value = node.json(&["export"]);
    assert_eq!(export["chain_id"], CHAIN);
    let accounts = export["app_state"]["auth"]["accounts"].as_array().unwrap();
    let received = accounts.iter().find(|account| account["address"] == to.to_string()).unwrap();
    assert_eq!(received["balances"]["ustoa"], "44");
    let height = export["initial_height"].as_str().unwrap().parse::<u64>().unwrap() - 1;
    let past = node.json(&["export", "--height", &(height - 1).to_string()]);
    assert_eq!(past["initial_height"], height.to_string());
}
