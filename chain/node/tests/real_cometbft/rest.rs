//! The paths that Keplr and the explorer ping.pub ask for, on a running chain.

use std::time::{Duration, Instant};

use base64::{engine::general_purpose::STANDARD, Engine as _};
use serde_json::{json, Value};
use stoa_chain::types::Address;

use crate::{
    node::{free_address, Node, CHAIN, PATIENCE},
    wallet::Wallet,
};

/// A browser's side of REST.
struct Browser {
    client: reqwest::Client,
    url: String,
}

impl Browser {
    /// Of the node that listens at `address`.
    fn new(address: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { client, url: format!("http://{address}") }
    }

    async fn ask(&self, path: &str) -> (u16, Value) {
        let got = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (got.status().as_u16(), got.json().await.unwrap())
    }

    /// An answer that must be one.
    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let got = self.client.post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        let status = got.status();
        let body: Value = got.json().await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

/// Broadcasts as Keplr does and waits until a block has it.
async fn include(browser: &Browser, tx: &[u8]) -> Value {
    let body = json!({ "tx_bytes": STANDARD.encode(tx), "mode": "BROADCAST_MODE_SYNC" });
    let sent = browser.post("/cosmos/tx/v1beta1/txs", body).await;
    assert_eq!(sent["tx_response"]["code"], 0, "{sent}");
    let hash = sent["tx_response"]["txhash"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    loop {
        let (status, found) = browser.ask(&format!("/cosmos/tx/v1beta1/txs/{hash}")).await;
        if status == 200 {
            return found;
        }
        assert_eq!((status, &found["code"]), (404, &json!(5)), "{found}");
        assert!(begun.elapsed() < PATIENCE, "the transaction is in no block");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn check_wallet(browser: &Browser, wallet: &Wallet, tx: &[u8]) {
    let address = wallet.address();
    let info = browser.get("/cosmos/base/tendermint/v1beta1/node_info").await;
    assert_eq!(info["default_node_info"]["network"], CHAIN);
    assert!(info["application_version"]["cosmos_sdk_version"]
        .as_str()
        .unwrap()
        .starts_with("v0.50."));
    let account = browser.get(&format!("/cosmos/auth/v1beta1/accounts/{address}")).await;
    assert_eq!(account["account"]["@type"], "/cosmos.auth.v1beta1.BaseAccount");
    assert_eq!(account["account"]["sequence"], "0");
    let nobody = Address::new([77; 20]);
    let (status, unknown) = browser.ask(&format!("/cosmos/auth/v1beta1/accounts/{nobody}")).await;
    assert_eq!((status, &unknown["code"]), (404, &json!(5)));
    let balances = browser
        .get(&format!("/cosmos/bank/v1beta1/balances/{address}?pagination.limit=1000"))
        .await;
    assert_eq!(balances["balances"], json!([{ "denom": "ustoa", "amount": "1000000" }]));
    let spendable = format!("/cosmos/bank/v1beta1/spendable_balances/{address}");
    assert_eq!(browser.get(&spendable).await["balances"], balances["balances"]);
    let body = json!({ "tx_bytes": STANDARD.encode(tx) });
    let simulated = browser.post("/cosmos/tx/v1beta1/simulate", body).await;
    assert_ne!(simulated["gas_info"]["gas_used"], "0");
}

async fn check_found(browser: &Browser, found: &Value, wallet: &Wallet) -> String {
    let height = found["tx_response"]["height"].as_str().unwrap().to_owned();
    assert_eq!(found["tx_response"]["code"], 0, "{found}");
    assert_eq!(found["tx"]["body"]["messages"][0]["@type"], "/cosmos.bank.v1beta1.MsgSend");
    assert_eq!(found["tx_response"]["tx"]["body"], found["tx"]["body"]);
    assert!(found["tx_response"]["timestamp"].as_str().unwrap().starts_with("20"));
    let hash = &found["tx_response"]["txhash"];
    for query in [
        format!("query=tx.height%3D{height}"),
        format!("query=message.sender%3D%27{}%27&limit=5&order_by=ORDER_BY_DESC", wallet.address()),
        format!("events=tx.height%3D{height}&pagination.limit=5"),
    ] {
        let listed = browser.get(&format!("/cosmos/tx/v1beta1/txs?{query}")).await;
        assert_eq!((&listed["total"], listed["txs"].as_array().unwrap().len()), (&json!("1"), 1));
        assert_eq!(&listed["tx_responses"][0]["txhash"], hash, "{query}");
    }
    let block = browser.get(&format!("/cosmos/tx/v1beta1/txs/block/{height}")).await;
    assert_eq!(block["txs"], json!([found["tx"]]));
    assert_eq!(block["block"]["header"]["height"], height);
    height
}

async fn check_blocks(browser: &Browser, height: &str) {
    let tendermint = "/cosmos/base/tendermint/v1beta1";
    let latest = browser.get(&format!("{tendermint}/blocks/latest")).await;
    assert_eq!(latest["block"]["header"]["chain_id"], CHAIN);
    let block = browser.get(&format!("{tendermint}/blocks/{height}")).await;
    assert_eq!(block["block"]["header"]["height"], height);
    let proposer = block["sdk_block"]["header"]["proposer_address"].as_str().unwrap();
    assert!(proposer.starts_with("stoavalcons1"), "{proposer}");
    assert_eq!(
        block["block"]["last_commit"]["signatures"][0]["block_id_flag"],
        "BLOCK_ID_FLAG_COMMIT"
    );
    for path in ["validatorsets/latest?pagination.limit=300", &format!("validatorsets/{height}")] {
        let set = browser.get(&format!("{tendermint}/{path}")).await;
        assert_eq!(set["pagination"]["total"], "1", "{set}");
        assert_eq!(set["validators"][0]["address"], proposer);
        assert_eq!(set["validators"][0]["pub_key"]["@type"], "/cosmos.crypto.ed25519.PubKey");
    }
    assert_eq!(browser.get(&format!("{tendermint}/syncing")).await["syncing"], false);
    let params = browser.get("/cosmos/consensus/v1/params").await;
    assert_eq!(params["params"]["validator"]["pub_key_types"], json!(["ed25519"]), "{params}");
    let status = browser.get("/cosmos/base/node/v1beta1/status").await;
    assert_ne!(status["height"], "0");
}

/// Every other path that they ask, and a field that they look for in the answer.
async fn check_modules(browser: &Browser, wallet: &Wallet) {
    let address = wallet.address();
    let list = "/cosmos/staking/v1beta1/validators?status=BOND_STATUS_BONDED&pagination.limit=300";
    let validators = browser.get(list).await;
    let validator = &validators["validators"][0];
    let operator = validator["operator_address"].as_str().unwrap().to_owned();
    assert!(operator.starts_with("stoavaloper1"), "{validators}");
    for decimal in ["rate", "max_rate", "max_change_rate"] {
        let rate = validator["commission"]["commission_rates"][decimal].as_str().unwrap();
        assert_eq!(rate.split_once('.').unwrap().1.len(), 18, "{rate}");
    }
    let paths = [
        ("/cosmos/auth/v1beta1/params".to_owned(), "params"),
        ("/cosmos/auth/v1beta1/bech32".to_owned(), "bech32_prefix"),
        ("/cosmos/auth/v1beta1/module_accounts".to_owned(), "accounts"),
        ("/cosmos/bank/v1beta1/supply?pagination.limit=300".to_owned(), "supply"),
        ("/cosmos/bank/v1beta1/supply/by_denom?denom=ustoa".to_owned(), "amount"),
        ("/cosmos/bank/v1beta1/params".to_owned(), "params"),
        ("/cosmos/bank/v1beta1/denoms_metadata".to_owned(), "metadatas"),
        ("/cosmos/bank/v1beta1/denoms_metadata/ustoa".to_owned(), "metadata"),
        ("/cosmos/bank/v1beta1/denom_owners/ustoa".to_owned(), "denom_owners"),
        (format!("/cosmos/staking/v1beta1/validators/{operator}"), "validator"),
        (
            format!("/cosmos/staking/v1beta1/validators/{operator}/delegations"),
            "delegation_responses",
        ),
        (
            format!("/cosmos/staking/v1beta1/validators/{operator}/unbonding_delegations"),
            "unbonding_responses",
        ),
        (format!("/cosmos/staking/v1beta1/delegations/{address}"), "delegation_responses"),
        (
            format!("/cosmos/staking/v1beta1/delegators/{address}/unbonding_delegations"),
            "unbonding_responses",
        ),
        (
            format!("/cosmos/staking/v1beta1/delegators/{address}/redelegations"),
            "redelegation_responses",
        ),
        (format!("/cosmos/staking/v1beta1/delegators/{address}/validators"), "validators"),
        ("/cosmos/staking/v1beta1/pool".to_owned(), "pool"),
        ("/cosmos/staking/v1beta1/params".to_owned(), "params"),
        ("/cosmos/distribution/v1beta1/params".to_owned(), "params"),
        ("/cosmos/distribution/v1beta1/community_pool".to_owned(), "pool"),
        (format!("/cosmos/distribution/v1beta1/delegators/{address}/rewards"), "total"),
        (
            format!("/cosmos/distribution/v1beta1/delegators/{address}/withdraw_address"),
            "withdraw_address",
        ),
        (format!("/cosmos/distribution/v1beta1/validators/{operator}"), "operator_address"),
        (format!("/cosmos/distribution/v1beta1/validators/{operator}/commission"), "commission"),
        (
            format!("/cosmos/distribution/v1beta1/validators/{operator}/outstanding_rewards"),
            "rewards",
        ),
        (format!("/cosmos/distribution/v1beta1/validators/{operator}/slashes"), "slashes"),
        ("/cosmos/slashing/v1beta1/params".to_owned(), "params"),
        ("/cosmos/slashing/v1beta1/signing_infos?pagination.limit=300".to_owned(), "info"),
        ("/cosmos/mint/v1beta1/params".to_owned(), "params"),
        ("/cosmos/mint/v1beta1/inflation".to_owned(), "inflation"),
        ("/cosmos/mint/v1beta1/annual_provisions".to_owned(), "annual_provisions"),
        ("/cosmos/gov/v1/proposals?pagination.limit=50&proposal_status=2".to_owned(), "proposals"),
        ("/cosmos/gov/v1/params/voting".to_owned(), "voting_params"),
        ("/cosmos/gov/v1/params/tallying".to_owned(), "tally_params"),
        ("/cosmos/gov/v1/params/deposit".to_owned(), "deposit_params"),
        ("/cosmos/gov/v1beta1/params/tallying".to_owned(), "tally_params"),
        ("/cosmos/gov/v1beta1/proposals".to_owned(), "proposals"),
        (format!("/cosmos/authz/v1beta1/grants/granter/{address}"), "grants"),
        (format!("/cosmos/authz/v1beta1/grants/grantee/{address}"), "grants"),
        (format!("/cosmos/feegrant/v1beta1/allowances/{address}"), "allowances"),
        ("/cosmos/upgrade/v1beta1/current_plan".to_owned(), "plan"),
        ("/cosmos/upgrade/v1beta1/module_versions".to_owned(), "module_versions"),
        ("/stoa/market/v1/orders".to_owned(), "orders"),
        ("/openapi.json".to_owned(), "paths"),
    ];
    let mut wrong = Vec::new();
    for (path, field) in paths {
        let (status, body) = browser.ask(&path).await;
        if status != 200 || body.get(field).is_none() {
            wrong.push(format!("{path}: {status} without {field}: {body}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_and_explorers_find_what_they_ask_for_over_rest() {
    let mut wallet = Wallet::new(CHAIN, 9);
    let mut node = Node::new(&wallet);
    let address = free_address();
    node.env.push(("STOAD_REST_ADDRESS", address.clone()));
    node.start();
    node.wait_for_height(2);
    let browser = Browser::new(&address);
    let tx = wallet.send(Address::new([9; 20]), 41);
    check_wallet(&browser, &wallet, &tx).await;
    let found = include(&browser, &tx).await;
    // The indexer follows the block.
    node.wait_for_height(
        found["tx_response"]["height"].as_str().unwrap().parse::<u64>().unwrap() + 2,
    );
    let height = check_found(&browser, &found, &wallet).await;
    check_blocks(&browser, &height).await;
    check_modules(&browser, &wallet).await;
    node.stop();
}
