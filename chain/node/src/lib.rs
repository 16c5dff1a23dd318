//! The Stoa node: storage, the ABCI server and what carries the state machine between them.

pub mod abci;
pub mod comet;
pub mod home;
pub mod store;
