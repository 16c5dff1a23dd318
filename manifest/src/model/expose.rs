//! The ports that others may reach.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Endpoint, EndpointKind};
use crate::json;

/// A port that others may reach, and who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expose {
    /// Port in the container, 1..65535.
    pub port: u16,
    /// Port as seen from outside; 0 means the same.
    pub external_port: u16,
    /// Transport.
    pub proto: Proto,
    /// The service that may connect, at whatever placement; empty for none in particular.
    pub service: String,
    /// Whether the world may connect.
    pub global: bool,
    /// Host names for the shared HTTP ingress.
    pub hosts: Option<Vec<String>>,
    /// The ingress's limits.
    pub http_options: HttpOptions,
    /// Name of the leased IP, or empty.
    pub ip: String,
    /// Which leased IP, from 1; 0 for none.
    pub endpoint_sequence_number: u32,
}

impl Expose {
    /// The port as seen from outside.
    pub fn outside_port(&self) -> u16 {
        if self.external_port == 0 {
            self.port
        } else {
            self.external_port
        }
    }

    /// Whether the shared HTTP ingress serves it: TCP, global, port 80.
    pub fn is_ingress(&self) -> bool {
        self.proto == Proto::Tcp && self.global && self.outside_port() == 80
    }

    /// The endpoints that it takes: none unless global; a leased IP stands after the other.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        if !self.global {
            return Vec::new();
        }
        let kind =
            if self.is_ingress() { EndpointKind::SharedHttp } else { EndpointKind::RandomPort };
        let mut endpoints = vec![Endpoint { kind, sequence_number: 0 }];
        if !self.ip.is_empty() {
            endpoints.push(Endpoint {
                kind: EndpointKind::LeasedIp,
                sequence_number: self.endpoint_sequence_number,
            });
        }
        endpoints
    }

    /// What exposes are sorted by.
    pub(crate) fn order(&self) -> (&str, u16, Proto, bool) {
        (&self.service, self.port, self.proto, !self.global)
    }
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Proto {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// The ingress's limits for one port. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpOptions {
    /// Bytes of a request's body.
    pub max_body_size: u32,
    /// Wait for a response.
    pub read_timeout: u32,
    /// Wait for a request to be taken.
    pub send_timeout: u32,
    /// Tries at other instances.
    pub next_tries: u32,
    /// Time for those tries; 0 means no limit.
    pub next_timeout: u32,
    /// When to try another instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_cases: Vec<String>,
    /// Buffer for a response's head in bytes; 0 (left out) means the provider's default.
    #[serde(default, skip_serializing_if = "json::is_zero")]
    pub proxy_buffer_size: u32,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_body_size: 1_048_576,
            read_timeout: 60_000,
            send_timeout: 60_000,
            next_tries: 3,
            next_timeout: 0,
            next_cases: vec!["error".to_owned(), "timeout".to_owned()],
            proxy_buffer_size: 0,
        }
    }
}
