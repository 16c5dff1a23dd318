//! The provider daemon: sells a machine's capacity on Stoa's market.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`config`] | one file of settings, overridden by environment and flags |
//! | [`chain`] | what the daemon reads of the chain, and the loop that looks |
//! | [`bidding`] | eligibility, capacity, price, and bids exactly once |
//! | [`drain`] | emptying the provider |
//! | [`money`] | fetching earnings, and the ledger |
//! | [`metrics`] | what monitoring reads |
//! | [`store`] | manifests, blobs and lease records on disk, crash-safe |
//! | [`gateway`] | what tenants call, over mutually authenticated TLS |
//! | [`overlay`] | connections between workloads: who may, with whom, by which tunnel |
//! | [`peers`] | the other providers of a deployment, and connections to them |
//! | [`reconcile`] | desired state against the engine's, step by step |
//! | [`ingress`] | the data plane's process and its route table |
//! | [`runtime`] | running workloads in Docker |
//! | [`events`] | what happened to each lease, in a bounded ring |
//! | [`hosts`] | which other machines the provider has, and their certificates |
//! | [`agent`] | the runtime of another machine, served to the daemon |
//! | [`fleet`] | all machines as one runtime |
//! | [`nat`] | having the router lead the gateway's port here |
//! | [`relay`] | being reached from behind a NAT, and helping others to be |
//! | [`secrets`] | tenants' secrets, sealed on disk |
//! | [`swarm`] | manifests and blobs from other providers, and to them |
//! | [`transfers`] | how much of manifests and blobs is here, and from whom |
//! | [`daemon`] | all of them together |

pub mod agent;
pub mod bidding;
pub mod chain;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod drain;
pub mod events;
pub mod failpoint;
pub mod fleet;
pub mod gateway;
pub mod hosts;
pub mod ingress;
pub mod metrics;
pub mod money;
pub mod nat;
pub mod overlay;
pub mod peers;
pub mod reconcile;
pub mod relay;
pub mod runtime;
pub mod secrets;
pub mod shares;
pub mod store;
pub mod swarm;
#[cfg(test)]
mod tests_disk;
#[cfg(test)]
mod tests_inside;
#[cfg(test)]
mod tests_support;
pub mod transfers;
