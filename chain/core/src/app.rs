//! What the node calls: each ABCI step as a function of a committed store.

use crate::ctx::{Block, Ctx};
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::gas::Meter;
use crate::genesis::Genesis;
use crate::input::BlockInput;
use crate::modules::auth::{self, admit, Admission, SignatureCheck, Signatures};
use crate::modules::{consensus, staking};
use crate::store::{Changes, MemoryStore, Store, INDEX_SPACE};
use crate::tx::{self, Simulation, Tx, TxResult};
use crate::types::{Amount, Coins, Denom, Rate};

/// What a block came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockResult {
    /// The final value of each changed key.
    pub changes: Changes,
    /// One for each transaction.
    pub txs: Vec<TxResult>,
    /// Of the block's beginning and end.
    pub events: Vec<Event>,
    /// Whose voting power is another from the block after the next on.
    pub validator_updates: Vec<ValidatorUpdate>,
    /// What the engine enforces from the next block on, where that has changed.
    pub consensus_params: Option<consensus::Params>,
}

/// A validator's voting power for the consensus engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatorUpdate {
    /// ed25519.
    pub consensus_key: [u8; 32],
    /// 0: it validates no more.
    pub power: u64,
}

/// With what a chain begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The state at height 0.
    pub changes: Changes,
    /// Who validates the first blocks; empty where the state bonds nobody.
    pub validators: Vec<ValidatorUpdate>,
}

/// The state at height 0 and its validators.
///
/// # Errors
/// What is wrong in the genesis document.
pub fn init_chain(genesis: &Genesis, block: Block) -> Result<Beginning, String> {
    let empty = MemoryStore::default();
    let mut ctx = Ctx::new(&empty, block);
    crate::genesis::init(&mut ctx, genesis)?;
    let validators = staking::validator_set(&ctx);
    Ok(Beginning { changes: ctx.into_changes(), validators })
}

/// Executes a decided block.
pub fn finalize_block<T: AsRef<[u8]>>(
    store: &dyn Store,
    input: BlockInput,
    txs: &[T],
    signatures: &dyn Signatures,
) -> BlockResult {
    let before = consensus::params(&Ctx::new(store, input.block.clone()));
    let mut ctx = begin(store, input);
    let mut events = ctx.take_events();
    let indexed = (0u32..).zip(txs);
    let txs = indexed.map(|(i, tx)| tx::deliver(&mut ctx, i, tx.as_ref(), signatures)).collect();
    let validator_updates = crate::modules::end_block(&mut ctx);
    events.extend(ctx.take_events());
    let consensus_params = consensus::changed(&ctx, &before);
    BlockResult { changes: ctx.into_changes(), txs, events, validator_updates, consensus_params }
}

/// The block's beginning, on which its transactions are executed.
fn begin(store: &dyn Store, input: BlockInput) -> Ctx<'_> {
    let mut ctx = Ctx::new(store, input.block.clone());
    crate::modules::begin_block(&mut ctx, &input);
    ctx
}

/// CheckTx: whether a transaction may enter the pool, on a context that lives
/// from one commit to the next, so that an account's transactions can follow
/// one another. Messages are not executed.
///
/// # Errors
/// Why not.
pub fn check_tx(
    ctx: &mut Ctx<'_>,
    bytes: &[u8],
    min_gas_prices: &[(Denom, Rate)],
    signatures: &dyn Signatures,
) -> Result<Checked, Failure> {
    let tx = tx::decode(bytes, true)?;
    check_block_gas(ctx, tx.gas_limit)?;
    check_fee(&tx.fee, tx.gas_limit, min_gas_prices)?;
    ctx.set_meter(Meter::with_limit(tx.gas_limit));
    let admitted = ctx.attempt(|ctx| {
        admit(ctx, &tx, Admission::Full(signatures))?;
        tx::check_gas(ctx)
    });
    let gas_used = ctx.meter().used();
    ctx.set_meter(Meter::unlimited());
    ctx.take_events();
    admitted.map(|()| Checked { gas_wanted: tx.gas_limit, gas_used, price: gas_price(&tx) })
}

