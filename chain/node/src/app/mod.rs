//! The ABCI application: carries requests to the state machine and its answers back.
//!
//! Every decision is the state machine's. This module knows when a block's changes become
//! durable, on which state each request runs, and which signatures were verified before.

pub(crate) mod convert;
mod machine;
mod signatures;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

pub use machine::{AppOptions, Machine};

use std::sync::Arc;

use tendermint_proto::v0_38::abci::{
    response_process_proposal::ProposalStatus, RequestCheckTx, RequestFinalizeBlock, RequestInfo,
    RequestInitChain, RequestPrepareProposal, RequestProcessProposal, RequestQuery,
    ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock, ResponseInfo, ResponseInitChain,
    ResponsePrepareProposal, ResponseProcessProposal, ResponseQuery,
};
use tracing::{debug, info, warn};

use crate::{abci::Application, query::Queries};

/// What the ABCI server serves; clones share one state.
#[derive(Clone)]
pub struct App {
    machine: Arc<Machine>,
    queries: Arc<Queries>,
}

impl App {
    /// The queries on the same machine.
    pub fn queries(&self) -> &Arc<Queries> {
        &self.queries
    }

    /// The application over a machine and the queries on it.
    pub fn new(machine: Arc<Machine>, queries: Arc<Queries>) -> Self {
        Self { machine, queries }
    }
}

impl Application for App {
    fn info(&self, _: RequestInfo) -> ResponseInfo {
        let (height, app_hash) = self.machine.head();
        info!(height, "CometBFT asks where the state machine stands");
        ResponseInfo {
            data: "stoa".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            app_version: stoa_genesis::presets::APP_VERSION,
            last_block_height: convert::signed(height),
            last_block_app_hash: app_hash.into(),
        }
    }

    fn init_chain(&self, request: RequestInitChain) -> ResponseInitChain {
        let height = u64::try_from(request.initial_height).unwrap_or_default().max(1);
        let now = convert::seconds(request.time.as_ref());
        match self.machine.init_chain(&request.chain_id, height, now, &request.app_state_bytes) {
            Ok((app_hash, validators)) => ResponseInitChain {
                app_hash: app_hash.to_vec().into(),
                validators: validators.into_iter().map(convert::validator_update).collect(),
                ..Default::default()
            },
            Err(error) => machine::stop("the chain cannot begin", &error),
        }
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        convert::check(self.machine.check_tx(&request.tx))
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        let block = self.machine.block(request.height, request.time.as_ref());
        let votes = convert::extended_votes(request.local_last_commit.as_ref());
        let input = convert::input(block, &request.proposer_address, votes, &request.misbehavior);
        let max_bytes = u64::try_from(request.max_tx_bytes).unwrap_or_default();
        let txs = request.txs.into_iter().map(|tx| tx.to_vec()).collect();
        let txs = self.machine.prepare(input, txs, max_bytes);
        ResponsePrepareProposal { txs: txs.into_iter().map(Into::into).collect() }
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        let block = self.machine.block(request.height, request.time.as_ref());
        let votes = convert::votes(request.proposed_last_commit.as_ref());
        let input = convert::input(block, &request.proposer_address, votes, &request.misbehavior);
        let status = match self.machine.process(input, &request.txs) {
            Ok(()) => ProposalStatus::Accept,
            Err(reason) => {
                warn!(height = request.height, %reason, "a proposed block is rejected");
                ProposalStatus::Reject
            }
        };
        ResponseProcessProposal { status: status.into() }
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        let block = self.machine.block(request.height, request.time.as_ref());
        let votes = convert::votes(request.decided_last_commit.as_ref());
        let input = convert::input(block, &request.proposer_address, votes, &request.misbehavior);
        match self.machine.finalize(input, &request.txs) {
            Ok((result, app_hash)) => convert::block_result(result, app_hash),
            Err(error) => machine::stop("the block cannot be executed", &error),
        }
    }

    fn commit(&self) -> ResponseCommit {
        match self.machine.commit() {
            Ok(height) => {
                debug!(height, "committed");
                ResponseCommit { retain_height: convert::signed(self.machine.retain_from(height)) }
            }
            Err(error) => machine::stop("the block cannot be committed", &error),
        }
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        self.queries.answer_abci(&request)
    }
}
