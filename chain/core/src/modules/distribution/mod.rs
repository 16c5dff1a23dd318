//! Distribution: fees and new coins to validators and their delegators by F1
//! periods, exact and at a constant cost for each delegation.
//!
//! Owns: each validator's outstanding rewards, commission and periods, each
//! delegation's starting point, withdraw addresses. The community pool is
//! escrow's ([`crate::modules::escrow::add_to_pool`]).
//!
//! Source: "F1 Fee Distribution", Ojha and Tonetti, 2019.

mod genesis;

pub use genesis::{export, init, Genesis};

use crate::ctx::Ctx;
use crate::input::BlockInput;
use crate::modules::Holdings;
use crate::query::Router;
use crate::types::{Address, Dec};

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Allocates the fees collected so far to those who voted for the last block.
pub fn begin_block(_ctx: &mut Ctx<'_>, _input: &BlockInput) {}

/// Hook: a validator begins.
pub fn after_validator_created(_ctx: &mut Ctx<'_>, _validator: &Address) {}

/// Hook: a validator without delegations leaves the state; what is left of its
/// rewards goes to the community pool, its commission to its operator.
pub fn after_validator_removed(_ctx: &mut Ctx<'_>, _validator: &Address) {}

/// Hook: before a delegation is made, changed or removed. Pays what it has
/// earned so far; ends the validator's period.
pub fn before_delegation_changed(_ctx: &mut Ctx<'_>, _delegator: &Address, _validator: &Address) {}

/// Hook: after a delegation was made or changed, and not when it was removed.
pub fn after_delegation_changed(_ctx: &mut Ctx<'_>, _delegator: &Address, _validator: &Address) {}

/// Hook: before `fraction` of a validator's tokens is taken.
pub fn before_validator_slashed(_ctx: &mut Ctx<'_>, _validator: &Address, _fraction: Dec) {}

/// Adds rewards that were not withdrawn to what is held.
pub fn add_holdings(_ctx: &Ctx<'_>, _held: &mut Holdings) {}

/// What is wrong with distribution's records.
pub fn check_invariants(_ctx: &Ctx<'_>, _broken: &mut Vec<String>) {}
