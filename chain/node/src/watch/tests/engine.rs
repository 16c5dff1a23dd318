//! CometBFT's JSON-RPC, as far as streams ask it. Each third block holds nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{json, Value};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Unix seconds of a block.
pub fn time_of(height: u64) -> u64 {
    1_700_000_000 + height
}

pub struct Engine {
    pub laddr: String,
    state: Arc<Mutex<State>>,
    calls: watch::Receiver<usize>,
}

struct State {
    earliest: u64,
    latest: u64,
    /// Calls whose connection is cut.
    cuts: usize,
    asked: BTreeMap<(String, u64), usize>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

impl Engine {
    pub async fn start(earliest: u64, latest: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let laddr = format!("tcp://{}", listener.local_addr().unwrap());
        let state = State { earliest, latest, cuts: 0, asked: BTreeMap::new() };
        let state = Arc::new(Mutex::new(state));
        let (counter, calls) = watch::channel(0);
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&served), counter.clone()));
            }
        });
        Self { laddr, state, calls }
    }

    pub fn grow_to(&self, height: u64) {
        lock(&self.state).latest = height;
    }

    pub fn prune_below(&self, height: u64) {
        lock(&self.state).earliest = height;
    }

    pub fn cut_next(&self, calls: usize) {
        lock(&self.state).cuts = calls;
    }

    pub fn left_to_cut(&self) -> usize {
        lock(&self.state).cuts
    }

    /// How often each height was asked for by this method.
    pub fn asked(&self, method: &str) -> BTreeMap<u64, usize> {
        let state = lock(&self.state);
        let those = state.asked.iter().filter(|((asked, _), _)| asked == method);
        those.map(|((_, height), times)| (*height, *times)).collect()
    }

    pub async fn wait_until_asked(&self, method: &str, times: usize) {
        let mut calls = self.calls.clone();
        while self.asked(method).values().sum::<usize>() < times {
            calls.changed().await.unwrap();
        }
    }
}

/// Answers the calls of one connection.
async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>, counter: watch::Sender<usize>) {
    while let Some(call) = read(&mut socket).await {
        let answer = answer(&mut lock(&state), &call);
        counter.send_modify(|count| *count += 1);
        let Some(answer) = answer else { return };
        let body = answer.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if socket.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next call; none when the connection has ended.
async fn read(socket: &mut TcpStream) -> Option<Value> {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
            if body.len() >= length.trim().parse::<usize>().ok()? {
                let start = seen.len() - body.len();
                return serde_json::from_slice(&seen[start..]).ok();
            }
        }
        let mut chunk = [0; 4096];
        let count = socket.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        seen.extend_from_slice(&chunk[..count]);
    }
}

fn answer(state: &mut State, call: &Value) -> Option<Value> {
    if state.cuts > 0 {
        state.cuts -= 1;
        return None;
    }
    let method = call["method"].as_str().unwrap().to_owned();
    if method == "status" {
        return Some(result(status(state)));
    }
    let height: u64 = call["params"]["height"].as_str().unwrap().parse().unwrap();
    *state.asked.entry((method.clone(), height)).or_default() += 1;
    if !(state.earliest..=state.latest).contains(&height) {
        let text = format!("height {height} is not available");
        let error = json!({ "code": -32603, "message": "Internal error", "data": text });
        return Some(json!({ "jsonrpc": "2.0", "id": 1, "error": error }));
    }
    let answer = if method == "header" { header(height) } else { block_results(height) };
    Some(result(answer))
}

fn result(result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": result })
}

fn block_results(height: u64) -> Value {
    let events = if height.is_multiple_of(3) {
        json!([])
    } else {
        let order = json!({ "key": "order", "value": height.to_string(), "index": true });
        json!([{ "type": "stoa.market.v1.EventOrderOpened", "attributes": [order] }])
    };
    let txs = json!([{ "code": 0, "data": null, "log": "", "events": events }]);
    json!({ "height": height.to_string(), "txs_results": txs, "finalize_block_events": null })
}

fn hash() -> String {
    "AB".repeat(32)
}

fn header(height: u64) -> Value {
    let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(time_of(height)).unwrap());
    let time = time.unwrap().format(&time::format_description::well_known::Rfc3339).unwrap();
    json!({ "header": {
        "version": { "block": "11", "app": "1" }, "chain_id": "stoa-test",
        "height": height.to_string(), "time": time, "last_block_id": null,
        "last_commit_hash": hash(), "data_hash": hash(), "validators_hash": hash(),
        "next_validators_hash": hash(), "consensus_hash": hash(), "app_hash": hash(),
        "last_results_hash": hash(), "evidence_hash": hash(), "proposer_address": "AB".repeat(20),
    }})
}

fn status(state: &State) -> Value {
    let (earliest, latest) = (state.earliest.to_string(), state.latest.to_string());
    let time = "2027-01-01T00:00:00Z";
    json!({
        "node_info": {
            "protocol_version": { "p2p": "8", "block": "11", "app": "1" },
            "id": "AB".repeat(20), "listen_addr": "tcp://0.0.0.0:26656", "network": "stoa-test",
            "version": "0.38.25", "channels": "40", "moniker": "mock",
            "other": { "tx_index": "on", "rpc_address": "tcp://127.0.0.1:26657" },
        },
        "sync_info": {
            "latest_block_hash": hash(), "latest_app_hash": hash(), "latest_block_height": latest,
            "latest_block_time": time, "earliest_block_hash": hash(), "earliest_app_hash": hash(),
            "earliest_block_height": earliest, "earliest_block_time": time, "catching_up": false,
        },
        "validator_info": {
            "address": "AB".repeat(20),
            "pub_key": {
                "type": "tendermint/PubKeyEd25519",
                "value": "MCDp05Rpu8Z5gSHHXbmEHWR2bmrDHLTqxpKDq8WZQhE=",
            },
            "voting_power": "1", "proposer_priority": "0",
        },
    })
}
