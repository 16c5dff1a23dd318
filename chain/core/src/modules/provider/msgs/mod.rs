//! Provider's messages, all signed by the owner.

mod create;
mod delete;
mod stake;
mod update;

pub use create::Create;
pub use delete::Delete;
pub use stake::{Stake, Unstake};
pub use update::Update;
