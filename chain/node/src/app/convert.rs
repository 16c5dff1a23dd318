//! From the state machine's types to ABCI's.

use stoa_chain::{
    app::{BlockResult, Checked},
    error::Failure,
    event,
    tx::TxResult,
};
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{Event, EventAttribute, ExecTxResult, ResponseCheckTx, ResponseFinalizeBlock},
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
        ..Default::default()
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
