//! Desired state (live leases on chain and verified manifests) against what
//! the engine has: observe, compare, take the next steps. The same code runs
//! at the start, for events, and by the timer.

mod board;
mod clock;
mod closing;
mod crashes;
mod data;
mod garbage;
mod goal;
mod grace;
mod images;
mod observed;
mod order;
mod plan;
mod reconciler;
mod routes;
mod shared;
mod status;
#[cfg(test)]
mod tests;
mod watchdog;
mod work;

pub use board::Board;
pub use crashes::CrashLoop;
pub use goal::{services, Goal, ServiceGoal};
pub use images::{ImageEngine, Images};
pub use plan::{plan, Patience, Plan, Step, Verdict};
pub use reconciler::{Parts, Reconciler};
pub use watchdog::Watchdog;
