//! What a node says of itself: `cosmos.base.node.v1beta1.Service`, and ABCI queries as a call.

use std::sync::Arc;

use bytes::Bytes;
use cosmos_sdk_proto::{
    cosmos::base::{
        node::v1beta1::{ConfigResponse, StatusResponse},
        tendermint::v1beta1::{AbciQueryRequest, AbciQueryResponse, ProofOp, ProofOps},
    },
    Timestamp,
};
use tendermint_proto::v0_38::abci::{RequestQuery, ResponseQuery};
use tonic::Status;

use super::{decode, encode, Services};

const CONFIG: &str = "/cosmos.base.node.v1beta1.Service/Config";
const STATUS: &str = "/cosmos.base.node.v1beta1.Service/Status";
const ABCI_QUERY: &str = "/cosmos.base.tendermint.v1beta1.Service/ABCIQuery";

/// The paths of this file.
pub const PATHS: [&str; 3] = [CONFIG, STATUS, ABCI_QUERY];

/// What a node's operator decided and clients need to know.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Least gas prices, as `0.025ustoa,0.01uusd`; empty: none.
    pub min_gas_prices: String,
    /// Heights whose history is kept; 0: all.
    pub retain_heights: u64,
}

impl Services {
    /// Answers the paths of this file; `None` for all others.
    pub(super) async fn node(&self, path: &str, request: &Bytes) -> Option<Result<Bytes, Status>> {
        match path {
            CONFIG => Some(encode(Ok(self.config()))),
            STATUS => Some(encode(self.node_status().await)),
            ABCI_QUERY => Some(encode(self.abci_query(request).await)),
            _ => None,
        }
    }

    fn config(&self) -> ConfigResponse {
        ConfigResponse {
            minimum_gas_price: self.facts.min_gas_prices.clone(),
            pruning_keep_recent: self.facts.retain_heights.to_string(),
            // Each block prunes a piece.
            pruning_interval: "1".to_owned(),
            halt_height: 0,
        }
    }

    async fn node_status(&self) -> Result<StatusResponse, Status> {
        let standing = self.queries.standing();
        let header = self.engine.latest_header().await?;
        Ok(StatusResponse {
            earliest_store_height: standing.oldest,
            height: standing.height,
            timestamp: Some(Timestamp {
                seconds: i64::try_from(standing.time).unwrap_or(i64::MAX),
                nanos: 0,
            }),
            app_hash: standing.app_hash,
            validator_hash: header.validators_hash.as_bytes().to_vec(),
        })
    }

    async fn abci_query(&self, request: &Bytes) -> Result<AbciQueryResponse, Status> {
        let AbciQueryRequest { data, path, height, prove } = decode(request)?;
        let request = RequestQuery { data: data.into(), path, height, prove };
        let queries = Arc::clone(&self.queries);
        let answer = self.in_background(move || queries.answer_abci(&request)).await?;
        Ok(to_answer(answer))
    }
}

fn to_answer(answer: ResponseQuery) -> AbciQueryResponse {
    let ops = |ops: tendermint_proto::v0_38::crypto::ProofOps| {
        let op = |op: tendermint_proto::v0_38::crypto::ProofOp| ProofOp {
            r#type: op.r#type,
            key: op.key,
            data: op.data,
        };
        ProofOps { ops: ops.ops.into_iter().map(op).collect() }
    };
    AbciQueryResponse {
        code: answer.code,
        log: answer.log,
        info: answer.info,
        index: answer.index,
        key: answer.key.to_vec(),
        value: answer.value.to_vec(),
        proof_ops: answer.proof_ops.map(ops),
        height: answer.height,
        codespace: answer.codespace,
    }
}
