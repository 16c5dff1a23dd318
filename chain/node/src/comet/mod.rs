//! CometBFT: found, checked, configured, started and supervised.
//!
//! It is the unchanged consensus engine of another process. Its files in the home are its own:
//! `stoad init` sets some of its settings once, and `stoad start` passes what differs as flags.

mod binary;
mod config;
mod keys;
mod process;
mod rpc;
mod validators;

#[cfg(test)]
pub(crate) mod tests;

pub use binary::{Binary, FLAG_HINT};
pub use config::{ConsensusPace, FileSettings, P2pSettings, StateSyncSettings};
pub use keys::{NodeKey, ValidatorKey};
pub use process::{Launch, LogTarget, Supervisor};
pub use rpc::{BlockResults, EmittedEvent, ExecutedTx, Rpc, RpcError};
pub use validators::{ValidatorEntry, ValidatorPage};

use std::path::PathBuf;

/// A failure around the CometBFT process or its files.
#[derive(Debug, thiserror::Error)]
pub enum CometError {
    /// No program was found.
    #[error("no cometbft {0}: install v0.38.x, or name it by {FLAG_HINT}")]
    NotFound(String),
    /// The program found is of another line.
    #[error("{path} is CometBFT {found}, but this stoad needs 0.38.x")]
    Version {
        /// The program.
        path: PathBuf,
        /// The version that it reports.
        found: String,
    },
    /// A command of CometBFT failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// Exit status and what it said.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not in CometBFT's format.
    #[error("{path} is not in CometBFT's format: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
