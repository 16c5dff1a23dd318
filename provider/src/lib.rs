//! The provider daemon: sells a machine's capacity on Stoa's market.

pub mod failpoint;
pub mod runtime;
