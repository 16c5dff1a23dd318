//! Slashing: who missed too many blocks, and who signed two for one height.
//!
//! Owns: for each validator that votes or has voted a record of when it began
//! and which of the last blocks it missed.

mod genesis;

pub use genesis::{export, init, Genesis};

use crate::ctx::Ctx;
use crate::input::BlockInput;
use crate::query::Router;
use crate::types::ConsAddress;

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Counts the votes on the last block, and punishes misbehavior.
pub fn begin_block(_ctx: &mut Ctx<'_>, _input: &BlockInput) {}

/// Hook: a validator begins to vote, for the first time or again.
pub fn after_validator_bonded(_ctx: &mut Ctx<'_>, _validator: &ConsAddress) {}

/// Hook: a validator leaves the state.
pub fn after_validator_removed(_ctx: &mut Ctx<'_>, _validator: &ConsAddress) {}

/// What is wrong with slashing's records.
pub fn check_invariants(_ctx: &Ctx<'_>, _broken: &mut Vec<String>) {}
