//! Typed gRPC queries, to the first of several endpoints that answers.

mod account;
mod deployment;
mod endpoints;
mod escrow;
mod gov;
mod market;
mod pages;
mod provider;
mod staking;
mod watch;

pub use account::AccountState;
pub use deployment::DeploymentView;
pub use endpoints::QueryClient;
pub use market::{BidsOf, LeaseFilter};
pub use pages::MAX_ITEMS;
pub use watch::MarketWatch;
