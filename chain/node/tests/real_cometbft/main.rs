//! Real nodes: CometBFT makes blocks, and `stoad` lives through what happens to nodes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod governance;
mod kills;
mod node;
mod operation;
mod rest;
mod signer;
mod state_sync;
mod upgrade;
#[path = "../common/wallet.rs"]
mod wallet;
mod watch;
