//! Raw values under `/store/key`, with proofs.

use prost::Message;
use stoa_chain::error::{Failure, SdkError};
use tendermint_proto::v0_38::{
    abci::{RequestQuery, ResponseQuery},
    crypto::{ProofOp, ProofOps},
};

use crate::{app::Machine, store::StoreError};

/// Type of the one proof operation: an ICS 23 commitment proof by this store's specification.
pub const PROOF_TYPE: &str = "ics23:jmt";

/// Whether a path asks for a raw value. Cosmos clients name a module's store in it; here all
/// keys share one tree.
pub fn is_store_path(path: &str) -> bool {
    path.strip_prefix("/store/")
        .is_some_and(|rest| rest == "key" || (rest.ends_with("/key") && rest.len() > 4))
}

/// Answers at the height asked for, or at the last one. The proof verifies against the app hash
/// after that block, which the next block's header carries.
pub fn answer(machine: &Machine, request: &RequestQuery) -> Result<ResponseQuery, Failure> {
    let latest = machine.latest();
    let height = match u64::try_from(request.height) {
        Ok(0) => latest.height(),
        Ok(height) => height,
        Err(_) => return Err(SdkError::InvalidRequest("a negative height".to_owned()).into()),
    };
    let (value, proof_ops) = if request.prove {
        let (value, proof) = latest.prove(height, &request.data).map_err(refuse)?;
        let key = request.data.to_vec();
        let op = ProofOp { r#type: PROOF_TYPE.to_owned(), key, data: proof.encode_to_vec() };
        (value, Some(ProofOps { ops: vec![op] }))
    } else {
        (latest.value_at(height, &request.data).map_err(refuse)?, None)
    };
    Ok(ResponseQuery {
        key: request.data.clone(),
        value: value.unwrap_or_default().into(),
        proof_ops,
        height: i64::try_from(height).unwrap_or(i64::MAX),
        ..Default::default()
    })
}

fn refuse(error: StoreError) -> Failure {
    SdkError::InvalidRequest(error.to_string()).into()
}
