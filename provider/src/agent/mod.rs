//! The agent: this machine's engine, served to the control daemon on another.
//!
//! It holds no state but its certificate and the overlay's table for its links:
//! what runs is in the engine, what should run is the daemon's to know. While
//! the daemon is away everything goes on: the relay carries what the front
//! sends, and the data plane of the links what workloads here dial. Both are
//! processes of their own, which outlive the agent.

// `tonic::Status` is what the calls must answer with, whatever its size.
#![allow(clippy::result_large_err)]

mod inside;
mod instances;
mod links;
mod relay;
mod run;
mod service;
mod settings;

pub use run::run;
pub use settings::{AgentDir, Settings};
