//! Provider's messages, signed by the owner, but for governance's.

mod create;
mod delete;
mod jail;
mod stake;
mod update;

pub use create::Create;
pub use delete::Delete;
pub use jail::SetJailed;
pub use stake::{Stake, Unstake};
pub use update::Update;
