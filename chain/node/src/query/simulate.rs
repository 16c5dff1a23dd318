//! `cosmos.tx.v1beta1.Service/Simulate`, which clients call by gRPC and by ABCI Query.

use cosmos_sdk_proto::cosmos::{
    base::abci::v1beta1::{GasInfo, Result as MsgResult, TxMsgData},
    tx::v1beta1::{SimulateRequest, SimulateResponse},
};
use prost::Message;
use stoa_chain::{
    error::{Failure, SdkError},
    tx::{Simulation, TxResult},
};

use crate::app::{convert::to_event, Machine};

/// Where it is served.
pub const SIMULATE_PATH: &str = "/cosmos.tx.v1beta1.Service/Simulate";

/// Answers a request.
pub fn answer(machine: &Machine, data: &[u8]) -> Result<Vec<u8>, Failure> {
    let request = SimulateRequest::decode(data).map_err(|error| {
        Failure::from(SdkError::InvalidRequest(format!("the request does not decode: {error}")))
    })?;
    Ok(run(machine, &request)?.encode_to_vec())
}

/// Simulates; a transaction that would fail is refused with its failure.
pub fn run(machine: &Machine, request: &SimulateRequest) -> Result<SimulateResponse, Failure> {
    // The field `tx` is the form that the bytes replaced; old clients still send it.
    #[allow(deprecated)]
    let decoded = request.tx.as_ref().map(Message::encode_to_vec);
    let bytes = match decoded {
        Some(bytes) if request.tx_bytes.is_empty() => bytes,
        _ => request.tx_bytes.clone(),
    };
    let Simulation { result, failure } = machine.simulate(&bytes);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let gas = GasInfo { gas_wanted: result.gas_wanted, gas_used: result.gas_used };
    Ok(SimulateResponse { gas_info: Some(gas), result: Some(msg_result(result)) })
}

// `data` is what `msg_responses` replaced; clients of both ages are served.
#[allow(deprecated)]
fn msg_result(result: TxResult) -> MsgResult {
    let responses = TxMsgData::decode(result.data.as_slice()).unwrap_or_default();
    MsgResult {
        data: result.data,
        log: result.log,
        events: result.events.into_iter().map(to_event).collect(),
        msg_responses: responses.msg_responses,
    }
}
