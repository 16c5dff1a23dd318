//! Any message, as JSON.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use stoa_proto::Any;

use crate::{exit::Failure, json};

/// Messages that have no command of their own.
#[derive(Debug, Subcommand)]
pub enum RawMessage {
    /// Send messages from a JSON file: a list of {"@type": "/stoa.market.v1.MsgCreateBid", …}
    Raw { file: PathBuf },
}

impl RawMessage {
    pub fn build(self) -> Result<Vec<Any>, Failure> {
        let Self::Raw { file } = self;
        messages(&file)
    }
}

/// The messages of a file: one, or a list.
pub fn messages(file: &Path) -> Result<Vec<Any>, Failure> {
    let bad = |e: String| Failure::new(format!("{}: {e}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| bad(e.to_string()))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let list = match value {
        serde_json::Value::Array(list) => list,
        one => vec![one],
    };
    list.into_iter().map(|v| json::to_any(v).map_err(|e| bad(e.to_string()))).collect()
}
