//! The few calls of CometBFT's JSON-RPC that stoad makes to its own engine.

use std::time::Duration;

use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, Value};
use tendermint::{block, Hash};
use tendermint_rpc::{endpoint, Order};

use super::validators::ValidatorPage;

/// Largest answer in bytes: a block of the largest size in base64, with room.
const MAX_ANSWER: usize = 64 << 20;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// CometBFT did not answer.
    #[error("CometBFT's RPC at {url} does not answer: {reason}")]
    Unreachable {
        /// Where it was called.
        url: String,
        /// What failed.
        reason: String,
    },
    /// CometBFT refused the call.
    #[error("CometBFT refused: {0}")]
    Refused(String),
    /// The answer was none of this call's.
    #[error("CometBFT's answer cannot be read: {0}")]
    Malformed(String),
    /// The address is none that can be called.
    #[error("RPC address {0:?}: expected tcp://HOST:PORT")]
    Address(String),
}

#[derive(Deserialize)]
struct Envelope {
    result: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
    #[serde(default)]
    data: String,
}

/// The part of `/block_results` that tells what happened.
#[derive(Debug, Clone, Deserialize)]
pub struct BlockResults {
    /// One for each transaction.
    pub txs_results: Option<Vec<ExecutedTx>>,
    /// Of the block's beginning and end.
    pub finalize_block_events: Option<Vec<EmittedEvent>>,
}

/// A transaction's result, as far as it tells what happened.
#[derive(Debug, Clone, Deserialize)]
pub struct ExecutedTx {
    /// 0: it was done.
    #[serde(default)]
    pub code: u32,
    /// What it did.
    pub events: Option<Vec<EmittedEvent>>,
}

/// An event as the application emitted it.
#[derive(Debug, Clone, Deserialize)]
pub struct EmittedEvent {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    attributes: Option<Vec<EmittedAttribute>>,
}

#[derive(Debug, Clone, Deserialize)]
struct EmittedAttribute {
    key: String,
    #[serde(default)]
    value: String,
}

impl EmittedEvent {
    /// The attribute's value; empty where there is none.
    pub fn value(&self, key: &str) -> &str {
        let found = self.attributes.iter().flatten().find(|attribute| attribute.key == key);
        found.map_or("", |attribute| attribute.value.as_str())
    }
}

/// A client of one CometBFT.
#[derive(Debug, Clone)]
pub struct Rpc {
    client: reqwest::Client,
    url: String,
}

