//! The chain: who tells of it, and who signs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stoa_client::keys::Backend;

/// Which chain, and who tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Nodes of another chain are refused.
    pub id: String,
    /// CometBFT RPC addresses, in order of preference.
    pub rpc: Vec<String>,
    /// gRPC addresses, likewise.
    pub grpc: Vec<String>,
    #[serde(default = "default_gas_price")]
    pub gas_price: String,
    /// With several addresses: how many must answer, and agree, before
    /// anything is believed.
    #[serde(default = "default_answers")]
    pub min_answers: usize,
    /// A node this many blocks behind the others is not asked.
    #[serde(default = "default_lag")]
    pub max_lag_blocks: u64,
}

/// Who signs. The passphrase comes from `STOA_PASSPHRASE_FILE`,
/// `STOA_PASSPHRASE_FD` or the terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub name: String,
    pub dir: PathBuf,
    pub backend: Backend,
}

fn default_gas_price() -> String {
    stoa_client::config::DEFAULT_GAS_PRICE.into()
}

fn default_answers() -> usize {
    1
}

fn default_lag() -> u64 {
    10
}
