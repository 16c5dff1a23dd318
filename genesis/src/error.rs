//! What can be wrong with a genesis document or a genesis transaction.

/// A refusal, in words for who wrote the file.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The text is not JSON of this shape.
    #[error("not a genesis document: {0}")]
    Json(#[from] serde_json::Error),
    /// A field has a value that it may not have.
    #[error("{field}: {reason}")]
    Field {
        /// Path of the field.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The state machine refuses its part.
    #[error("app_state: {0}")]
    State(String),
    /// A genesis transaction cannot be taken.
    #[error("genesis transaction of {moniker:?}: {reason}")]
    Gentx {
        /// Who made it, as it says.
        moniker: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl GenesisError {
    pub(crate) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }
}
