//! Staking's messages.

mod cancel;
mod create;
mod delegate;
mod describe;
mod edit;
mod redelegate;
mod undelegate;
mod update_params;

pub use cancel::CancelUnbonding;
pub use create::CreateValidator;
pub use delegate::Delegate;
pub(in crate::modules::staking) use describe::check_description;
pub use edit::EditValidator;
pub use redelegate::BeginRedelegate;
pub use undelegate::Undelegate;
pub use update_params::UpdateParams;
