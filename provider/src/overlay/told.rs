//! What tenants and operators are told of connections.

use stoa_tunnel::control::Status as PlaneStatus;
use stoa_tunnel::overlay::{Direction, TunnelStatus};
use stoa_tunnel::routes::Transport;

/// One tunnel that has an end here.
#[derive(Debug, Clone)]
pub struct Told {
    /// The deployment's id as text.
    pub deployment: String,
    /// Which end is here. Where both are, it is told twice.
    pub direction: Direction,
    pub descriptor: String,
    pub from: ToldEnd,
    pub to: ToldEnd,
    /// The port that is dialled.
    pub port: u16,
    pub transport: Transport,
    /// Of the other end's data plane.
    pub endpoints: Vec<String>,
    /// SHA-256 of the roots, as on chain, that may vouch for the other end.
    pub peer_roots: Vec<String>,
    /// When the certificate of this end ends: Unix seconds.
    pub not_after: Option<i64>,
    /// What this end shows: DER; empty where there is none.
    pub certificate: Vec<u8>,
    /// Why there is no tunnel, in words; empty where there is one.
    pub problem: String,
    /// As the data plane has it.
    pub status: Option<TunnelStatus>,
}

/// A service of a lease.
#[derive(Debug, Clone)]
pub struct ToldEnd {
    pub lease: String,
    pub provider: String,
    pub placement: String,
    pub service: String,
}

impl Told {
    pub(super) fn with_status(mut self, plane: Option<&PlaneStatus>) -> Self {
        let mut tunnels = plane.map(|plane| plane.tunnels.iter()).into_iter().flatten();
        let found = tunnels
            .find(|one| one.descriptor == self.descriptor && one.direction == self.direction);
        self.status = found.cloned();
        self
    }
}
