//! The state machine on its store, from one commit to the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use stoa_chain::{
    app::{self, Beginning, BlockResult, Checked, ValidatorUpdate},
    ctx::{Block, Ctx},
    error::Failure,
    genesis::Genesis,
    input::BlockInput,
    modules::consensus,
    store::{Changes, Entries, MemoryStore, Store},
    tx::Simulation,
    types::{Denom, Rate},
};
use tendermint_proto::{google::protobuf::Timestamp, v0_38::types::ConsensusParams};
use tokio::sync::watch;

use super::{convert, signatures::SignatureCache};
use crate::store::{AppHash, Database, Snapshot, Staged, StoreError};

/// What an operator may choose without leaving consensus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppOptions {
    /// Least price of a unit of gas, in any one of these denoms; empty: none.
    pub min_gas_prices: Vec<(Denom, Rate)>,
    /// How many of the last blocks CometBFT keeps; 0: all.
    pub retain_blocks: u64,
}

/// Why a request of consensus cannot be done. All of them end the process: consensus waits for
/// an answer that this node cannot give.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The genesis document is not the state machine's.
    #[error("app_state of the genesis document: {0}")]
    Genesis(String),
    /// InitChain on a database that has blocks.
    #[error(
        "CometBFT begins the chain anew, but the database stands at height {0}; \
         use the data directory that belongs to this CometBFT"
    )]
    BegunAlready(u64),
    /// Commit without FinalizeBlock.
    #[error("a commit was asked for, but no block is executed")]
    NothingToCommit,
}

/// Ends the process: consensus cannot go on without the answer, and after a restart CometBFT
/// replays from the last committed height.
pub fn stop(context: &str, error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "{context}: the node stops here");
    std::process::abort();
}

/// The state on which everything but a block's own execution runs.
#[derive(Clone)]
pub enum Base {
    /// The last committed block.
    Committed(Snapshot),
    /// Before the first block: what the genesis document says, not durable yet.
    Genesis(Arc<MemoryStore>),
}

impl Store for Base {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Committed(snapshot) => snapshot.get(key),
            Self::Genesis(memory) => memory.get(key),
        }
    }

    fn range<'a>(&'a self, from: &[u8], to: &[u8]) -> Entries<'a> {
        match self {
            Self::Committed(snapshot) => snapshot.range(from, to),
            Self::Genesis(memory) => memory.range(from, to),
        }
    }
}

/// What stands between commits.
struct Standing {
    base: Base,
    /// Last committed block, or the genesis block.
    block: Block,
    /// Changes that CheckTx made on the base: an account's transactions follow one another.
    checked: Changes,
}

/// What consensus is working on.
#[derive(Default)]
struct Working {
    /// The genesis state, until the first block is committed with it.
    beginning: Option<Changes>,
    staged: Option<(Block, Staged)>,
}

/// One node's state machine.
pub struct Machine {
    database: Arc<Database>,
    options: AppOptions,
    signatures: SignatureCache,
    standing: Mutex<Standing>,
    working: Mutex<Working>,
    /// Height of the last commit.
    heads: watch::Sender<u64>,
}

impl Machine {
    /// The machine on a database; `chain_id` and `genesis_time` (Unix seconds) are those of the
    /// genesis document.
    pub fn new(database: Database, chain_id: &str, genesis_time: u64, options: AppOptions) -> Self {
        let snapshot = database.latest();
        let height = snapshot.height();
        let now = if height == 0 { genesis_time } else { snapshot.time() };
        let block = Block { chain_id: chain_id.to_owned(), height, now };
        let base = Base::Committed(snapshot);
        let standing = Mutex::new(Standing { base, block, checked: Changes::new() });
        let signatures = SignatureCache::default();
        let database = Arc::new(database);
        let heads = watch::Sender::new(height);
        Self { database, options, signatures, standing, working: Mutex::default(), heads }
    }

    /// Height and app hash that are durable; no hash before the first block.
    pub fn head(&self) -> (u64, Vec<u8>) {
        let snapshot = self.database.latest();
        match snapshot.height() {
            0 => (0, Vec::new()),
            height => (height, snapshot.app_hash().to_vec()),
        }
    }

    /// Tells of each commit by its height.
    pub fn heads(&self) -> watch::Receiver<u64> {
        self.heads.subscribe()
    }

    /// The block of a request, with the time floored to seconds.
    pub fn block(&self, height: i64, time: Option<&Timestamp>) -> Block {
        Block {
            chain_id: self.standing().block.chain_id.clone(),
            height: u64::try_from(height).unwrap_or_default(),
            now: convert::seconds(time),
        }
    }

    /// The state that queries see, with its block.
    pub fn view(&self) -> (Base, Block) {
        let standing = self.standing();
        (standing.base.clone(), standing.block.clone())
    }

    /// The last committed state in the database.
    pub fn latest(&self) -> Snapshot {
        self.database.latest()
    }

    /// The database.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// The chain's id.
    pub fn chain_id(&self) -> String {
        self.standing().block.chain_id.clone()
    }

    /// Goes on from what the database holds now: a state was restored into it.
    pub fn stand_on_restored(&self) {
        let snapshot = self.database.latest();
        let (height, now) = (snapshot.height(), snapshot.time());
        let block = Block { chain_id: self.chain_id(), height, now };
        *self.working() = Working::default();
        self.stand(Base::Committed(snapshot), block);
    }

