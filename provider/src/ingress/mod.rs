//! The data plane from the daemon's side: a process of its own that outlives
//! the daemon, and the table of routes and ports that it is given.

mod claims;
mod forwards;
mod hosts;
mod names;
mod process;
mod push;
mod room;
mod table;

pub use hosts::generated_host;
pub use process::{tunnel_program, DataPlane};
pub use push::{Ingress, Live, Reach};
pub use table::{build, Service, Table};
