//! The agent: this machine's engine, served to the control daemon on another.
//!
//! It holds no state but its certificate: what runs is in the engine, what
//! should run is the daemon's to know. While the daemon is away everything
//! goes on, and the relay (a process of its own, as the data plane is) keeps
//! carrying what the front sends.

// `tonic::Status` is what the calls must answer with, whatever its size.
#![allow(clippy::result_large_err)]

mod inside;
mod instances;
mod relay;
mod run;
mod service;
mod settings;

pub use run::run;
pub use settings::{AgentDir, Settings};
