//! What a tenant is told of the connections between its services.

use std::time::Duration;

use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::{
    Connection, ConnectionEnd, ConnectionState, ConnectionsResponse,
};
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_tunnel::overlay::{Direction, TunnelState};
use tonic::Status;

use super::caller::Caller;
use super::leases::own_deployment;
use super::Context;
use crate::ingress::DataPlane;
use crate::overlay::{Told, ToldEnd};

/// How long the data plane may take to say how its tunnels are.
const PLANE: Duration = Duration::from_secs(2);

/// The tunnels of the caller's deployment that have an end here.
pub(super) async fn of(
    context: &Context,
    caller: &Caller,
    id: Option<DeploymentId>,
) -> Result<ConnectionsResponse, Status> {
    let id = own_deployment(id, caller)?;
    // What it said last is seconds old; where it does not answer, that stands.
    let plane = DataPlane::new(&context.config);
    if let Ok(Ok(status)) = tokio::time::timeout(PLANE, plane.client().status()).await {
        context.overlay.note_plane(&status);
    }
    let told = context.overlay.told(&id.text());
    let mut connections: Vec<Connection> = told.into_iter().map(connection).collect();
    connections.sort_by(|a, b| (&a.name, a.incoming).cmp(&(&b.name, b.incoming)));
    Ok(ConnectionsResponse { connections })
}

fn connection(told: Told) -> Connection {
    let mut answer = Connection {
        name: told.descriptor,
        incoming: told.direction == Direction::Incoming,
        from: Some(end(told.from)),
        to: Some(end(told.to)),
        port: told.port.into(),
        transport: told.transport.to_string(),
        message: told.problem,
        endpoints: told.endpoints,
        not_after: told.not_after.unwrap_or(0),
        peer_roots: told.peer_roots,
        certificate: told.certificate,
        ..Connection::default()
    };
    answer.set_state(ConnectionState::Waiting);
    let Some(status) = told.status else { return answer };
    answer.set_state(match status.state {
        TunnelState::Waiting => ConnectionState::Waiting,
        TunnelState::Up => ConnectionState::Up,
        TunnelState::Down => ConnectionState::Down,
    });
    if let Some(error) = status.last_error.filter(|_| status.state == TunnelState::Down) {
        answer.message = error;
    }
    answer.met = status.endpoint.unwrap_or_default();
    (answer.bytes_in, answer.bytes_out) = (status.bytes_in, status.bytes_out);
    answer.connections_open = status.connections_open;
    answer.connections_total = status.connections_total;
    answer.failures = status.failures;
    answer.rtt_micros = status.rtt_micros.unwrap_or(0);
    answer.not_after = status.not_after.unwrap_or(answer.not_after);
    answer.peer_not_after = status.peer_not_after.unwrap_or(0);
    answer
}

fn end(told: ToldEnd) -> ConnectionEnd {
    let ToldEnd { lease, placement, service, .. } = told;
    ConnectionEnd { lease: BidId::parse(&lease).ok(), placement, service }
}
