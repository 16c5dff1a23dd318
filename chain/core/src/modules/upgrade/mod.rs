//! Upgrade: at a height that governance sets the chain goes on with another
//! program, which migrates the state.
//!
//! Owns: the plan, the upgrades that were applied, and the version of the
//! state. All modules' records have one version together, [`STATE_VERSION`].
//!
//! A program of the new version executes no block before the plan's height,
//! one of the old version none from it on: the node asks [`due`] before each
//! block, and stops where it [`Due::stops`].

mod due;
mod error;
mod genesis;
mod keys;
mod msgs;
mod plan;
mod query;
#[cfg(test)]
mod tests;

pub use due::{Due, Migration, Program};
pub use error::Error;
pub use genesis::{export, init, Applied, Genesis};
pub use msgs::{CancelUpgrade, SoftwareUpgrade};
pub use plan::Plan;
pub use query::routes;

use std::sync::OnceLock;

use crate::ctx::Ctx;

/// Of the records that this program reads and writes. Whoever changes their
/// form raises it, and adds the migration to [`MIGRATIONS`].
pub const STATE_VERSION: u64 = 1;

/// The upgrades that this program can begin with, by their plans' names.
pub const MIGRATIONS: &[Migration] = &[];

/// This program, as it is built.
const PROGRAM: Program<'static> = Program { version: STATE_VERSION, migrations: MIGRATIONS };

/// What this process plays instead.
static REHEARSED: OnceLock<Program<'static>> = OnceLock::new();

/// Makes this process play another program, for the rehearsal of an upgrade. Before the first
/// block, and once.
pub fn rehearse(program: Program<'static>) {
    let _ = REHEARSED.set(program);
}

fn program() -> Program<'static> {
    REHEARSED.get().copied().unwrap_or(PROGRAM)
}

/// What is planned.
pub fn plan(ctx: &Ctx<'_>) -> Option<Plan> {
    ctx.get(&keys::plan())
}

/// The height at which the upgrade of that name was applied.
pub fn applied_height(ctx: &Ctx<'_>, name: &str) -> Option<u64> {
    ctx.get(&keys::applied(name))
}

/// Of the state as it stands; 1 where it was written before versions were.
pub fn state_version(ctx: &Ctx<'_>) -> u64 {
    ctx.get(&keys::state_version()).unwrap_or(1)
}

/// What stands between this program and the block at `height`, asked of the
/// state before it; none: nothing.
pub fn due(ctx: &Ctx<'_>, height: u64) -> Option<Due> {
    due::due(ctx, height, program())
}

/// Runs the migration of a plan that is due in this block.
pub fn begin_block(ctx: &mut Ctx<'_>) {
    due::begin_block(ctx, program());
}
