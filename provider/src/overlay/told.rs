//! What tenants and operators are told of connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoa_tunnel::control::Status as PlaneStatus;
use stoa_tunnel::overlay::{Direction, TunnelState, TunnelStatus};
use stoa_tunnel::routes::Transport;

use crate::fleet::OverlaySaid;

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
    /// As the data planes of this provider's machines have it, together.
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
    pub(super) fn with_status(
        mut self,
        plane: Option<&PlaneStatus>,
        machines: &BTreeMap<String, Arc<OverlaySaid>>,
    ) -> Self {
        self.status = self.status_of(plane, machines);
        self
    }

    /// Services dial from whichever machine they are on: what the machines say
    /// adds up.
    pub(super) fn status_of(
        &self,
        plane: Option<&PlaneStatus>,
        machines: &BTreeMap<String, Arc<OverlaySaid>>,
    ) -> Option<TunnelStatus> {
        let of_it = |status: &PlaneStatus| {
            let mut tunnels = status.tunnels.iter();
            let same = |one: &&TunnelStatus| {
                one.descriptor == self.descriptor && one.direction == self.direction
            };
            tunnels.find(same).cloned()
        };
        let away = machines.iter().filter_map(|(host, said)| {
            let mut one = said.status.as_ref().and_then(of_it)?;
            one.last_error = one.last_error.map(|error| format!("the machine {host}: {error}"));
            Some(one)
        });
        plane.and_then(of_it).into_iter().chain(away).reduce(together)
    }
}

/// One tunnel as two machines have it. Where one finds it down, it is: what
/// runs there cannot dial.
fn together(mut one: TunnelStatus, other: TunnelStatus) -> TunnelStatus {
    let weight = |state: TunnelState| match state {
        TunnelState::Waiting => 0,
        TunnelState::Up => 1,
        TunnelState::Down => 2,
    };
    if weight(other.state) > weight(one.state) {
        one.state = other.state;
        one.last_error = other.last_error.or(one.last_error);
        one.endpoint = other.endpoint.or(one.endpoint);
    }
    one.bytes_in = one.bytes_in.saturating_add(other.bytes_in);
    one.bytes_out = one.bytes_out.saturating_add(other.bytes_out);
    one.connections_open = one.connections_open.saturating_add(other.connections_open);
    one.connections_total = one.connections_total.saturating_add(other.connections_total);
    one.failures = one.failures.saturating_add(other.failures);
    // The slower way; the certificate that ends first.
    one.rtt_micros = one.rtt_micros.max(other.rtt_micros);
    one.not_after = earlier(one.not_after, other.not_after);
    one.peer_not_after = earlier(one.peer_not_after, other.peer_not_after);
    one
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: TunnelState, bytes: u64, rtt: Option<u64>) -> TunnelStatus {
        TunnelStatus {
            descriptor: "d".into(),
            direction: Direction::Outgoing,
            state,
            endpoint: None,
            bytes_in: bytes,
            bytes_out: 2 * bytes,
            connections_open: 1,
            connections_total: 2,
            failures: 0,
            rtt_micros: rtt,
            not_after: rtt.map(|rtt| rtt as i64),
            peer_not_after: None,
            last_error: (state == TunnelState::Down).then(|| "refused".into()),
        }
    }

    #[test]
    fn a_tunnel_of_several_machines_adds_up_and_is_as_bad_as_at_the_worst() {
        let up = status(TunnelState::Up, 10, Some(70));
        let sum = together(status(TunnelState::Waiting, 1, None), up.clone());
        assert_eq!((sum.state, sum.bytes_in, sum.bytes_out), (TunnelState::Up, 11, 22));
        assert_eq!((sum.connections_open, sum.connections_total), (2, 4));
        assert_eq!((sum.rtt_micros, sum.not_after), (Some(70), Some(70)));
        let down = status(TunnelState::Down, 0, Some(50));
        for sum in [together(up.clone(), down.clone()), together(down.clone(), up.clone())] {
            assert_eq!((sum.state, sum.last_error.as_deref()), (down.state, Some("refused")));
            assert_eq!((sum.rtt_micros, sum.not_after), (Some(70), Some(50)));
        }
    }
}
