//! TCP: one connection to an instance for each connection of a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Port, Shared};
use crate::reach::InstanceStream;
use crate::relay::relay;
use crate::slots::Slot;
use crate::targets::TargetSet;

/// A failing accept (no more descriptors) is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that is gone without a word is noticed after two minutes or so.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Instances tried for one connection.
const TRIES: usize = 4;

/// Serves a port until told to end; what goes through it ends with this.
pub(super) async fn serve(listener: TcpListener, port: Port) {
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < port.shared.limits.connections_per_port;
        tokio::select! {
            accepted = accept(&listener), if has_room => match accepted {
                Some((stream, peer)) => take(&mut connections, stream, peer, &port),
                None => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = port.ended() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            None
        }
    }
}

fn take(connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr, port: &Port) {
    let shared = &port.shared;
    let most = shared.limits.connections_per_client;
    let place = Arc::clone(&shared.connections).try_acquire_owned().ok();
    let slot = place.and_then(|place| Slot::take(&port.clients, peer.ip(), most, place));
    let Some(slot) = slot else {
        shared.counters.over_limits.add();
        return refuse(&stream);
    };
    connections.spawn(carry(stream, slot, port.targets(), Arc::clone(shared)));
}

/// Closes so that the client learns of it at once.
fn refuse(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn carry(client: TcpStream, _slot: Slot, targets: Arc<TargetSet>, shared: Arc<Shared>) {
    let _open = Open::count(&shared);
    let Some(workload) = dial(&targets, &shared).await else { return refuse(&client) };
    let _ = client.set_nodelay(true);
    for stream in [&client, workload.tcp()] {
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    }
    // How it ended is the two ends' affair.
    let _ = relay(client, workload, shared.limits.tcp_idle).await;
}

/// Connects to the first instance in turn that answers.
async fn dial(targets: &TargetSet, shared: &Shared) -> Option<InstanceStream> {
    for index in targets.order().into_iter().take(TRIES) {
        let target = &targets.all()[index];
        let limit = shared.limits.dial_timeout;
        match shared.reach.connect(target, limit).await {
            Ok(stream) => {
                targets.note_success(index);
                return Some(stream);
            }
            Err(error) => {
                shared.counters.failed_tries.add();
                targets.note_failure(index, &error.to_string());
                let instance = &target.instance;
                tracing::warn!(%instance, address = %target.address, %error, "a try failed");
            }
        }
    }
    None
}

/// Counted as open until dropped, however its task ends.
struct Open(Arc<Shared>);

impl Open {
    fn count(shared: &Arc<Shared>) -> Self {
        shared.counters.forwarded.add();
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.forwarded_closed.add();
    }
}
