//! Authz: one account lets another send certain messages in its name.

mod genesis;

pub use genesis::{export, init, Genesis};

use crate::ctx::Ctx;
use crate::query::Router;

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Removes grants that have expired, a bounded number a block.
pub fn begin_block(_ctx: &mut Ctx<'_>) {}

/// What is wrong with the grants.
pub fn check_invariants(_ctx: &Ctx<'_>, _broken: &mut Vec<String>) {}
