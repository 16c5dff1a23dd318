//! Whether this program may execute a block, and the migration that begins it.

use std::fmt;

use super::{keys, plan, state_version, Plan};
use crate::ctx::Ctx;
use crate::event::Event;

/// How a program makes its state out of the one before.
#[derive(Clone, Copy)]
pub struct Migration {
    /// Of the plan.
    pub name: &'static str,
    /// Changes records of the version before. Cannot fail.
    pub run: fn(&mut Ctx<'_>),
}

/// What a program can do: the state that it works on, and the upgrades that
/// lead there.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// Of the state.
    pub version: u64,
    /// By which a state of another version becomes one of this.
    pub migrations: &'a [Migration],
}

/// Why a program does not simply execute a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// The plan's height has come, and this program runs its migration.
    Migration(Plan),
    /// The plan's height has come, and this program does not know the plan:
    /// another one goes on from here. The node stops before the block and
    /// writes `upgrade-info.json`.
    OtherProgram(Plan),
    /// This program is the plan's, and its height has not come: the one before
    /// goes on until then.
    TooEarly(Plan),
    /// The state is of a version that is not this program's, and no plan says
    /// how one becomes the other.
    OtherState {
        /// Of the state.
        state: u64,
        /// Of the program.
        program: u64,
    },
}

impl Due {
    /// Whether the node must stop before the block.
    pub fn stops(&self) -> bool {
        !matches!(self, Self::Migration(_))
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Migration(Plan { name, height, .. }) => {
                write!(f, "upgrade {name:?} is applied at height {height}")
            }
            Self::OtherProgram(Plan { name, height, info }) => {
                write!(f, "UPGRADE {name:?} NEEDED at height {height}: {info}")
            }
            Self::TooEarly(Plan { name, height, .. }) => write!(
                f,
                "this program is the one of upgrade {name:?} at height {height}, which has not \
                 come; run the program before it until then"
            ),
            Self::OtherState { state, program } => write!(
                f,
                "the state is of version {state}, this program works on version {program}; run \
                 the program of that version"
            ),
        }
    }
}

/// What stands before the execution of the block at `height`; none: nothing.
pub fn due(ctx: &Ctx<'_>, height: u64, program: Program<'_>) -> Option<Due> {
    if let Some(plan) = plan(ctx) {
        let known = program.migrations.iter().any(|migration| migration.name == plan.name);
        match (known, height >= plan.height) {
            (true, true) => return Some(Due::Migration(plan)),
            (false, true) => return Some(Due::OtherProgram(plan)),
            (true, false) => return Some(Due::TooEarly(plan)),
            (false, false) => {}
        }
    }
    let (state, program) = (state_version(ctx), program.version);
    (state != program).then_some(Due::OtherState { state, program })
}

/// Runs the migration of a plan that is due in this block.
#[allow(clippy::panic, reason = "a program that is not this block's must not execute it")]
pub fn begin_block(ctx: &mut Ctx<'_>, program: Program<'_>) {
    match due(ctx, ctx.height(), program) {
        None => {}
        Some(Due::Migration(plan)) => apply(ctx, &plan, program),
        // The node has asked before; whoever has not stops here.
        Some(stop) => panic!("{stop}"),
    }
}

fn apply(ctx: &mut Ctx<'_>, plan: &Plan, program: Program<'_>) {
    for migration in program.migrations.iter().filter(|known| known.name == plan.name) {
        (migration.run)(ctx);
    }
    ctx.remove(keys::plan());
    let height = ctx.height();
    ctx.put(keys::applied(&plan.name), &height);
    ctx.put(keys::state_version(), &program.version);
    ctx.emit(Event::new("upgrade_applied").with("name", &plan.name).with("height", height));
}
