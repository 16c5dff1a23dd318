//! What the daemon reads of the chain.
//!
//! State is read by query; announcements of blocks only say when to look. An
//! error of a query means "cannot observe", and changes nothing anywhere; so
//! does a disagreement of endpoints.

mod agree;
#[cfg(test)]
pub(crate) mod fake;
mod live;
mod reads;
mod view;
mod watch;

pub use live::{LiveChain, Trust};
pub use reads::{ChainReads, Tip};
pub(crate) use view::spec_of;
pub use view::{LeaseView, Standing, View};
pub use watch::{Views, Watcher};
