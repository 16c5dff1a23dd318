//! The Stoa node: storage, the ABCI server and what carries the state machine between them.

pub mod abci;
pub mod app;
pub mod cmd;
pub mod comet;
pub mod config;
pub mod grpc;
pub mod home;
mod limit;
pub mod metrics;
pub mod query;
#[cfg(debug_assertions)]
pub mod rehearsal;
pub mod rest;
pub mod services;
pub mod snapshots;
pub mod store;
pub mod watch;
