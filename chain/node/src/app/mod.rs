//! The ABCI application: carries requests to the state machine and its answers back.
//!
//! Every decision is the state machine's. This module knows when a block's changes become
//! durable, on which state each request runs, and which signatures were verified before.

pub(crate) mod convert;
mod machine;
mod signatures;
mod state_sync;
pub(crate) mod upgrade;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

pub use machine::{AppOptions, Machine};
pub use state_sync::StateSync;

use std::{sync::Arc, time::Instant};

use stoa_chain::modules::upgrade::Due;
use tendermint_proto::v0_38::abci::{
    response_offer_snapshot::Result as Offered, response_process_proposal::ProposalStatus,
    RequestApplySnapshotChunk, RequestCheckTx, RequestFinalizeBlock, RequestInfo, RequestInitChain,
    RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal,
    RequestQuery, ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit,
    ResponseFinalizeBlock, ResponseInfo, ResponseInitChain, ResponseListSnapshots,
    ResponseLoadSnapshotChunk, ResponseOfferSnapshot, ResponsePrepareProposal,
    ResponseProcessProposal, ResponseQuery,
};
use tracing::{debug, info, warn};

use crate::{
    abci::Application,
    metrics::{self, Interface},
    query::Queries,
};

/// What the ABCI server serves; clones share one state.
#[derive(Clone)]
pub struct App {
    machine: Arc<Machine>,
    queries: Arc<Queries>,
    state_sync: Option<Arc<StateSync>>,
    on_halt: Option<Arc<dyn Fn(Due) + Send + Sync>>,
}

impl App {
    /// The queries on the same machine.
    pub fn queries(&self) -> &Arc<Queries> {
        &self.queries
    }

    /// The application over a machine and the queries on it.
    pub fn new(machine: Arc<Machine>, queries: Arc<Queries>) -> Self {
        Self { machine, queries, state_sync: None, on_halt: None }
    }

    /// With snapshots to give and to take.
    #[must_use]
    pub fn with_state_sync(mut self, state_sync: StateSync) -> Self {
        self.state_sync = Some(Arc::new(state_sync));
        self
    }

    /// What is called, once and from a thread that then waits, where the next block needs another
    /// program.
    #[must_use]
    pub fn on_halt(mut self, told: impl Fn(Due) + Send + Sync + 'static) -> Self {
        self.on_halt = Some(Arc::new(told));
        self
    }

    /// Does not return where this program must not execute the block: no answer is right then,
    /// and CometBFT waits until it is stopped.
    fn stop_if_other_program(&self, height: i64) {
        let Some(due) = self.machine.stops_before(u64::try_from(height).unwrap_or_default()) else {
            return;
        };
        match &self.on_halt {
            None => machine::stop("the block needs another program", &due),
            Some(told) => told(due),
        }
        loop {
            std::thread::park();
        }
    }

    /// First height whose block CometBFT should keep; 0: all. Who restores a snapshot needs the
    /// blocks after it.
    fn retain_from(&self, height: u64) -> u64 {
        let from = self.machine.retain_from(height);
        match self.state_sync.as_ref().and_then(|sync| sync.oldest()) {
            Some(snapshot) if from > 0 => from.min(snapshot),
            _ => from,
        }
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
        let (state, engine) = (&request.app_state_bytes, request.consensus_params);
        match self.machine.init_chain(&request.chain_id, height, now, state, engine) {
            Ok((app_hash, validators)) => ResponseInitChain {
                app_hash: app_hash.to_vec().into(),
                validators: validators.into_iter().map(convert::validator_update).collect(),
                ..Default::default()
            },
            Err(error) => machine::stop("the chain cannot begin", &error),
        }
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        let verdict = self.machine.check_tx(&request.tx);
        metrics::get().checked(verdict.is_ok());
        convert::check(verdict)
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        self.stop_if_other_program(request.height);
        let block = self.machine.block(request.height, request.time.as_ref());
        let votes = convert::extended_votes(request.local_last_commit.as_ref());
        let input = convert::input(block, &request.proposer_address, votes, &request.misbehavior);
        let max_bytes = u64::try_from(request.max_tx_bytes).unwrap_or_default();
        let txs = request.txs.into_iter().map(|tx| tx.to_vec()).collect();
        let txs = self.machine.prepare(input, txs, max_bytes);
        ResponsePrepareProposal { txs: txs.into_iter().map(Into::into).collect() }
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        self.stop_if_other_program(request.height);
        let block = self.machine.block(request.height, request.time.as_ref());
        let votes = convert::votes(request.proposed_last_commit.as_ref());
        let input = convert::input(block, &request.proposer_address, votes, &request.misbehavior);
        let status = match self.machine.process(input, &request.txs) {
            Ok(()) => {
                metrics::get().processed(true);
                ProposalStatus::Accept
            }
            Err(reason) => {
                warn!(height = request.height, %reason, "a proposed block is rejected");
                metrics::get().processed(false);
                ProposalStatus::Reject
            }
        };
        ResponseProcessProposal { status: status.into() }
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        self.stop_if_other_program(request.height);
        let block = self.machine.block(request.height, request.time.as_ref());
        let votes = convert::votes(request.decided_last_commit.as_ref());
        let input = convert::input(block, &request.proposer_address, votes, &request.misbehavior);
        let begun = Instant::now();
        match self.machine.finalize(input, &request.txs) {
            Ok((result, app_hash)) => {
                metrics::get().executed(&result, begun.elapsed());
                convert::block_result(result, app_hash)
            }
            Err(error) => machine::stop("the block cannot be executed", &error),
        }
    }

    fn commit(&self) -> ResponseCommit {
        let begun = Instant::now();
        match self.machine.commit() {
            Ok(height) => {
                debug!(height, "committed");
                metrics::get().commit_took(begun.elapsed());
                metrics::get().committed(height);
                if let Some(state_sync) = &self.state_sync {
                    state_sync.committed(height, &self.machine);
                }
                ResponseCommit { retain_height: convert::signed(self.retain_from(height)) }
            }
            Err(error) => machine::stop("the block cannot be committed", &error),
        }
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        let snapshots = self.state_sync.as_ref().map(|sync| sync.list()).unwrap_or_default();
        ResponseListSnapshots { snapshots }
    }

    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        let chunk = self.state_sync.as_ref().map(|sync| sync.load(&request)).unwrap_or_default();
        ResponseLoadSnapshotChunk { chunk: chunk.into() }
    }

    fn offer_snapshot(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        let result = self.state_sync.as_ref().map(|sync| sync.offer(&self.machine, &request));
        ResponseOfferSnapshot { result: result.unwrap_or(Offered::Abort).into() }
    }

    fn apply_snapshot_chunk(
        &self,
        request: RequestApplySnapshotChunk,
    ) -> ResponseApplySnapshotChunk {
        match &self.state_sync {
            Some(sync) => sync.apply(&self.machine, &request),
            None => ResponseApplySnapshotChunk::default(),
        }
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        let answer = self.queries.answer_abci(&request);
        metrics::get().called(Interface::Abci, answer.code == 0);
        answer
    }
}
