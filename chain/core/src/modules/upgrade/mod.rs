//! Upgrade: at a height that governance sets the chain goes on with another
//! program, which migrates the state.

mod genesis;

pub use genesis::{export, init, Genesis};

use crate::ctx::Ctx;
use crate::query::Router;

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Runs the migration of a plan that is due in this block.
pub fn begin_block(_ctx: &mut Ctx<'_>) {}
