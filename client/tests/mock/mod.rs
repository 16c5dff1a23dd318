//! A node in this process: enough of CometBFT's RPC and of the chain's gRPC
//! for transactions to be simulated, checked, included, lost and failed.

// Each test binary uses its own part of this.
#![allow(dead_code)]

mod grpc;
pub mod market;
mod rpc;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use prost::Message;
use stoa_client::{query::QueryClient, rpc::RpcClient, tx::hash_of, Chain};
use stoa_proto::{
    cosmos::{
        bank::v1beta1::{MsgSend, MsgSendResponse},
        base::abci::v1beta1::TxMsgData,
        tx::v1beta1::Tx,
    },
    Any,
};

/// Between blocks.
pub const BLOCK: Duration = Duration::from_millis(40);

/// A message to this address fails wherever it is run.
pub const FAILS: &str = "fails";
/// Fails in a block only, not in simulation.
pub const FAILS_LATE: &str = "fails-late";
/// Fails in simulation without saying which message it was.
pub const FAILS_DARKLY: &str = "fails-darkly";

/// What a transaction came to.
#[derive(Clone, Debug)]
pub struct Included {
    pub hash: String,
    pub bytes: Vec<u8>,
    pub height: u64,
    pub code: u32,
    pub log: String,
    pub data: Vec<u8>,
    /// Where the messages went.
    pub to: Vec<String>,
}

/// What the node knows, and how it misbehaves.
#[derive(Debug, Default)]
pub struct State {
    pub height: u64,
    pub sequence: u64,
    pub mempool: Vec<Vec<u8>>,
    pub included: Vec<Included>,
    /// Blocks are made, but no transaction is taken.
    pub hold: bool,
    /// What is broadcast is answered well and forgotten, so many times.
    pub forget: u32,
    /// What is broadcast is taken and the connection cut, so many times.
    pub cut: u32,
    /// Broadcasts so far.
    pub broadcasts: u32,
}

/// The node.
#[derive(Clone)]
pub struct Node {
    state: Arc<Mutex<State>>,
    pub rpc: String,
    pub grpc: String,
}

impl Node {
    /// Starts it on ports of the system's choice.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { height: 10, sequence: 3, ..State::default() }));
        let rpc = rpc::serve(state.clone()).await;
        let grpc = grpc::serve(state.clone()).await;
        let ticking = state.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(BLOCK).await;
                lock(&ticking).make_block();
            }
        });
        Self { state, rpc, grpc }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A client of it, in the present runtime.
    pub fn chain(&self) -> Chain {
        Chain::new(
            "mock".into(),
            RpcClient::new(std::slice::from_ref(&self.rpc)).unwrap(),
            QueryClient::new(std::slice::from_ref(&self.grpc)).unwrap(),
            "0.0025ustoa".parse().unwrap(),
        )
    }

    /// How often messages to an address took effect.
    pub fn landed(&self, to: &str) -> usize {
        let state = self.state();
        let good = state.included.iter().filter(|t| t.code == 0);
        good.flat_map(|t| &t.to).filter(|t| *t == to).count()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

pub fn recipients(bytes: &[u8]) -> Vec<String> {
    let body = Tx::decode(bytes).unwrap().body.unwrap();
    body.messages.iter().map(|m| MsgSend::decode(&*m.value).unwrap().to_address).collect()
}

fn sequence_of(bytes: &[u8]) -> u64 {
    Tx::decode(bytes).unwrap().auth_info.unwrap().signer_infos[0].sequence
}

impl State {
    /// The sequence that the mempool expects next.
    fn next_sequence(&self) -> u64 {
        self.sequence + self.mempool.len() as u64
    }

    fn wrong_sequence(&self, bytes: &[u8]) -> Option<String> {
        let (expected, got) = (self.next_sequence(), sequence_of(bytes));
        (expected != got).then(|| {
            format!("account sequence mismatch, expected {expected}, got {got}: incorrect account sequence")
        })
    }

    fn make_block(&mut self) {
        self.height += 1;
        if self.hold {
            return;
        }
        for bytes in std::mem::take(&mut self.mempool) {
            let timeout = Tx::decode(&*bytes).unwrap().body.unwrap().timeout_height;
            if sequence_of(&bytes) != self.sequence || self.height > timeout {
                continue;
            }
            self.sequence += 1;
            let to = recipients(&bytes);
            let failing = to.iter().position(|t| t == FAILS || t == FAILS_LATE);
            let (code, log) = match failing {
                Some(index) => (5, format!("message index: {index}: insufficient funds")),
                None => (0, String::new()),
            };
            let responses = to.iter().map(|_| Any {
                type_url: "/cosmos.bank.v1beta1.MsgSendResponse".into(),
                value: MsgSendResponse {}.encode_to_vec(),
            });
            let data = TxMsgData { msg_responses: responses.collect(), ..Default::default() };
            let data = if code == 0 { data.encode_to_vec() } else { vec![] };
            let (hash, height) = (hash_of(&bytes), self.height);
            self.included.push(Included { hash, bytes, height, code, log, data, to });
        }
    }
}
