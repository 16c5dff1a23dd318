//! What monitoring and the operator read: counters of this process, gauges
//! that are read when they are asked for, and a page with both.

mod facts;
mod gauges;
mod meters;
mod page;
mod server;

pub use facts::{BidFacts, Facts, LeaseFacts, Sources};
pub use gauges::exposition;
pub use meters::{meters, Meters};
pub use server::serve;
