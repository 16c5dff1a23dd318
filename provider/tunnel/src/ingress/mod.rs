//! The HTTP ingress: from a host name to a workload, through the workload's
//! link namespace.

mod answer;
mod body;
mod forward;
mod headers;
mod io;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use crate::counters::LiveCounters;
use crate::live::Routes;
use crate::reach::Reach;

pub(crate) use serve::serve_http;

/// Bounds on what clients may do.
#[derive(Debug, Clone, Copy)]
pub struct IngressLimits {
    /// Connections open at a time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Of these, from one address: nobody shuts the others out.
    pub connections_per_client: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    pub headers: usize,
    /// From the connection, or the last answer, to a complete request head.
    pub head_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_timeout: Duration,
    /// A client that takes no byte of its answer for so long is dropped.
    pub write_timeout: Duration,
    /// Connecting to a workload.
    pub dial_timeout: Duration,
    /// An upgraded connection without a byte either way ends.
    pub upgraded_idle: Duration,
    /// Requests under way get so long when the process is told to end.
    pub drain: Duration,
}

impl Default for IngressLimits {
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_per_client: 1024,
            head_bytes: 64 << 10,
            headers: 100,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            dial_timeout: Duration::from_secs(5),
            upgraded_idle: Duration::from_secs(3600),
            drain: Duration::from_secs(10),
        }
    }
}

/// What every request is served with.
pub(crate) struct Ingress {
    pub(crate) routes: Arc<Routes>,
    pub(crate) reach: Reach,
    pub(crate) counters: Arc<LiveCounters>,
    pub(crate) limits: IngressLimits,
}
