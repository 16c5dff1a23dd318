//! Consensus: what the engine enforces of blocks, evidence and validators'
//! keys, so that governance can change it.
//!
//! Owns: the parameters. The engine has a copy of them: it begins with those
//! of the genesis document, and a block that changes them tells it in its
//! answer ([`changed`]); they hold from the next block on, for both.

mod genesis;
mod keys;
mod msgs;
mod params;
mod query;
#[cfg(test)]
mod tests;

pub use genesis::{export, init, Genesis};
pub use msgs::UpdateParams;
pub use params::{
    changed, max_block_gas, params, Params, MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, MIN_BLOCK_GAS,
};
pub use query::routes;
