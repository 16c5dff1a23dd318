//! What is told of tunnels and links.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Which end of a tunnel this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Local workloads dial.
    Outgoing,
    /// Local workloads are dialled.
    Incoming,
}

/// How a tunnel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelState {
    /// No peer has been met since the start, nor has one failed.
    Waiting,
    /// The last handshake was good.
    Up,
    /// The last try failed; `last_error` says why. Tried again and again.
    Down,
}

/// One tunnel of the table, at this end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// As in the table.
    pub descriptor: String,
    pub direction: Direction,
    pub state: TunnelState,
    /// Where the peer was met last: its endpoint of the table when outgoing,
    /// its address when incoming.
    pub endpoint: Option<String>,
    /// Of the workloads' own bytes, since the start: from the peer, and to it.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Connections (TCP) or sessions with flows (UDP).
    pub connections_open: u64,
    pub connections_total: u64,
    /// Refused handshakes and prefaces (incoming), failed tries (outgoing).
    pub failures: u64,
    /// To the peer's data plane and back, the last time it was measured.
    pub rtt_micros: Option<u64>,
    /// When this side's own certificate ends: seconds since 1970.
    pub not_after: Option<i64>,
    /// When the peer's ends, as it was shown last.
    pub peer_not_after: Option<i64>,
    pub last_error: Option<String>,
}

/// One link of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    pub instance: String,
    pub link: String,
    /// Ports and name service that are there, of `wanted`.
    pub bound: usize,
    pub wanted: usize,
    /// What is missing, and why; tried again and again.
    pub problem: Option<String>,
}

/// A place where peers are to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayListener {
    pub listen: SocketAddr,
    /// Why it is not there.
    pub error: Option<String>,
}
