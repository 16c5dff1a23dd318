//! Manifests and blobs from the deployment's other providers, and to them:
//! what the tenant gave to one of them reaches all.
//!
//! Who takes part is what the chain says: providers with a live lease of the
//! deployment fetch and serve, those whose lease closed a day ago at most serve
//! only. What comes is verified against the chain before it counts.

mod fetcher;
mod members;
mod meters;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use stoa_swarm::{Limits, Swarm};

pub use fetcher::{Fetcher, FetcherParts};
pub use members::{Members, Parts as MembersParts};
pub use meters::SwarmMeters;
pub use service::SwarmService;

/// The engine with this provider's members.
pub fn engine(own: &str, members: &Arc<Members>) -> Swarm {
    let dial = Arc::clone(members);
    Swarm::new(own, Limits::default(), Arc::clone(members) as _, dial as _)
}
