//! A transaction's effect.

use cosmos_sdk_proto::cosmos::base::abci::v1beta1::TxMsgData;
use cosmos_sdk_proto::Any;
use prost::Message as _;

use super::{decode, Msg, Tx};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::gas::Meter;
use crate::modules::auth::{admit, Admission, Signatures};
use crate::modules::consensus;

/// What a transaction came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxResult {
    /// 0: it was done.
    pub code: u32,
    /// Of the code; empty where it is 0.
    pub codespace: String,
    /// What was wrong; empty where nothing was.
    pub log: String,
    /// `TxMsgData` with a response for each message.
    pub data: Vec<u8>,
    /// The gas limit.
    pub gas_wanted: u64,
    /// What it used.
    pub gas_used: u64,
    /// What happened, each with its `msg_index` where a message did it.
    pub events: Vec<Event>,
}

impl TxResult {
    /// A refusal.
    pub fn refused(failure: &Failure, gas_wanted: u64, gas_used: u64) -> Self {
        Self {
            code: failure.code,
            codespace: failure.codespace.to_owned(),
            log: failure.message.clone(),
            gas_wanted,
            gas_used,
            ..Self::default()
        }
    }

    /// Whether it was done.
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }
}

/// Does the transaction at `index` of the block: it is admitted or changes
/// nothing; its messages are all done or none.
pub fn deliver(
    ctx: &mut Ctx<'_>,
    index: u32,
    bytes: &[u8],
    signatures: &dyn Signatures,
) -> TxResult {
    match decode(bytes, true) {
        Ok(tx) => run(ctx, index, tx, Admission::Full(signatures)).result,
        Err(failure) => TxResult::refused(&failure, 0, 0),
    }
}

/// The same for a proposal, which holds no transaction that is not admitted.
///
/// # Errors
/// Why it is not admitted; then nothing is changed.
pub fn deliver_admitted(
    ctx: &mut Ctx<'_>,
    index: u32,
    tx: Tx,
    signatures: &dyn Signatures,
) -> Result<(), String> {
    let Delivered { admitted, result, .. } = run(ctx, index, tx, Admission::Full(signatures));
    if admitted {
        return Ok(());
    }
    Err(format!("{} ({}/{})", result.log, result.codespace, result.code))
}

/// What the transaction would come to, without signature, fee and gas limit;
/// a block's gas bounds it.
pub fn simulate(ctx: &mut Ctx<'_>, bytes: &[u8]) -> Simulation {
    match decode(bytes, false) {
        Ok(tx) => {
            let Delivered { result, failure, .. } = run(ctx, 0, tx, Admission::Simulate);
            Simulation { result, failure }
        }
        Err(failure) => {
            Simulation { result: TxResult::refused(&failure, 0, 0), failure: Some(failure) }
        }
    }
}

/// What a transaction would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// Its result.
    pub result: TxResult,
    /// Why it would fail; none where it would not.
    pub failure: Option<Failure>,
}

/// A result, and whether the transaction got as far as its messages.
struct Delivered {
    admitted: bool,
    result: TxResult,
    failure: Option<Failure>,
}

fn run(ctx: &mut Ctx<'_>, index: u32, tx: Tx, admission: Admission<'_>) -> Delivered {
    let gas_wanted = tx.gas_limit;
    ctx.set_meter(match admission {
        Admission::Full(_) => Meter::with_limit(gas_wanted),
        // What no block has gas for is not worth anybody's time to find out.
        Admission::Simulate => Meter::with_limit(consensus::max_block_gas(ctx)),
    });
    debug_assert_eq!(ctx.events_so_far(), 0, "events are taken after each transaction");
    let admitted = ctx.attempt(|ctx| {
        admit(ctx, &tx, admission)?;
        check_gas(ctx)
    });
    let is_admitted = admitted.is_ok();
    let result = admitted.and_then(|()| ctx.attempt(|ctx| execute_all(ctx, index, tx.msgs)));
    let events = ctx.take_events();
    let gas_used = ctx.meter().used();
    ctx.set_meter(Meter::unlimited());
    let (result, failure) = match result {
        Ok(responses) => {
            let data = TxMsgData { msg_responses: responses, ..TxMsgData::default() };
            let data = data.encode_to_vec();
            (TxResult { data, gas_wanted, gas_used, events, ..TxResult::default() }, None)
        }
        Err(failure) => {
            let refused = TxResult::refused(&failure, gas_wanted, gas_used);
            (TxResult { events, ..refused }, Some(failure))
        }
    };
    Delivered { admitted: is_admitted, result, failure }
}

fn execute_all(ctx: &mut Ctx<'_>, index: u32, msgs: Vec<Msg>) -> Result<Vec<Any>, Failure> {
    let mut responses = Vec::with_capacity(msgs.len());
    // A message that holds others gives each its own place in time.
    let mut place = 0u32;
    for (msg_index, msg) in (0u32..).zip(msgs) {
        ctx.set_place(index, place);
        place = place.saturating_add(u32::try_from(msg.count()).unwrap_or(u32::MAX));
        let (action, signer) = (msg.type_url(), msg.signer());
        let first = ctx.events_so_far();
        ctx.emit(Event::new("message").with("action", action).with("sender", signer));
        let position = usize::try_from(msg_index).unwrap_or(usize::MAX);
        let response = msg.execute(ctx).map_err(|failure| super::decode::at(position, failure))?;
        check_gas(ctx)?;
        ctx.mark_events(first, "msg_index", msg_index);
        responses.push(response);
    }
    Ok(responses)
}

/// One message's work is bounded, so it is enough to look after each.
pub(crate) fn check_gas(ctx: &Ctx<'_>) -> Result<(), Failure> {
    let meter = ctx.meter();
    if meter.is_exhausted() {
        return Err(SdkError::OutOfGas { used: meter.used(), limit: meter.limit() }.into());
    }
    Ok(())
}
