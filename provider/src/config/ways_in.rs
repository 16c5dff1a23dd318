//! Where tenants' programs and browsers come in, and what the operator's
//! monitoring reads.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where tenants' programs speak to this daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub listen: SocketAddr,
    /// As tenants reach it: on chain.
    pub host_uri: String,
    #[serde(default = "default_connections")]
    pub max_connections: usize,
    /// Uploads under way at a time.
    #[serde(default = "default_uploads")]
    pub max_uploads: usize,
    /// Web pages (as origins: `https://console.example`) that may use the
    /// gateway from a browser; `*`: all.
    #[serde(default)]
    pub cors_origins: Vec<String>,
    #[serde(default)]
    pub limits: GatewayLimits,
}

/// What one client may take of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayLimits {
    /// Of one IPv4 address, or of one /64 of IPv6.
    pub connections_per_address: usize,
    /// Of one tenant; four times as many at once, and of one address.
    pub requests_per_second: u32,
    /// A TLS handshake must be done within it.
    pub handshake_seconds: u64,
    /// A request's header must be there within it.
    pub header_seconds: u64,
    /// A connection without requests is closed after it.
    pub idle_seconds: u64,
}

/// Where browsers reach workloads: the data plane, a process of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingress {
    pub listen: SocketAddr,
    /// Generated host names are under it: `<service>-<10 hex>.<domain>`.
    pub domain: String,
    /// The port that browsers use; that of `listen` unless something stands
    /// before it.
    #[serde(default)]
    pub public_port: Option<u16>,
    /// The data plane's program; the one beside this program unless set.
    #[serde(default)]
    pub tunnel_binary: Option<PathBuf>,
    /// Its control socket; in the data directory unless set.
    #[serde(default)]
    pub control: Option<PathBuf>,
    /// Its state; in the data directory unless set.
    #[serde(default)]
    pub state: Option<PathBuf>,
}

/// What monitoring reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Address of `/metrics` and of the status page; empty: none.
    pub listen: String,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            connections_per_address: 128,
            requests_per_second: 50,
            handshake_seconds: 10,
            header_seconds: 15,
            idle_seconds: 120,
        }
    }
}

fn default_connections() -> usize {
    1024
}

fn default_uploads() -> usize {
    16
}
