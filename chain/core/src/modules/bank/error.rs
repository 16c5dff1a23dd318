//! Bank's refusals; most are the SDK's own.

use crate::error::Refusal;
use crate::types::Denom;

/// Why bank refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// Governance has stopped transfers of this.
    #[error("{0} transfers are currently disabled; governance can enable them")]
    SendDisabled(Denom),
}

impl Refusal for BankError {
    const CODESPACE: &'static str = "bank";

    // Numbers of the Cosmos SDK's `x/bank/types/errors.go`.
    fn code(&self) -> u32 {
        match self {
            Self::SendDisabled(_) => 5,
        }
    }
}