    /// Begins the chain, and says who validates the first blocks; nothing is durable before the
    /// first block.
    pub fn init_chain(
        &self,
        chain_id: &str,
        initial_height: u64,
        now: u64,
        app_state: &[u8],
        engine: Option<ConsensusParams>,
    ) -> Result<(AppHash, Vec<ValidatorUpdate>), MachineError> {
        let height = self.database.height();
        if height != 0 {
            return Err(MachineError::BegunAlready(height));
        }
        let mut genesis: Genesis = serde_json::from_slice(app_state)
            .map_err(|error| MachineError::Genesis(error.to_string()))?;
        adopt(&mut genesis, engine).map_err(MachineError::Genesis)?;
        let block = Block { chain_id: chain_id.to_owned(), height: 0, now };
        let Beginning { changes, validators } =
            app::init_chain(&genesis, block.clone()).map_err(MachineError::Genesis)?;
        let app_hash = self.database.stage(initial_height, now, &changes)?.app_hash();
        let mut memory = MemoryStore::default();
        memory.apply(&changes);
        self.stand(Base::Genesis(Arc::new(memory)), block);
        *self.working() = Working { beginning: Some(changes), staged: None };
        Ok((app_hash, validators))
    }

    /// Whether a transaction may enter the pool, after those that did since the last commit.
    pub fn check_tx(&self, tx: &[u8]) -> Result<Checked, Failure> {
        let mut standing = self.standing();
        let base = standing.base.clone();
        let block = next_block(&standing.block);
        let checked = std::mem::take(&mut standing.checked);
        let mut ctx = Ctx::with_changes(&base, block, checked);
        let prices = &self.options.min_gas_prices;
        let verdict = app::check_tx(&mut ctx, tx, prices, &self.signatures);
        standing.checked = ctx.into_changes();
        verdict
    }

    /// What a transaction would come to now.
    pub fn simulate(&self, tx: &[u8]) -> Simulation {
        let (base, block) = self.view();
        app::simulate(&base, next_block(&block), tx)
    }

    /// The transactions of a block that this node proposes.
    pub fn prepare(&self, input: BlockInput, txs: Vec<Vec<u8>>, max_bytes: u64) -> Vec<Vec<u8>> {
        let (base, _) = self.view();
        app::prepare_proposal(&base, input, txs, max_bytes, &self.signatures)
    }

    /// Whether an honest proposer can have built a block.
    pub fn process(&self, input: BlockInput, txs: &[Bytes]) -> Result<(), String> {
        let (base, _) = self.view();
        self.verify_ahead(&base, &input.block, txs);
        app::process_proposal(&base, input, txs, &self.signatures)
    }

    /// Executes a decided block and computes its app hash; [`Self::commit`] makes it durable.
    pub fn finalize(
        &self,
        input: BlockInput,
        txs: &[Bytes],
    ) -> Result<(BlockResult, AppHash), MachineError> {
        let (base, _) = self.view();
        let block = input.block.clone();
        self.verify_ahead(&base, &block, txs);
        let result = app::finalize_block(&base, input, txs, &self.signatures);
        let mut working = self.working();
        let staged = match &working.beginning {
            None => self.database.stage(block.height, block.now, &result.changes)?,
            Some(changes) => {
                let mut all = changes.clone();
                all.extend(result.changes.clone());
                self.database.stage(block.height, block.now, &all)?
            }
        };
        let app_hash = staged.app_hash();
        working.staged = Some((block, staged));
        Ok((result, app_hash))
    }

    /// Makes the executed block durable and returns its height.
    pub fn commit(&self) -> Result<u64, MachineError> {
        let mut working = self.working();
        let (block, staged) = working.staged.take().ok_or(MachineError::NothingToCommit)?;
        self.database.commit(staged)?;
        working.beginning = None;
        let height = block.height;
        self.stand(Base::Committed(self.database.latest()), block);
        self.heads.send_replace(height);
        Ok(height)
    }

    /// Waits until a commit that is being made is done, and lets none begin while what is
    /// returned lives.
    #[must_use]
    pub fn hold(&self) -> impl Drop + '_ {
        self.working()
    }

    /// First height whose block CometBFT should keep; 0: all.
    pub fn retain_from(&self, height: u64) -> u64 {
        match self.options.retain_blocks {
            0 => 0,
            kept => (height + 1).saturating_sub(kept),
        }
    }

    /// Verifies a block's signatures in parallel, so that its execution finds them done.
    fn verify_ahead(&self, base: &Base, block: &Block, txs: &[Bytes]) {
        if txs.len() > 1 {
            let checks = app::signature_checks(base, block.clone(), txs);
            self.signatures.verify_all(&checks);
        }
    }

    fn stand(&self, base: Base, block: Block) {
        *self.standing() = Standing { base, block, checked: Changes::new() };
    }

    // A poisoned lock cannot be met: a panic ends the process. Tests have no such hook, and
    // what is behind the locks is replaced as a whole.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self) -> MutexGuard<'_, Working> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state begins with what the engine enforces. Where the state's document says something too,
/// it says the same.
fn adopt(genesis: &mut Genesis, engine: Option<ConsensusParams>) -> Result<(), String> {
    let Some(engine) = engine else { return Ok(()) };
    let engine = consensus::Params::try_from(engine)
        .map_err(|wrong| format!("consensus_params: {wrong}"))?;
    match genesis.consensus.params.replace(engine.clone()) {
        Some(said) if said != engine => {
            Err("consensus.params are not the document's consensus_params".to_owned())
        }
        _ => Ok(()),
    }
}

/// The block in which what is checked now can be executed at the earliest.
fn next_block(last: &Block) -> Block {
    Block { height: last.height.saturating_add(1), ..last.clone() }
}
