//! What upgrade refuses.

use crate::error::Refusal;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No module of that name.
    #[error("no module is named {0:?}")]
    UnknownModule(String),
    /// Nothing to cancel.
    #[error("no upgrade is planned")]
    NoPlan,
    /// A plan that is wrong in itself.
    #[error("the plan's {0}")]
    InvalidPlan(String),
    /// A height at which blocks are decided already.
    #[error("the plan's height {height} is not over the present one, {now}")]
    PastHeight {
        /// The plan's.
        height: u64,
        /// The block's.
        now: u64,
    },
    /// A name that was used.
    #[error("upgrade {name:?} was applied at height {height}; give the new one another name")]
    AlreadyApplied {
        /// The name.
        name: String,
        /// When.
        height: u64,
    },
}

impl Refusal for Error {
    const CODESPACE: &'static str = "upgrade";

    // 2 and 3 as in the Cosmos SDK's `x/upgrade/types/errors.go`.
    fn code(&self) -> u32 {
        match self {
            Self::UnknownModule(_) => 2,
            Self::NoPlan => 3,
            Self::InvalidPlan(_) => 100,
            Self::PastHeight { .. } => 101,
            Self::AlreadyApplied { .. } => 102,
        }
    }
}
