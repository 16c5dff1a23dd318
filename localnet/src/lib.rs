//! Whole networks on one machine: validators with their consensus engines, providers with their
//! data planes, funded keys. For development, the demo and the tests.
//!
//! [`Localnet`] is a network while it lives, [`State`] what everybody may know of it (also as
//! `localnet.json` in its directory). Processes die with who started them; containers, networks
//! and volumes are taken away when the network goes down.

mod client;
pub mod control;
pub mod demo;
pub mod engine;
mod homes;
pub mod keys;
mod network;
mod options;
mod ports;
mod process;
mod providers;
pub mod soak;
mod state;
pub mod status;
pub mod up;

pub use client::Client;
pub use network::{explain_log, take_down, Localnet};
pub use options::{
    parse_block_time, Options, Programs, ProviderOptions, DOWNTIME_WINDOW, MAX_EACH,
};
pub use ports::Ports;
pub use process::{tail, Process, Program};
pub use providers::domain;
pub use state::{FundedKey, Keys, Node, Provider, Running, State};