/// A transaction that may enter the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The gas limit.
    pub gas_wanted: u64,
    /// What admission used.
    pub gas_used: u64,
    /// Fee of the first denom in 10^-18 units, per unit of gas: its priority.
    pub price: u128,
}

/// PrepareProposal: of the pool's transactions in arrival order those that an
/// honest block holds, by gas price, an account's own in their order, within
/// `max_bytes` (as CometBFT counts them) and the block's gas.
///
/// Executes, so that no transaction finds its fee spent by one before it and
/// takes the block's room for nothing.
pub fn prepare_proposal(
    store: &dyn Store,
    input: BlockInput,
    txs: Vec<Vec<u8>>,
    max_bytes: u64,
    signatures: &dyn Signatures,
) -> Vec<Vec<u8>> {
    let mut ctx = begin(store, input);
    ctx.take_events();
    let mut room = Room { bytes: max_bytes, gas: consensus::max_block_gas(&ctx) };
    let mut chosen = Vec::new();
    let mut index = 0u32;
    for (tx, bytes) in by_price(txs) {
        let Some(left) = room.after(&tx) else { continue };
        if tx::deliver_admitted(&mut ctx, index, tx, signatures).is_ok() {
            room = left;
            index = index.saturating_add(1);
            chosen.push(bytes);
        }
        ctx.take_events();
    }
    chosen
}

/// ProcessProposal: whether an honest proposer can have built the block.
///
/// # Errors
/// Why not: the transaction's index and what is wrong with it.
pub fn process_proposal<T: AsRef<[u8]>>(
    store: &dyn Store,
    input: BlockInput,
    txs: &[T],
    signatures: &dyn Signatures,
) -> Result<(), String> {
    let mut ctx = begin(store, input);
    ctx.take_events();
    let mut room = Room { bytes: u64::MAX, gas: consensus::max_block_gas(&ctx) };
    for (index, bytes) in (0u32..).zip(txs) {
        let refused = |why: String| format!("transaction {index}: {why}");
        let tx = tx::decode(bytes.as_ref(), true).map_err(|why| refused(why.to_string()))?;
        room = room
            .after(&tx)
            .ok_or_else(|| format!("transaction {index} is over the block's gas"))?;
        tx::deliver_admitted(&mut ctx, index, tx, signatures).map_err(refused)?;
        ctx.take_events();
    }
    Ok(())
}

/// The signatures that a block's execution will ask for, as far as they can be
/// told beforehand, so that a node can verify them in parallel.
pub fn signature_checks<T: AsRef<[u8]>>(
    store: &dyn Store,
    block: Block,
    txs: &[T],
) -> Vec<SignatureCheck> {
    let ctx = Ctx::new(store, block);
    let decoded = txs.iter().filter_map(|bytes| tx::decode(bytes.as_ref(), true).ok());
    decoded.flat_map(|tx| auth::signature_checks(&ctx, &tx)).collect()
}

/// What a transaction would come to on the last committed state.
pub fn simulate(store: &dyn Store, block: Block, bytes: &[u8]) -> Simulation {
    tx::simulate(&mut Ctx::new(store, block), bytes)
}

/// What is wrong with the state; empty: nothing.
pub fn check_invariants(store: &dyn Store, block: Block) -> Vec<String> {
    crate::modules::check_invariants(&Ctx::new(store, block))
}

/// The state as a genesis document.
pub fn export(store: &dyn Store, block: Block) -> Genesis {
    crate::genesis::export(&Ctx::new(store, block))
}

