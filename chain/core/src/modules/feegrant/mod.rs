//! Feegrant: one account pays another's fees, within an allowance.

mod genesis;

pub use genesis::{export, init, Genesis};

use crate::ctx::Ctx;
use crate::query::Router;

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Removes allowances that have expired, a bounded number a block.
pub fn end_block(_ctx: &mut Ctx<'_>) {}

/// What is wrong with the allowances.
pub fn check_invariants(_ctx: &Ctx<'_>, _broken: &mut Vec<String>) {}
