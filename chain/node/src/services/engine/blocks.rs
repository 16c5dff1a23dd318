//! Blocks.

use bytes::Bytes;
use cosmos_sdk_proto::{
    cosmos::{
        base::{
            query::v1beta1::PageResponse,
            tendermint::v1beta1::{
                Block as SdkBlock, GetBlockByHeightRequest, GetBlockByHeightResponse,
                GetLatestBlockResponse, Header as SdkHeader,
            },
        },
        tx::v1beta1::GetBlockWithTxsRequest,
    },
    tendermint::types::{Block, BlockId},
};
use stoa_chain::types::ConsAddress;
use tendermint::block::Height;
use tonic::Status;

use super::{decode, rpc_status, to_height, transactions::checked, Engine, MAX_PAGE};

/// `cosmos.tx.v1beta1.GetBlockWithTxsResponse` with its transactions as the bytes that they are:
/// `TxRaw` and `Tx` are one form, and reading them would lose what the Rust type lacks.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BlockWithTxs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    txs: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    block_id: Option<BlockId>,
    #[prost(message, optional, tag = "3")]
    block: Option<Block>,
    #[prost(message, optional, tag = "4")]
    pagination: Option<PageResponse>,
}

impl Engine {
    pub(super) async fn latest_block(&self) -> Result<GetLatestBlockResponse, Status> {
        let (block_id, block) = self.fetch(None).await?;
        let sdk_block = Some(to_sdk_block(&block));
        Ok(GetLatestBlockResponse { block_id: Some(block_id), block: Some(block), sdk_block })
    }

    pub(super) async fn block(&self, request: &Bytes) -> Result<GetBlockByHeightResponse, Status> {
        let request: GetBlockByHeightRequest = decode(request)?;
        let (block_id, block) = self.fetch(Some(to_height(request.height)?)).await?;
        let sdk_block = Some(to_sdk_block(&block));
        Ok(GetBlockByHeightResponse { block_id: Some(block_id), block: Some(block), sdk_block })
    }

    /// The page's transactions, with the whole block.
    pub(super) async fn block_with_txs(&self, request: &Bytes) -> Result<BlockWithTxs, Status> {
        let request: GetBlockWithTxsRequest = decode(request)?;
        let page = request.pagination.unwrap_or_default();
        if !page.key.is_empty() {
            let text = "pagination.key: name the page by its offset";
            return Err(Status::invalid_argument(text));
        }
        let (block_id, block) = self.fetch(Some(to_height(request.height)?)).await?;
        let all = block.data.as_ref().map(|data| data.txs.as_slice()).unwrap_or_default();
        let limit = if page.limit == 0 { MAX_PAGE } else { page.limit };
        let bounded = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let txs = all.iter().skip(bounded(page.offset)).take(bounded(limit));
        let txs = txs.map(|tx| checked(tx)).collect::<Result<_, _>>()?;
        let total = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let pagination = Some(PageResponse { next_key: Vec::new(), total });
        Ok(BlockWithTxs { txs, block_id: Some(block_id), block: Some(block), pagination })
    }

    async fn fetch(&self, height: Option<Height>) -> Result<(BlockId, Block), Status> {
        let found = self.rpc.block(height).await.map_err(|error| rpc_status(&error))?;
        Ok((found.block_id.into(), found.block.into()))
    }
}

/// The same block with its proposer's address as text.
fn to_sdk_block(block: &Block) -> SdkBlock {
    let header = block.header.clone().map(|header| SdkHeader {
        proposer_address: consensus_address(&header.proposer_address),
        version: header.version,
        chain_id: header.chain_id,
        height: header.height,
        time: header.time,
        last_block_id: header.last_block_id,
        last_commit_hash: header.last_commit_hash,
        data_hash: header.data_hash,
        validators_hash: header.validators_hash,
        next_validators_hash: header.next_validators_hash,
        consensus_hash: header.consensus_hash,
        app_hash: header.app_hash,
        last_results_hash: header.last_results_hash,
        evidence_hash: header.evidence_hash,
    });
    SdkBlock {
        header,
        data: block.data.clone(),
        evidence: block.evidence.clone(),
        last_commit: block.last_commit.clone(),
    }
}

/// A validator's address as clients write it; empty where the bytes are none.
pub(super) fn consensus_address(bytes: &[u8]) -> String {
    <[u8; 20]>::try_from(bytes).map(|raw| ConsAddress::new(raw).to_string()).unwrap_or_default()
}
