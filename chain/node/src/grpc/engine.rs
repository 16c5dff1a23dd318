//! Calls whose answer CometBFT knows: transactions, blocks, the node itself.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use cosmos_sdk_proto::{
    cosmos::{
        base::{
            abci::v1beta1::TxResponse,
            tendermint::v1beta1::{
                GetBlockByHeightRequest, GetBlockByHeightResponse, GetLatestBlockResponse,
                GetNodeInfoResponse, GetSyncingResponse, VersionInfo,
            },
        },
        tx::v1beta1::{
            BroadcastMode, BroadcastTxRequest, BroadcastTxResponse, GetTxRequest, GetTxResponse,
            Tx, TxRaw,
        },
    },
    tendermint::p2p::DefaultNodeInfo,
    Any,
};
use prost::Message;
use tendermint::{block::Height, Hash};
use tendermint_rpc::endpoint;
use tokio::sync::Semaphore;
use tonic::Status;

use super::status::rpc_status;
use crate::comet::Rpc;

/// The Cosmos line whose interfaces are served; explorers choose their behaviour by it.
const COSMOS_SDK_VERSION: &str = "v0.50.13";

/// Calls of the engine at a time. Each may hold a block several times: as text, read, encoded.
pub const MAX_CALLS: usize = 16;

/// The engine's side of the gRPC server.
#[derive(Clone)]
pub struct Engine {
    rpc: Rpc,
    turns: Arc<Semaphore>,
}

impl Engine {
    /// Calls go to this engine.
    pub fn new(rpc: Rpc) -> Self {
        Self { rpc, turns: Arc::new(Semaphore::new(MAX_CALLS)) }
    }

    /// Answers the paths that are the engine's; `None` for all others.
    pub async fn answer(&self, path: &str, request: &Bytes) -> Option<Result<Bytes, Status>> {
        let answer = match path.strip_prefix("/cosmos.")? {
            "tx.v1beta1.Service/BroadcastTx" => self.in_turn(self.broadcast(request)).await,
            "tx.v1beta1.Service/GetTx" => self.in_turn(self.tx(request)).await,
            "base.tendermint.v1beta1.Service/GetNodeInfo" => self.in_turn(self.node_info()).await,
            "base.tendermint.v1beta1.Service/GetSyncing" => self.in_turn(self.syncing()).await,
            "base.tendermint.v1beta1.Service/GetLatestBlock" => {
                self.in_turn(self.latest_block()).await
            }
            "base.tendermint.v1beta1.Service/GetBlockByHeight" => {
                self.in_turn(self.block(request)).await
            }
            _ => return None,
        };
        Some(answer)
    }

    /// Makes a call and encodes its answer; calls beyond the limit wait for their turn.
    async fn in_turn<T: Message>(
        &self,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<Bytes, Status> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| Status::unavailable("the node is stopping"))?;
        encode(call.await)
    }

    async fn broadcast(&self, request: &Bytes) -> Result<BroadcastTxResponse, Status> {
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

    async fn tx(&self, request: &Bytes) -> Result<GetTxResponse, Status> {
        let request: GetTxRequest = decode(request)?;
        let hash: Hash = request
            .hash
            .parse()
            .ok()
            .filter(|hash: &Hash| !hash.is_empty())
            .ok_or_else(|| Status::invalid_argument("hash: expected 64 hex digits"))?;
        let found = self.rpc.tx(hash).await.map_err(|error| rpc_status(&error))?;
        let block = self.rpc.block(Some(found.height)).await;
        let block = block.map_err(|error| rpc_status(&error))?;
        let tx = full_tx(&found.tx)?;
        let tx_response = tx_response(found, &tx, block.block.header.time.to_rfc3339());
        Ok(GetTxResponse { tx: Some(tx), tx_response: Some(tx_response) })
    }

    async fn node_info(&self) -> Result<GetNodeInfoResponse, Status> {
        let node = self.rpc.status().await.map_err(|error| rpc_status(&error))?.node_info;
        let info = DefaultNodeInfo {
            default_node_id: node.id.to_string(),
            network: node.network.to_string(),
            version: node.version.to_string(),
            moniker: node.moniker.to_string(),
            ..Default::default()
        };
        let version = VersionInfo {
            name: "stoa".to_owned(),
            app_name: "stoad".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cosmos_sdk_version: COSMOS_SDK_VERSION.to_owned(),
            ..Default::default()
        };
        Ok(GetNodeInfoResponse {
            default_node_info: Some(info),
            application_version: Some(version),
        })
    }

    async fn syncing(&self) -> Result<GetSyncingResponse, Status> {
        let status = self.rpc.status().await.map_err(|error| rpc_status(&error))?;
        Ok(GetSyncingResponse { syncing: status.sync_info.catching_up })
    }

    async fn latest_block(&self) -> Result<GetLatestBlockResponse, Status> {
        let found = self.rpc.block(None).await.map_err(|error| rpc_status(&error))?;
        Ok(GetLatestBlockResponse {
            block_id: Some(found.block_id.into()),
            block: Some(found.block.into()),
            sdk_block: None,
        })
    }

    async fn block(&self, request: &Bytes) -> Result<GetBlockByHeightResponse, Status> {
        let request: GetBlockByHeightRequest = decode(request)?;
        let height = Height::try_from(request.height)
            .map_err(|_| Status::invalid_argument("height: expected a positive number"))?;
        let found = self.rpc.block(Some(height)).await.map_err(|error| rpc_status(&error))?;
        Ok(GetBlockByHeightResponse {
            block_id: Some(found.block_id.into()),
            block: Some(found.block.into()),
            sdk_block: None,
        })
    }
}

/// A transaction with its parts decoded.
fn full_tx(bytes: &[u8]) -> Result<Tx, Status> {
    let unreadable = |_| Status::internal("the transaction in the block is none of this chain's");
    let raw = TxRaw::decode(bytes).map_err(unreadable)?;
    Ok(Tx {
        body: Some(Message::decode(raw.body_bytes.as_slice()).map_err(unreadable)?),
        auth_info: Some(Message::decode(raw.auth_info_bytes.as_slice()).map_err(unreadable)?),
        signatures: raw.signatures,
    })
}

fn tx_response(found: endpoint::tx::Response, tx: &Tx, timestamp: String) -> TxResponse {
    let result = found.tx_result;
    let tx = Any { type_url: "/cosmos.tx.v1beta1.Tx".to_owned(), value: tx.encode_to_vec() };
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
        tx: Some(tx),
        timestamp,
        events: result.events.into_iter().map(Into::into).collect(),
        ..Default::default()
    }
}

fn decode<T: Message + Default>(request: &Bytes) -> Result<T, Status> {
    T::decode(request.clone())
        .map_err(|error| Status::invalid_argument(format!("the request does not decode: {error}")))
}

fn encode<T: Message>(answer: Result<T, Status>) -> Result<Bytes, Status> {
    answer.map(|answer| answer.encode_to_vec().into())
}
