//! Stoa's genesis document: CometBFT's `genesis.json` with the state machine's state in it.
//!
//! [`Document`] is the whole file, typed and read strictly; [`Gentx`] is one validator's signed
//! request to be in it; [`presets`] give the settings of a development and of a real network.
//! Nothing here touches the disk.

mod collect;
mod document;
mod error;
mod gentx;
mod numbers;
pub mod presets;
mod validate;

#[cfg(test)]
mod tests;

pub use collect::ONE_VOTE;
pub use document::{
    AbciParams, BlockParams, ConsensusParams, Document, EvidenceParams, ValidatorKeyParams,
    VersionParams,
};
pub use document::{ConsensusKey, Validator};
pub use error::GenesisError;
pub use gentx::{CommissionRates, Gentx, GentxBody, OperatorKey};
pub use presets::Preset;
pub use validate::check_chain_id;

/// The state machine's part of the document.
pub type AppState = stoa_chain::genesis::Genesis;
