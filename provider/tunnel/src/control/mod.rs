//! How the control daemon speaks to the data plane: over a unix socket that
//! only root may open, one JSON document a line, one answer to each.

mod client;
mod server;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::overlay::{LinkStatus, OverlayListener, TunnelStatus};
use crate::routes::{RouteTable, Transport};

pub use client::{ControlClient, ControlError};
pub(crate) use server::{serve, ControlContext};

/// The longest line either way.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Replace the whole table.
    SetRoutes { table: Box<RouteTable> },
    /// How is it going?
    Status,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Response {
    /// The table is in use and on disk.
    Applied {
        generation: u64,
    },
    Status(Box<Status>),
    /// A newer table, or another one of the same generation, is in use.
    Stale {
        current: u64,
    },
    Refused {
        problem: String,
    },
}

/// The data plane's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// Where HTTP is served; port 0: nowhere.
    pub listen: SocketAddr,
    pub uptime_seconds: u64,
    /// The table's generation; 0 where there has been none.
    pub generation: u64,
    pub hosts: usize,
    pub counters: Counters,
    /// Targets whose last try failed, at most 64: their links may have
    /// restarted.
    pub failing: Vec<TargetFailure>,
    /// Ports that are listened on.
    #[serde(default)]
    pub listening: usize,
    /// Ports of the table that cannot be listened on; tried again and again.
    #[serde(default)]
    pub unbound: Vec<Unbound>,
    /// Where HTTPS is served, if it is.
    #[serde(default)]
    pub https: Option<SocketAddr>,
    /// What else of the table could not be done, in words.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Every tunnel of the table; one that several connections share once.
    #[serde(default)]
    pub tunnels: Vec<TunnelStatus>,
    /// Every link of the table.
    #[serde(default)]
    pub links: Vec<LinkStatus>,
    /// Where peers' data planes are to connect.
    #[serde(default)]
    pub overlay_listening: Vec<OverlayListener>,
}

/// A port that cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbound {
    pub transport: Transport,
    pub listen: SocketAddr,
    pub error: String,
}

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub connections: u64,
    pub connections_open: u64,
    pub requests: u64,
    /// Requests for a host that no route has.
    pub unknown_hosts: u64,
    /// Tries at an instance that failed.
    pub failed_tries: u64,
    /// Answers of the ingress itself that say 502, 503 or 504.
    pub gateway_errors: u64,
    /// Connections turned into something else (WebSocket).
    pub upgrades: u64,
    /// Connections to forwarded ports.
    #[serde(default)]
    pub forwarded: u64,
    #[serde(default)]
    pub forwarded_open: u64,
    /// UDP flows of forwarded ports.
    #[serde(default)]
    pub flows: u64,
    #[serde(default)]
    pub flows_open: u64,
    /// Connections and datagrams dropped because a limit was reached.
    #[serde(default)]
    pub over_limits: u64,
}

/// A target that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFailure {
    pub instance: String,
    pub link: String,
    pub error: String,
}
