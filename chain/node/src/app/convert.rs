//! Between the state machine's types and ABCI's.

use stoa_chain::{
    app::{self, BlockResult, Checked},
    ctx::Block,
    error::Failure,
    event,
    input::{BlockInput, Misbehavior, Vote},
    tx::TxResult,
    types::ConsAddress,
};
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::{
        abci::{
            self, CommitInfo, Event, EventAttribute, ExecTxResult, ExtendedCommitInfo,
            ResponseCheckTx, ResponseFinalizeBlock, ValidatorUpdate,
        },
        crypto::{public_key::Sum, PublicKey},
        types::BlockIdFlag,
    },
};

use crate::store::AppHash;

/// A count or height as ABCI's signed number.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Unix seconds of a header's time, floored; 0 where none is given.
pub fn seconds(time: Option<&Timestamp>) -> u64 {
    // Nanoseconds count forward from the seconds, so these are the floor.
    time.and_then(|time| u64::try_from(time.seconds).ok()).unwrap_or_default()
}

/// What consensus says of a block.
pub fn input(
    block: Block,
    proposer: &[u8],
    votes: Vec<Vote>,
    misbehavior: &[abci::Misbehavior],
) -> BlockInput {
    let misbehavior = misbehavior.iter().filter_map(|shown| {
        let validator = shown.validator.as_ref()?;
        Some(Misbehavior {
            validator: consensus_address(&validator.address)?,
            power: u64::try_from(validator.power).ok()?,
            height: u64::try_from(shown.height).ok()?,
            time: seconds(shown.time.as_ref()),
        })
    });
    BlockInput {
        block,
        proposer: consensus_address(proposer),
        votes,
        misbehavior: misbehavior.collect(),
    }
}

/// The votes of a commit.
pub fn votes(commit: Option<&CommitInfo>) -> Vec<Vote> {
    let votes = commit.into_iter().flat_map(|commit| &commit.votes);
    votes.filter_map(|vote| to_vote(vote.validator.as_ref()?, vote.block_id_flag)).collect()
}

/// The votes of a commit with their extensions, which a proposer is given.
pub fn extended_votes(commit: Option<&ExtendedCommitInfo>) -> Vec<Vote> {
    let votes = commit.into_iter().flat_map(|commit| &commit.votes);
    votes.filter_map(|vote| to_vote(vote.validator.as_ref()?, vote.block_id_flag)).collect()
}

fn to_vote(validator: &abci::Validator, flag: i32) -> Option<Vote> {
    Some(Vote {
        validator: consensus_address(&validator.address)?,
        power: u64::try_from(validator.power).ok()?,
        signed: flag == i32::from(BlockIdFlag::Commit) || flag == i32::from(BlockIdFlag::Nil),
    })
}

fn consensus_address(bytes: &[u8]) -> Option<ConsAddress> {
    bytes.try_into().ok().map(ConsAddress::new)
}

/// A validator's new voting power.
pub fn validator_update(update: app::ValidatorUpdate) -> ValidatorUpdate {
    let key = Sum::Ed25519(update.consensus_key.to_vec());
    ValidatorUpdate { pub_key: Some(PublicKey { sum: Some(key) }), power: signed(update.power) }
}

/// The answer to CheckTx.
pub fn check(verdict: Result<Checked, Failure>) -> ResponseCheckTx {
    match verdict {
        Ok(checked) => ResponseCheckTx {
            gas_wanted: signed(checked.gas_wanted),
            gas_used: signed(checked.gas_used),
            ..Default::default()
        },
        Err(failure) => ResponseCheckTx {
            code: failure.code,
            codespace: failure.codespace.to_owned(),
            log: failure.message,
            ..Default::default()
        },
    }
}

/// The answer to FinalizeBlock.
pub fn block_result(result: BlockResult, app_hash: AppHash) -> ResponseFinalizeBlock {
    ResponseFinalizeBlock {
        events: result.events.into_iter().map(to_event).collect(),
        tx_results: result.txs.into_iter().map(tx_result).collect(),
        app_hash: app_hash.to_vec().into(),
        validator_updates: result.validator_updates.into_iter().map(validator_update).collect(),
        consensus_param_updates: result.consensus_params.map(Into::into),
    }
}

/// One transaction's result.
pub fn tx_result(result: TxResult) -> ExecTxResult {
    ExecTxResult {
        code: result.code,
        data: result.data.into(),
        log: result.log,
        gas_wanted: signed(result.gas_wanted),
        gas_used: signed(result.gas_used),
        events: result.events.into_iter().map(to_event).collect(),
        codespace: result.codespace,
        ..Default::default()
    }
}

/// An event; every attribute can be searched for.
pub fn to_event(event: event::Event) -> Event {
    let attributes = event.attributes.into_iter();
    Event {
        r#type: event.kind,
        attributes: attributes
            .map(|(key, value)| EventAttribute { key, value, index: true })
            .collect(),
    }
}
