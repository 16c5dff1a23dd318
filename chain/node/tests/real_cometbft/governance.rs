//! Governance changes what CometBFT enforces.

use cosmos_sdk_proto::{
    cosmos::{
        base::v1beta1::Coin,
        gov::v1::{MsgSubmitProposal, MsgVote},
        staking::v1beta1::MsgDelegate,
    },
    tendermint::types::ConsensusParams,
    traits::{Message, Name},
    Any,
};
use serde_json::{json, Value};
use stoa_chain::{
    modules::{consensus::Params, gov},
    types::Address,
};
use stoa_proto::consensus::v1::MsgUpdateParams;

use crate::{
    node::{await_some, include, Node, CHAIN},
    wallet::Wallet,
};

fn ustoa(amount: u64) -> Coin {
    Coin { denom: "ustoa".to_owned(), amount: amount.to_string() }
}

fn update(params: Params) -> Any {
    let params = ConsensusParams::from(params);
    let message = MsgUpdateParams {
        authority: gov::authority().to_string(),
        block: params.block,
        evidence: params.evidence,
        validator: params.validator,
        abci: params.abci,
    };
    Any { type_url: MsgUpdateParams::type_url(), value: message.encode_to_vec() }
}

/// A chain that votes for some seconds only, with a wallet that can outvote its validator.
fn quick_votes(wallet: &Wallet) -> Node {
    let node = Node::bare();
    node.init();
    node.run(&["add-genesis-account", &wallet.address().to_string(), "1000000000ustoa"]);
    node.begin_chain(&Wallet::new(CHAIN, 12), |document| {
        let params = &mut document["app_state"]["gov"]["params"];
        params["voting_period"] = json!(8);
        params["expedited_voting_period"] = json!(5);
    });
    node
}

/// What CometBFT enforces of a block.
async fn enforced(node: &Node) -> Value {
    node.call("consensus_params").await["result"]["consensus_params"]["block"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_passes_changes_what_the_engine_enforces() {
    let mut wallet = Wallet::new(CHAIN, 11);
    let mut node = quick_votes(&wallet);
    node.start();
    node.wait_for_height(1);
    assert_eq!(enforced(&node).await, json!({ "max_bytes": "4194304", "max_gas": "200000000" }));

    let (channel, me) = (node.channel().await, wallet.address().to_string());
    let validator_address = node.json(&["keys", "-o", "json"])["operator_address"].clone();
    let validator: Address = validator_address.as_str().unwrap().parse().unwrap();
    let delegate = MsgDelegate {
        delegator_address: me.clone(),
        validator_address: stoa_chain::types::ValAddress::from(validator).to_string(),
        amount: Some(ustoa(500_000_000)),
    };
    include(&channel, wallet.sign(&delegate)).await;
    let wanted =
        Params { max_block_bytes: 1 << 20, max_block_gas: Some(30_000_000), ..Params::default() };
    let submit = MsgSubmitProposal {
        messages: vec![update(wanted)],
        initial_deposit: vec![ustoa(10_000_000)],
        proposer: me.clone(),
        title: "Smaller blocks".to_owned(),
        summary: "of a mebibyte".to_owned(),
        ..Default::default()
    };
    include(&channel, wallet.sign(&submit)).await;
    let vote = MsgVote { proposal_id: 1, voter: me, option: 1, metadata: String::new() };
    include(&channel, wallet.sign(&vote)).await;

    let small = json!({ "max_bytes": "1048576", "max_gas": "30000000" });
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        await_some("the engine's new parameters", || {
            (runtime.block_on(enforced(&node)) == small).then_some(())
        });
    });
    // The chain goes on with them, over a restart too, and an export has them.
    node.kill();
    node.start();
    let height = node.height();
    node.wait_for_height(height.max(1) + 2);
    include(&node.channel().await, wallet.send(Address::new([9; 20]), 5)).await;
    assert_eq!(enforced(&node).await, small);
    node.stop();
    assert_eq!(node.json(&["export"])["consensus_params"]["block"], small);
}
