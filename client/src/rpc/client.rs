//! JSON-RPC calls over HTTP, to the first of several endpoints that answers.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::Duration,
};

use base64::{engine::general_purpose::STANDARD as BASE64, Engine as _};
use futures::StreamExt;
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, Value};

use super::types::{
    BlockResults, CheckTx, Header, IncludedTx, RawBlockResults, RawHeaderAnswer, RawStatus, RawTx,
    RawTxSearch, Status,
};
use crate::{Error, Result};

const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A block's results with its events can be large; more than this is refused.
const MAX_ANSWER: usize = 256 << 20;

/// CometBFT's JSON-RPC at one or several nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RpcClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    endpoints: Vec<String>,
    /// The one that answered last.
    preferred: AtomicUsize,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<RpcError>,
}

#[derive(Deserialize, Debug)]
struct RpcError {
    code: i64,
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

impl RpcError {
    fn text(&self) -> String {
        match &self.data {
            Some(Value::String(data)) => format!("{}: {data}", self.message),
            Some(data) => format!("{}: {data}", self.message),
            None => self.message.clone(),
        }
    }
}

/// One call's outcome: no connection is another matter than an error answer.
enum Failure {
    Connection(String),
    Answer(RpcError),
}

impl RpcClient {
    /// `endpoints` such as `http://127.0.0.1:26657`, in order of preference.
    pub fn new(endpoints: &[String]) -> Result<Self> {
        crate::install_crypto();
        if endpoints.is_empty() {
            return Err(Error::Invalid("no RPC address is configured".into()));
        }
        let endpoints = endpoints.iter().map(|e| normal(e)).collect::<Result<Vec<_>>>()?;
        let http = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::Invalid(format!("HTTP client: {e}")))?;
        Ok(Self(Arc::new(Inner { http, endpoints, preferred: AtomicUsize::new(0) })))
    }

    /// The endpoints, the one that answered last first.
    pub fn endpoints(&self) -> Vec<String> {
        let start = self.0.preferred.load(Ordering::Relaxed);
        let all = &self.0.endpoints;
        (0..all.len()).filter_map(|i| all.get((start + i) % all.len()).cloned()).collect()
    }

    /// What the node says of itself.
    pub async fn status(&self) -> Result<Status> {
        self.call::<RawStatus>("status", json!({})).await?.check()
    }

