//! A mock consensus for tests.

use std::{path::Path, sync::Arc};

use cosmos_sdk_proto::{
    cosmos::bank::v1beta1::{QueryBalanceRequest, QueryBalanceResponse},
    traits::Message,
};
use stoa_chain::types::{Address, Amount, Coin, Coins, Denom};
use stoa_genesis::{AppState, Document, Preset};
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{
        ExecTxResult, RequestCheckTx, RequestFinalizeBlock, RequestInfo, RequestInitChain,
        RequestPrepareProposal, RequestProcessProposal, RequestQuery, ResponseQuery,
    },
};

use super::{App, AppOptions, Machine};
use crate::{
    abci::Application,
    query::Queries,
    store::{Database, Options},
};

#[path = "../../tests/common/wallet.rs"]
mod wallet;

pub use wallet::Wallet;

pub const CHAIN: &str = "stoa-test";
pub const GENESIS_TIME: i64 = 1_700_000_000;

/// Plays CometBFT's part for one application.
pub struct Consensus {
    pub app: App,
    pub height: i64,
}

pub fn open(dir: &Path) -> App {
    let database = Database::open(dir, Options::local()).unwrap();
    let options = AppOptions { retain_blocks: 3, ..Default::default() };
    let machine = Machine::new(database, CHAIN, GENESIS_TIME as u64, options);
    let machine = Arc::new(machine);
    App::new(Arc::clone(&machine), Arc::new(Queries::new(machine)))
}

pub fn time(height: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: GENESIS_TIME + height, nanos: 999_999_999 })
}

pub fn genesis(wallets: &[&Wallet]) -> Vec<u8> {
    serde_json::to_vec(&state_of(wallets, 1_000_000)).unwrap()
}

/// A development network's state with these accounts.
pub fn state_of(wallets: &[&Wallet], ustoa: u128) -> AppState {
    let mut document = Document::new(CHAIN, time::OffsetDateTime::UNIX_EPOCH, Preset::Devnet);
    for wallet in wallets {
        let denom = Denom::try_from("ustoa").unwrap();
        let coins = [Coin::new(denom, Amount::from_raw(ustoa))].into_iter().collect::<Coins>();
        document.add_account(wallet.address(), coins).unwrap();
    }
    document.app_state
}

impl Consensus {
    /// What a restarted CometBFT does: asks where the application stands.
    pub fn connect(app: App) -> Self {
        let info = app.info(RequestInfo::default());
        Self { app, height: info.last_block_height }
    }

    pub fn begin(&self, app_state: Vec<u8>) -> Vec<u8> {
        let request = RequestInitChain {
            time: time(0),
            chain_id: CHAIN.to_owned(),
            app_state_bytes: app_state.into(),
            initial_height: 1,
            ..Default::default()
        };
        self.app.init_chain(request).app_hash.to_vec()
    }

    pub fn check(&self, tx: &[u8]) -> (u32, String) {
        let response = self.app.check_tx(RequestCheckTx { tx: tx.to_vec().into(), r#type: 0 });
        (response.code, response.log)
    }

    pub fn propose(&self, txs: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let request = RequestPrepareProposal {
            max_tx_bytes: 1 << 20,
            txs: txs.iter().cloned().map(Into::into).collect(),
            height: self.height + 1,
            time: time(self.height + 1),
            ..Default::default()
        };
        self.app.prepare_proposal(request).txs.into_iter().map(|tx| tx.to_vec()).collect()
    }

    pub fn accepts(&self, txs: &[Vec<u8>]) -> bool {
        let request = RequestProcessProposal {
            txs: txs.iter().cloned().map(Into::into).collect(),
            height: self.height + 1,
            time: time(self.height + 1),
            ..Default::default()
        };
        self.app.process_proposal(request).status == 1
    }

    pub fn execute(&self, txs: &[Vec<u8>]) -> (Vec<ExecTxResult>, Vec<u8>) {
        let request = RequestFinalizeBlock {
            txs: txs.iter().cloned().map(Into::into).collect(),
            height: self.height + 1,
            time: time(self.height + 1),
            ..Default::default()
        };
        let response = self.app.finalize_block(request);
        (response.tx_results, response.app_hash.to_vec())
    }

    /// A whole block: proposed, accepted, executed, committed.
    pub fn block(&mut self, txs: &[Vec<u8>]) -> (Vec<ExecTxResult>, Vec<u8>) {
        let txs = self.propose(txs);
        assert!(self.accepts(&txs), "what is prepared is accepted");
        let executed = self.execute(&txs);
        self.app.commit();
        self.height += 1;
        executed
    }

    pub fn query(&self, path: &str, data: Vec<u8>, height: i64, prove: bool) -> ResponseQuery {
        let path = path.to_owned();
        self.app.query(RequestQuery { data: data.into(), path, height, prove })
    }

    pub fn balance(&self, of: Address) -> String {
        let request = QueryBalanceRequest { address: of.to_string(), denom: "ustoa".to_owned() };
        let response =
            self.query("/cosmos.bank.v1beta1.Query/Balance", request.encode_to_vec(), 0, false);
        assert_eq!(response.code, 0, "{}", response.log);
        let balance = QueryBalanceResponse::decode(response.value.as_ref()).unwrap();
        balance.balance.map(|coin| coin.amount).unwrap_or_default()
    }
}
