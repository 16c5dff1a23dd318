//! CometBFT's RPC: calls, and a stream of blocks without gap or repeat.

mod blocks;
mod client;
mod hints;
mod types;

pub use blocks::{Block, BlockItem, Blocks, BlocksOptions};
pub use client::RpcClient;
pub use hints::Hints;
pub use types::{BlockResults, CheckTx, Header, IncludedTx, Status};
