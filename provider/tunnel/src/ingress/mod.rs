//! The HTTP ingress: from a host name to a workload, through the workload's
//! link namespace.

mod answer;
mod body;
mod forward;
mod headers;
mod io;
mod kept;
mod serve;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tokio::sync::Semaphore;

use crate::counters::LiveCounters;
use crate::live::Routes;
use crate::reach::Reach;
use crate::slots::ClientCounts;
use crate::tls::{Challenges, Https};

pub(crate) use kept::Kept;
pub(crate) use serve::{drain, serve};

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
    /// From the connection to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// An HTTP/2 connection without a request for so long is ended.
    pub http2_idle: Duration,
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
            handshake_timeout: Duration::from_secs(10),
            http2_idle: Duration::from_secs(180),
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
    pub(crate) https: Arc<Https>,
    pub(crate) challenges: Arc<Challenges>,
    /// Of HTTP and HTTPS together.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) clients: Arc<ClientCounts>,
}

impl Ingress {
    /// Gives up connections to instances that nobody needed for a while.
    pub(crate) async fn clean(&self) {
        loop {
            tokio::time::sleep(kept::CLEAN).await;
            self.routes.current().clean();
        }
    }
}

/// A request's host, and its head as the workload gets it.
pub(crate) fn fuzz_host(mut parts: Parts, client: IpAddr) -> Option<(String, Parts)> {
    let (host, value) = headers::requested_host(&parts).ok()?;
    headers::rewrite_request(&mut parts, value, client, "http");
    Some((host, parts))
}
