//! Calls whose answer CometBFT knows: transactions, blocks, validators, the engine itself.

mod blocks;
mod info;
mod transactions;
mod validators;

#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use prost::Message;
use tendermint::block::{Header, Height};
use tokio::sync::Semaphore;
use tonic::Status;

use super::{decode, encode, status::rpc_status};
use crate::comet::Rpc;

/// Calls of the engine at a time. Each may hold a block several times: as text, read, encoded.
pub const MAX_CALLS: usize = 16;

/// Most items that CometBFT puts on a page.
const MAX_PAGE: u64 = 100;

const BROADCAST: &str = "/cosmos.tx.v1beta1.Service/BroadcastTx";
const TX: &str = "/cosmos.tx.v1beta1.Service/GetTx";
const SEARCH: &str = "/cosmos.tx.v1beta1.Service/GetTxsEvent";
const BLOCK_WITH_TXS: &str = "/cosmos.tx.v1beta1.Service/GetBlockWithTxs";
const NODE_INFO: &str = "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo";
const SYNCING: &str = "/cosmos.base.tendermint.v1beta1.Service/GetSyncing";
const LATEST_BLOCK: &str = "/cosmos.base.tendermint.v1beta1.Service/GetLatestBlock";
const BLOCK: &str = "/cosmos.base.tendermint.v1beta1.Service/GetBlockByHeight";
const LATEST_VALIDATORS: &str = "/cosmos.base.tendermint.v1beta1.Service/GetLatestValidatorSet";
const VALIDATORS: &str = "/cosmos.base.tendermint.v1beta1.Service/GetValidatorSetByHeight";

/// The paths that are the engine's.
pub const PATHS: [&str; 10] = [
    BROADCAST,
    TX,
    SEARCH,
    BLOCK_WITH_TXS,
    NODE_INFO,
    SYNCING,
    LATEST_BLOCK,
    BLOCK,
    LATEST_VALIDATORS,
    VALIDATORS,
];

/// The engine's side of the services.
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
        let answer = match path {
            BROADCAST => self.in_turn(self.broadcast(request)).await,
            TX => self.in_turn(self.tx(request)).await,
            SEARCH => self.in_turn(self.search(request)).await,
            BLOCK_WITH_TXS => self.in_turn(self.block_with_txs(request)).await,
            NODE_INFO => self.in_turn(self.node_info()).await,
            SYNCING => self.in_turn(self.syncing()).await,
            LATEST_BLOCK => self.in_turn(self.latest_block()).await,
            BLOCK => self.in_turn(self.block(request)).await,
            LATEST_VALIDATORS => self.in_turn(self.latest_validators(request)).await,
            VALIDATORS => self.in_turn(self.validators(request)).await,
            _ => return None,
        };
        Some(answer)
    }

    /// The header of the last block.
    pub async fn latest_header(&self) -> Result<Header, Status> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| Status::unavailable("the node is stopping"))?;
        self.header(None).await
    }

    async fn header(&self, height: Option<Height>) -> Result<Header, Status> {
        self.rpc.header(height).await.map_err(|error| rpc_status(&error))
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
}

fn to_height(height: i64) -> Result<Height, Status> {
    Height::try_from(height)
        .ok()
        .filter(|height| height.value() > 0)
        .ok_or_else(|| Status::invalid_argument("height: expected a positive number"))
}

/// A page as CometBFT counts them: its number from 1, and how many items one has.
fn to_page(request: Option<PageRequest>) -> Result<(u32, u64), Status> {
    let request = request.unwrap_or_default();
    if !request.key.is_empty() {
        return Err(Status::invalid_argument("pagination.key: name the page by its offset"));
    }
    let limit = if request.limit == 0 { MAX_PAGE } else { request.limit.min(MAX_PAGE) };
    if !request.offset.is_multiple_of(limit) {
        let text = format!("pagination.offset: expected a multiple of the page's {limit} items");
        return Err(Status::invalid_argument(text));
    }
    let page = u32::try_from(request.offset / limit).ok().and_then(|page| page.checked_add(1));
    let page = page.ok_or_else(|| Status::invalid_argument("pagination.offset: too far"))?;
    Ok((page, limit))
}
