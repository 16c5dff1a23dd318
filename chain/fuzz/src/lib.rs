//! What the targets share: a state that the core's simulation has made, on a node's own store,
//! and transactions that are nearly what it takes.

#![cfg(feature = "fuzzing")]
#![allow(clippy::unwrap_used, reason = "a stage that cannot be built is no stage")]

#[allow(dead_code)]
#[path = "../../core/tests/simulation/certificates.rs"]
mod certificates;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/chain.rs"]
mod chain;
#[allow(dead_code)]
#[path = "../../core/tests/model/generate.rs"]
mod generate;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/grants.rs"]
mod grants;
pub mod input;
#[allow(dead_code)]
#[path = "../../core/tests/model/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/market.rs"]
mod market;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/params.rs"]
mod params;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/proposals.rs"]
mod proposals;
#[allow(dead_code, unused_imports)]
#[path = "../../core/tests/model/reference/mod.rs"]
mod reference;
#[allow(dead_code)]
#[path = "../../core/tests/model/scenario.rs"]
mod scenario;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/sim.rs"]
mod sim;
pub mod stage;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/stakes.rs"]
mod stakes;
#[allow(dead_code)]
#[path = "../../core/tests/simulation/transfers.rs"]
mod transfers;
