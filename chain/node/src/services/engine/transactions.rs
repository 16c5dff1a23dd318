//! Transactions: handed in, found by hash, found by their events.

use std::collections::BTreeMap;

use bytes::Bytes;
use cosmos_sdk_proto::{
    cosmos::{
        base::abci::v1beta1::TxResponse,
        tx::v1beta1::{
            BroadcastMode, BroadcastTxRequest, BroadcastTxResponse, GetTxRequest,
            GetTxsEventRequest, OrderBy, Tx,
        },
    },
    Any,
};
use prost::Message;
use tendermint::{block::Height, Hash};
use tendermint_rpc::{endpoint, Order};
use tonic::Status;

use super::{decode, rpc_status, to_page, Engine, MAX_PAGE};

/// Longest query on events in bytes.
const MAX_QUERY: usize = 4 << 10;

/// `cosmos.tx.v1beta1.GetTxResponse` with the transaction as the bytes that it is: `TxRaw` and
/// `Tx` are one form, and reading it would lose what the Rust type lacks.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FoundTx {
    #[prost(bytes = "vec", tag = "1")]
    tx: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    tx_response: Option<TxResponse>,
}

/// `cosmos.tx.v1beta1.GetTxsEventResponse`, in the same way.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FoundTxs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    txs: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    tx_responses: Vec<TxResponse>,
    #[prost(uint64, tag = "4")]
    total: u64,
}

impl Engine {
    pub(super) async fn broadcast(&self, request: &Bytes) -> Result<BroadcastTxResponse, Status> {
        let request: BroadcastTxRequest = decode(request)?;
        let tx_response = match BroadcastMode::try_from(request.mode) {
            Ok(BroadcastMode::Sync) => {
                let sent = self.rpc.broadcast_sync(&request.tx_bytes).await;
                let sent = sent.map_err(|error| rpc_status(&error))?;
                TxResponse {
                    txhash: sent.hash.to_string(),
                    code: sent.code.value(),
                    codespace: sent.codespace,
                    raw_log: sent.log,
                    data: hex::encode_upper(&sent.data),
                    ..Default::default()
                }
            }
            Ok(BroadcastMode::Async) => {
                let sent = self.rpc.broadcast_async(&request.tx_bytes).await;
                let sent = sent.map_err(|error| rpc_status(&error))?;
                TxResponse { txhash: sent.hash.to_string(), ..Default::default() }
            }
            _ => return Err(Status::invalid_argument("mode: use SYNC or ASYNC")),
        };
        Ok(BroadcastTxResponse { tx_response: Some(tx_response) })
    }

    pub(super) async fn tx(&self, request: &Bytes) -> Result<FoundTx, Status> {
        let request: GetTxRequest = decode(request)?;
        let hash: Hash = request
            .hash
            .to_uppercase()
            .parse()
            .ok()
            .filter(|hash: &Hash| !hash.is_empty())
            .ok_or_else(|| Status::invalid_argument("hash: expected 64 hex digits"))?;
        let found = self.rpc.tx(hash).await.map_err(|error| rpc_status(&error))?;
        let header = self.header(Some(found.height)).await?;
        let tx = checked(&found.tx)?;
        let tx_response = Some(tx_response(found, header.time.to_rfc3339()));
        Ok(FoundTx { tx, tx_response })
    }

    pub(super) async fn search(&self, request: &Bytes) -> Result<FoundTxs, Status> {
        let request: GetTxsEventRequest = decode(request)?;
        let query = query_of(&request)?;
        let order = match OrderBy::try_from(request.order_by) {
            Ok(OrderBy::Desc) => Order::Descending,
            _ => Order::Ascending,
        };
        let (page, per_page) = page_of(&request)?;
        let found = self.rpc.tx_search(&query, page, per_page, order).await;
        let found = found.map_err(|error| rpc_status(&error))?;
        let mut times = BTreeMap::new();
        let mut answer = FoundTxs { total: u64::from(found.total_count), ..FoundTxs::default() };
        for tx in found.txs {
            let time = match times.get(&tx.height) {
                Some(time) => String::clone(time),
                None => self.time_of(tx.height, &mut times).await?,
            };
            answer.txs.push(checked(&tx.tx)?);
            answer.tx_responses.push(tx_response(tx, time));
        }
        Ok(answer)
    }

    async fn time_of(
        &self,
        height: Height,
        known: &mut BTreeMap<Height, String>,
    ) -> Result<String, Status> {
        let time = self.header(Some(height)).await?.time.to_rfc3339();
        known.insert(height, time.clone());
        Ok(time)
    }
}

/// The query in CometBFT's words. Older clients send its conditions one by one.
// `events` is what `query` replaced; clients of both ages are served.
#[allow(deprecated)]
pub(super) fn query_of(request: &GetTxsEventRequest) -> Result<String, Status> {
    let query = match request.query.as_str() {
        "" => request.events.join(" AND "),
        query => query.to_owned(),
    };
    if query.trim().is_empty() {
        let text = "query: expected conditions such as message.sender='stoa1…'";
        return Err(Status::invalid_argument(text));
    }
    if query.len() > MAX_QUERY {
        let text = format!("query: {} bytes; at most {MAX_QUERY} are taken", query.len());
        return Err(Status::invalid_argument(text));
    }
    Ok(query)
}

/// Page and limit, or what older clients send in their place.
#[allow(deprecated)]
pub(super) fn page_of(request: &GetTxsEventRequest) -> Result<(u32, u64), Status> {
    if request.page == 0 && request.limit == 0 {
        return to_page(request.pagination.clone());
    }
    let page = u32::try_from(request.page.max(1));
    let page = page.map_err(|_| Status::invalid_argument("page: too far"))?;
    let limit = if request.limit == 0 { MAX_PAGE } else { request.limit.min(MAX_PAGE) };
    Ok((page, limit))
}

/// The bytes of a transaction that can be read.
pub(super) fn checked(bytes: &[u8]) -> Result<Vec<u8>, Status> {
    match Tx::decode(bytes) {
        Ok(_) => Ok(bytes.to_vec()),
        Err(_) => Err(Status::internal("the transaction in the block is none of this chain's")),
    }
}

fn tx_response(found: endpoint::tx::Response, timestamp: String) -> TxResponse {
    let result = found.tx_result;
    TxResponse {
        height: found.height.into(),
        txhash: found.hash.to_string(),
        codespace: result.codespace,
        code: result.code.value(),
        data: hex::encode_upper(&result.data),
        raw_log: result.log,
        info: result.info,
        gas_wanted: result.gas_wanted,
        gas_used: result.gas_used,
        tx: Some(Any { type_url: "/cosmos.tx.v1beta1.Tx".to_owned(), value: found.tx }),
        timestamp,
        events: result.events.into_iter().map(Into::into).collect(),
        ..Default::default()
    }
}
