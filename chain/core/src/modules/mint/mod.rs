//! Mint: new coins each block, more while less than the goal is bonded.

mod genesis;

pub use genesis::{export, init, Genesis};

use crate::ctx::Ctx;
use crate::query::Router;

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Mints this block's coins into the collected fees.
pub fn begin_block(_ctx: &mut Ctx<'_>) {}