impl Rpc {
    /// A client of the engine that listens at `laddr`, as its config file writes it.
    pub fn new(laddr: &str) -> Result<Self, RpcError> {
        let url = url_of(laddr).ok_or_else(|| RpcError::Address(laddr.to_owned()))?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        let client = client.map_err(|error| RpcError::Unreachable {
            url: url.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { client, url })
    }

    /// Where the engine is called.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// State of the node and its consensus.
    pub async fn status(&self) -> Result<endpoint::status::Response, RpcError> {
        self.call("status", json!({})).await
    }

    /// How many peers are connected.
    pub async fn peers(&self) -> Result<u64, RpcError> {
        #[derive(Deserialize)]
        struct NetInfo {
            n_peers: String,
        }
        let info: NetInfo = self.call("net_info", json!({})).await?;
        info.n_peers.parse().map_err(|_| RpcError::Malformed("n_peers is no number".to_owned()))
    }

    /// The block at a height, or the last one.
    pub async fn block(
        &self,
        height: Option<block::Height>,
    ) -> Result<endpoint::block::Response, RpcError> {
        let height = height.map(|height| height.to_string());
        let answer: endpoint::block::v0_38::DialectResponse =
            self.call("block", json!({ "height": height })).await?;
        Ok(answer.into())
    }

    /// The header at a height, or the last one.
    pub async fn header(&self, height: Option<block::Height>) -> Result<block::Header, RpcError> {
        let height = height.map(|height| height.to_string());
        let answer: endpoint::header::Response =
            self.call("header", json!({ "height": height })).await?;
        Ok(answer.header)
    }

    /// What the execution of the block at a height told.
    pub async fn block_results(&self, height: block::Height) -> Result<BlockResults, RpcError> {
        self.call("block_results", json!({ "height": height.to_string() })).await
    }

    /// A page of the validators at a height, or of the last block's; pages count from 1.
    pub async fn validators(
        &self,
        height: Option<block::Height>,
        page: u32,
        per_page: u64,
    ) -> Result<ValidatorPage, RpcError> {
        let height = height.map(|height| height.to_string());
        let (page, per_page) = (page.to_string(), per_page.to_string());
        let params = json!({ "height": height, "page": page, "per_page": per_page });
        self.call("validators", params).await
    }

    /// A page of the transactions that a query on events finds; pages count from 1.
    pub async fn tx_search(
        &self,
        query: &str,
        page: u32,
        per_page: u64,
        order: Order,
    ) -> Result<endpoint::tx_search::Response, RpcError> {
        let order = match order {
            Order::Ascending => "asc",
            Order::Descending => "desc",
        };
        let (page, per_page) = (page.to_string(), per_page.to_string());
        let params = json!({
            "query": query, "prove": false, "page": page, "per_page": per_page, "order_by": order,
        });
        self.call("tx_search", params).await
    }

    /// An indexed transaction with its result.
    pub async fn tx(&self, hash: Hash) -> Result<endpoint::tx::Response, RpcError> {
        let request = endpoint::tx::Request::new(hash, false);
        let params = serde_json::to_value(request)
            .map_err(|error| RpcError::Malformed(error.to_string()))?;
        self.call("tx", params).await
    }

    /// Puts a transaction into the mempool and returns its check's verdict.
    pub async fn broadcast_sync(
        &self,
        tx: &[u8],
    ) -> Result<endpoint::broadcast::tx_sync::Response, RpcError> {
        self.broadcast("broadcast_tx_sync", tx).await
    }

    /// Puts a transaction on its way to the mempool.
    pub async fn broadcast_async(
        &self,
        tx: &[u8],
    ) -> Result<endpoint::broadcast::tx_async::Response, RpcError> {
        self.broadcast("broadcast_tx_async", tx).await
    }

    async fn broadcast<T: DeserializeOwned>(&self, method: &str, tx: &[u8]) -> Result<T, RpcError> {
        use base64::{engine::general_purpose::STANDARD, Engine as _};
        self.call(method, json!({ "tx": STANDARD.encode(tx) })).await
    }

    async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        let fail = |error: reqwest::Error| RpcError::Unreachable {
            url: self.url.clone(),
            reason: root_cause(&error),
        };
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut response = self.client.post(&self.url).json(&call).send().await.map_err(fail)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fail)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(RpcError::Malformed(format!("it exceeds {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        read_answer(&body)
    }
}

fn read_answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, RpcError> {
    let malformed = |error: serde_json::Error| RpcError::Malformed(error.to_string());
    match serde_json::from_slice(body).map_err(malformed)? {
        Envelope { error: Some(Refusal { message, data }), .. } => {
            let parts = [message, data];
            let told: Vec<_> = parts.iter().map(|s| s.trim()).filter(|s| !s.is_empty()).collect();
            Err(RpcError::Refused(told.join(": ")))
        }
        Envelope { result: Some(result), .. } => serde_json::from_value(result).map_err(malformed),
        _ => Err(RpcError::Malformed("neither a result nor an error".to_owned())),
    }
}

/// `tcp://host:port` as a URL that can be called: an address of all interfaces means this host.
fn url_of(laddr: &str) -> Option<String> {
    let (host, port) = laddr.strip_prefix("tcp://")?.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    Some(format!("http://{host}:{port}"))
}

/// The innermost error says what happened; the outer ones repeat the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_become_urls() {
        assert_eq!(url_of("tcp://0.0.0.0:26657").unwrap(), "http://127.0.0.1:26657");
        assert_eq!(url_of("tcp://10.0.0.1:1").unwrap(), "http://10.0.0.1:1");
        assert_eq!(url_of("tcp://[::]:1").unwrap(), "http://[::1]:1");
        for bad in ["", "unix:///rpc.sock", "tcp://host", "tcp://host:port"] {
            assert!(url_of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let good: u64 = read_answer(br#"{"jsonrpc":"2.0","id":1,"result":5}"#).unwrap();
        assert_eq!(good, 5);
        let told = |body: &[u8]| read_answer::<u64>(body).unwrap_err().to_string();
        let refusal =
            br#"{"error":{"code":-32603,"message":"Internal error","data":"tx not found"}}"#;
        assert_eq!(told(refusal), "CometBFT refused: Internal error: tx not found");
        assert!(told(b"{}").contains("neither a result nor an error"));
        assert!(told(b"<html>").contains("cannot be read"));
    }
}