/// The derived indexes of a state, made from its records alone: what an import of its export
/// would have. Whoever has a state from another takes its indexes from here.
///
/// # Errors
/// If the records do not come back from an export as they are.
pub fn derive_indexes(store: &dyn Store, block: Block) -> Result<Changes, String> {
    let mut derived = init_chain(&export(store, block.clone()), block)?.changes;
    let indexes = derived.split_off([INDEX_SPACE].as_slice());
    let mut records = derived.into_iter().filter_map(|(key, value)| Some((key, value?)));
    for (key, value) in store.range(&[], &[INDEX_SPACE]) {
        match records.next() {
            Some(same) if same.0 == key && same.1 == value => {}
            other => {
                let found = other.map_or_else(|| "nothing".to_owned(), |(key, _)| hex::encode(key));
                let wanted = hex::encode(key);
                return Err(format!("record {wanted} comes back from an export as {found}"));
            }
        }
    }
    match records.next() {
        None => Ok(indexes),
        Some((key, _)) => Err(format!("an export adds record {}", hex::encode(key))),
    }
}

/// What a block still has room for.
#[derive(Clone, Copy)]
struct Room {
    bytes: u64,
    gas: u64,
}

impl Room {
    /// The room left with this transaction; none where it does not fit. Bytes
    /// count as CometBFT counts them: with the field's tag and length.
    fn after(self, tx: &Tx) -> Option<Self> {
        let size = prost::encoding::encoded_len_varint(u64::try_from(tx.size).ok()?)
            .checked_add(tx.size)?
            .checked_add(1)?;
        Some(Self {
            bytes: self.bytes.checked_sub(u64::try_from(size).ok()?)?,
            gas: self.gas.checked_sub(tx.gas_limit)?,
        })
    }
}

/// Highest gas price first; arrival decides among equals, and an account's
/// transactions keep their order whatever each pays.
fn by_price(txs: Vec<Vec<u8>>) -> Vec<(Tx, Vec<u8>)> {
    let mut ranked: Vec<(u128, Tx, Vec<u8>)> = Vec::with_capacity(txs.len());
    let mut limits = std::collections::BTreeMap::new();
    for bytes in txs {
        let Ok(tx) = tx::decode(&bytes, true) else { continue };
        let mut price = gas_price(&tx);
        // An unordered transaction neither follows its signers' others nor holds them back.
        let signers = if tx.unordered { &[][..] } else { &tx.signers[..] };
        for signer in signers {
            let limit = limits.entry(signer.address).or_insert(u128::MAX);
            price = price.min(*limit);
        }
        for signer in signers {
            limits.insert(signer.address, price);
        }
        ranked.push((price, tx, bytes));
    }
    // Stable: equals stay as they arrived.
    ranked.sort_by_key(|(price, _, _)| std::cmp::Reverse(*price));
    ranked.into_iter().map(|(_, tx, bytes)| (tx, bytes)).collect()
}

fn gas_price(tx: &Tx) -> u128 {
    let fee = tx.fee.iter().next().map_or(Amount::ZERO, |coin| coin.amount);
    fee.to_fine().raw().checked_div(u128::from(tx.gas_limit)).unwrap_or_default()
}

fn check_block_gas(ctx: &Ctx<'_>, gas_limit: u64) -> Result<(), SdkError> {
    let most = consensus::max_block_gas(ctx);
    if gas_limit > most {
        return Err(SdkError::InvalidRequest(format!(
            "gas limit {gas_limit} is over a block's {most}"
        )));
    }
    Ok(())
}

/// A node's own condition on what it takes into its pool.
fn check_fee(fee: &Coins, gas_limit: u64, prices: &[(Denom, Rate)]) -> Result<(), SdkError> {
    let needed = |price: Rate| price.over(gas_limit).ceil();
    let suffices = |(denom, price): &(_, _)| fee.of(denom) >= needed(*price);
    if prices.is_empty() || prices.iter().any(suffices) {
        return Ok(());
    }
    let wanted: Vec<String> =
        prices.iter().map(|(denom, price)| format!("{}{denom}", needed(*price))).collect();
    Err(SdkError::InsufficientFee(format!(
        "got: {fee}; required for {gas_limit} gas: {}",
        wanted.join(" or ")
    )))
}
