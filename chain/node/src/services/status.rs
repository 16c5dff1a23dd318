//! Refusals as gRPC statuses.

use stoa_chain::error::Failure;
use tonic::{Code, Status};

use crate::comet::RpcError;

/// The status of a refusal; its message names codespace and code.
pub fn to_status(failure: &Failure) -> Status {
    // Numbers of codespace `sdk`, see `stoa_chain::error::SdkError`.
    let code = match (failure.codespace, failure.code) {
        ("sdk", 2 | 7 | 8 | 10 | 18) => Code::InvalidArgument,
        ("sdk", 6 | 37) => Code::Unimplemented,
        ("sdk", 9 | 38) => Code::NotFound,
        // The modules' own records that are not there.
        ("deployment", 2 | 3) | ("escrow", 2) | ("market", 2..=4) => Code::NotFound,
        _ => Code::Unknown,
    };
    Status::new(code, failure.to_string())
}

/// The status of a call to CometBFT that failed.
pub fn rpc_status(error: &RpcError) -> Status {
    let code = match error {
        RpcError::Unreachable { .. } => Code::Unavailable,
        RpcError::Refused(reason) if reason.contains("not found") => Code::NotFound,
        RpcError::Refused(_) => Code::InvalidArgument,
        RpcError::Malformed(_) | RpcError::Address(_) => Code::Internal,
    };
    Status::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use stoa_chain::{
        modules::{deployment::DeploymentError, escrow::EscrowError, market::MarketError},
        types::{Address, DeploymentId},
    };

    use super::*;

    #[test]
    fn a_record_that_is_not_there_is_not_found() {
        let id = DeploymentId { owner: Address::new([1; 20]), dseq: 7 };
        let failures: [Failure; 3] = [
            DeploymentError::NotFound(id).into(),
            EscrowError::NotFound(id).into(),
            MarketError::OrderNotFound(id.group(1).order(1)).into(),
        ];
        for failure in failures {
            assert_eq!(to_status(&failure).code(), Code::NotFound, "{failure}");
        }
    }
}
