//! JSON-RPC as CometBFT speaks it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{engine::general_purpose::STANDARD as BASE64, Engine as _};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{json, Value};
use stoa_client::tx::hash_of;
use tokio::net::TcpListener;

use super::{lock, State};

/// What is to be done with a call.
enum Answer {
    Result(Value),
    Error(&'static str, String),
    /// The connection is cut without an answer.
    Cut,
}

pub async fn serve(state: Arc<Mutex<State>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let state = state.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| handle(state.clone(), request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    address
}

async fn handle(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let Ok(call) = serde_json::from_slice::<Value>(&body) else {
        // The WebSocket's handshake: this node has none.
        return Ok(Response::builder().status(404).body(Full::default()).unwrap());
    };
    let answer = answer(&mut lock(&state), call["method"].as_str().unwrap(), &call["params"]);
    let value = match answer {
        Answer::Result(result) => json!({ "jsonrpc": "2.0", "id": 1, "result": result }),
        Answer::Error(message, data) => json!({
            "jsonrpc": "2.0", "id": 1,
            "error": { "code": -32603, "message": message, "data": data },
        }),
        Answer::Cut => return Ok(Response::new(Full::from("cut"))),
    };
    Ok(Response::new(Full::from(value.to_string())))
}

fn answer(state: &mut State, method: &str, params: &Value) -> Answer {
    match method {
        "status" => Answer::Result(json!({
            "node_info": { "network": "mock", "moniker": "mock" },
            "sync_info": {
                "latest_block_height": state.height.to_string(),
                "latest_block_time": "2026-01-01T00:00:00Z",
                "earliest_block_height": "1",
                "catching_up": false,
            },
        })),
        "broadcast_tx_sync" => broadcast(state, params),
        "tx" => tx(state, params),
        "block" => block(state, params),
        "block_results" => block_results(state, params),
        "header" => header(state, params),
        other => Answer::Error("Method not found", other.into()),
    }
}

fn height_of(params: &Value) -> u64 {
    params["height"].as_str().unwrap().parse().unwrap()
}

fn too_high(height: u64) -> Answer {
    let text = format!("height {height} must be less than or equal to the current height");
    Answer::Error("Internal error", text)
}

fn broadcast(state: &mut State, params: &Value) -> Answer {
    state.broadcasts += 1;
    let bytes = BASE64.decode(params["tx"].as_str().unwrap()).unwrap();
    let hash = hash_of(&bytes);
    let known = state.mempool.contains(&bytes) || state.included.iter().any(|t| t.hash == hash);
    if known {
        return Answer::Error("Internal error", "tx already exists in cache".into());
    }
    if let Some(log) = state.wrong_sequence(&bytes) {
        let result = json!({ "code": 32, "codespace": "sdk", "log": log, "hash": hash });
        return Answer::Result(result);
    }
    if state.forget > 0 {
        state.forget -= 1;
    } else {
        state.mempool.push(bytes);
    }
    if state.cut > 0 {
        state.cut -= 1;
        return Answer::Cut;
    }
    Answer::Result(json!({ "code": 0, "codespace": "", "log": "", "hash": hash }))
}

fn tx(state: &State, params: &Value) -> Answer {
    let hash = hex::encode_upper(BASE64.decode(params["hash"].as_str().unwrap()).unwrap());
    match state.included.iter().find(|t| t.hash == hash) {
        None => Answer::Error("Internal error", format!("tx ({hash}) not found")),
        Some(t) => {
            let attribute = |k: &str, v: String| json!({ "key": k, "value": v, "index": true });
            let events: Vec<Value> = if t.code != 0 {
                vec![]
            } else {
                let event = |(i, to): (usize, &String)| {
                    let attributes =
                        [attribute("to", to.clone()), attribute("msg_index", i.to_string())];
                    json!({ "type": "transfer", "attributes": attributes })
                };
                t.to.iter().enumerate().map(event).collect()
            };
            Answer::Result(json!({
                "hash": t.hash, "height": t.height.to_string(), "index": 0,
                "tx": BASE64.encode(&t.bytes),
                "tx_result": {
                    "code": t.code, "codespace": if t.code == 0 { "" } else { "sdk" },
                    "log": t.log, "data": BASE64.encode(&t.data),
                    "gas_wanted": "1", "gas_used": "1", "events": events,
                },
            }))
        }
    }
}

fn block(state: &State, params: &Value) -> Answer {
    let height = height_of(params);
    if height > state.height {
        return too_high(height);
    }
    let txs = state.included.iter().filter(|t| t.height == height);
    let txs: Vec<String> = txs.map(|t| BASE64.encode(&t.bytes)).collect();
    Answer::Result(json!({ "block": { "data": { "txs": txs } } }))
}

fn block_results(state: &State, params: &Value) -> Answer {
    let height = height_of(params);
    if height > state.height {
        return too_high(height);
    }
    let attributes = json!([{ "key": "height", "value": height.to_string(), "index": true }]);
    Answer::Result(json!({
        "height": height.to_string(), "txs_results": null,
        "finalize_block_events": [{ "type": "block", "attributes": attributes }],
    }))
}

fn header(state: &State, params: &Value) -> Answer {
    let height = height_of(params);
    if height > state.height {
        return too_high(height);
    }
    Answer::Result(json!({
        "header": { "height": height.to_string(), "time": "2026-01-01T00:00:00.5Z" },
    }))
}