    /// Hands a transaction to the mempool; the answer is CheckTx's. One that
    /// is in the mempool already counts as accepted.
    pub async fn broadcast(&self, bytes: &[u8]) -> Result<CheckTx> {
        let params = json!({ "tx": BASE64.encode(bytes) });
        match self.attempt("broadcast_tx_sync", &params).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Answer(e)) if e.text().contains("tx already exists in cache") => {
                Ok(CheckTx {
                    code: 0,
                    codespace: String::new(),
                    log: String::new(),
                    hash: crate::tx::hash_of(bytes),
                })
            }
            Err(Failure::Answer(e)) if e.text().contains("mempool is full") => Ok(CheckTx {
                code: crate::error::CODE_MEMPOOL_FULL,
                codespace: crate::error::SDK.into(),
                log: e.text(),
                hash: crate::tx::hash_of(bytes),
            }),
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// A transaction by hash (hex), once it is in a block and indexed.
    pub async fn tx(&self, hash: &str) -> Result<Option<IncludedTx>> {
        let raw = hex::decode(hash.trim_start_matches("0x")).map_err(|_| {
            Error::Invalid(format!("`{hash}` is no transaction hash (64 hex digits)"))
        })?;
        let params = json!({ "hash": BASE64.encode(raw), "prove": false });
        match self.attempt::<RawTx>("tx", &params).await {
            Ok(raw) => raw.check().map(Some),
            Err(Failure::Answer(e)) if e.text().contains("not found") => Ok(None),
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// Transactions by their events, oldest first, such as
    /// `stoa.escrow.v1.EventDeposited.deployment='OWNER/DSEQ'`. At most 1,000.
    pub async fn tx_search(&self, query: &str) -> Result<Vec<IncludedTx>> {
        let mut found = vec![];
        for page in 1..=10_u32 {
            let params = json!({
                "query": query, "prove": false, "order_by": "asc",
                "page": page.to_string(), "per_page": "100",
            });
            let answer: RawTxSearch = match self.attempt("tx_search", &params).await {
                Ok(answer) => answer,
                // A page past the last one.
                Err(Failure::Answer(e)) if e.text().contains("page should be within") => break,
                Err(failure) => return Err(self.error(failure)),
            };
            let total = answer.total();
            for raw in answer.txs {
                found.push(raw.check()?);
            }
            if found.len() as u64 >= total {
                break;
            }
        }
        Ok(found)
    }

    /// The events of a block. None: the node does not have it yet, or no more.
    pub async fn block_results(&self, height: u64) -> Result<Option<BlockResults>> {
        let params = json!({ "height": height.to_string() });
        match self.attempt::<RawBlockResults>("block_results", &params).await {
            Ok(raw) => Ok(Some(raw.check())),
            Err(Failure::Answer(e)) if is_missing_block(&e) => Ok(None),
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// A block's header. None as in [`Self::block_results`].
    pub async fn header(&self, height: u64) -> Result<Option<Header>> {
        let params = json!({ "height": height.to_string() });
        match self.attempt::<RawHeaderAnswer>("header", &params).await {
            Ok(raw) => raw.check(),
            Err(Failure::Answer(e)) if is_missing_block(&e) => Ok(None),
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// The transactions of a block, raw.
    pub async fn block_txs(&self, height: u64) -> Result<Option<Vec<Vec<u8>>>> {
        let params = json!({ "height": height.to_string() });
        let value: Value = match self.attempt("block", &params).await {
            Ok(value) => value,
            Err(Failure::Answer(e)) if is_missing_block(&e) => return Ok(None),
            Err(failure) => return Err(self.error(failure)),
        };
        let list = value.pointer("/block/data/txs").and_then(Value::as_array);
        let decode = |v: &Value| v.as_str().and_then(|t| BASE64.decode(t).ok());
        Ok(Some(list.map(|l| l.iter().filter_map(decode).collect()).unwrap_or_default()))
    }

    /// Any method, typed by the caller.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        self.attempt(method, &params).await.map_err(|f| self.error(f))
    }

    fn error(&self, failure: Failure) -> Error {
        match failure {
            Failure::Connection(cause) => {
                Error::Unreachable { what: self.0.endpoints.join(", "), cause }
            }
            Failure::Answer(e) => Error::BadAnswer(format!("CometBFT: {} ({})", e.text(), e.code)),
        }
    }

    /// Tries each endpoint once; an error answer is an answer.
    async fn attempt<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<T, Failure> {
        let count = self.0.endpoints.len();
        let start = self.0.preferred.load(Ordering::Relaxed);
        let mut last = String::from("no endpoint");
        for offset in 0..count {
            let index = (start + offset) % count;
            let Some(endpoint) = self.0.endpoints.get(index) else { continue };
            match self.once(endpoint, method, params).await {
                Err(Failure::Connection(cause)) => last = cause,
                other => {
                    self.0.preferred.store(index, Ordering::Relaxed);
                    return other;
                }
            }
        }
        Err(Failure::Connection(last))
    }

    async fn once<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        method: &str,
        params: &Value,
    ) -> Result<T, Failure> {
        let connection = |e: reqwest::Error| Failure::Connection(causes(&e));
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.0.http.post(endpoint).json(&body).send().await.map_err(connection)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.map_err(connection)?);
            if bytes.len() > MAX_ANSWER {
                return Err(Failure::Connection(format!("{method}: an answer over 256 MiB")));
            }
        }
        // CometBFT sends its errors with status 500 and a JSON body.
        let parsed: Answer<T> = serde_json::from_slice(&bytes).map_err(|e| {
            Failure::Connection(format!(
                "{endpoint} answered {method} with {status}, unreadable: {e}"
            ))
        })?;
        match (parsed.result, parsed.error) {
            (_, Some(error)) => Err(Failure::Answer(error)),
            (Some(result), None) => Ok(result),
            (None, None) => Err(Failure::Connection(format!("{endpoint}: an empty answer"))),
        }
    }
}

fn is_missing_block(error: &RpcError) -> bool {
    let text = error.text();
    text.contains("must be less than or equal to")
        || text.contains("is not available")
        || text.contains("could not find results")
        || text.contains("not persist")
}

/// reqwest's own message leaves out why; the chain of causes has it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// CometBFT writes `tcp://` in its own configuration.
fn normal(endpoint: &str) -> Result<String> {
    let text = endpoint.trim().trim_end_matches('/');
    let text = match text.split_once("://") {
        Some(("tcp", rest)) => format!("http://{rest}"),
        Some(("http" | "https", _)) => text.to_owned(),
        None if !text.is_empty() => format!("http://{text}"),
        _ => {
            return Err(Error::Invalid(format!(
                "RPC address `{endpoint}`; right is such as http://127.0.0.1:26657"
            )))
        }
    };
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_usual_spelling() {
        assert_eq!(normal("tcp://a:1").unwrap(), "http://a:1");
        assert_eq!(normal("a:1").unwrap(), "http://a:1");
        assert_eq!(normal("https://a/").unwrap(), "https://a");
        assert!(normal("ftp://a").is_err());
        assert!(RpcClient::new(&[]).is_err());
    }
}
