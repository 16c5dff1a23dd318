//! TCP from a workload: each of its connections goes through a tunnel.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Common;
use crate::overlay::dial::{Ready, Route};
use crate::overlay::preface::Ask;
use crate::overlay::relay::relay;
use crate::overlay::serve::Joined;
use crate::reach::InstanceStream;

/// Connections at a time through one port of a link; more wait.
const MOST: usize = 4_096;
/// A failing accept (no more descriptors) is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a port until dropped; its connections end with it.
pub(super) async fn serve(listener: TcpListener, common: Arc<Common>, connection: String) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(carry(stream, common.route(&connection)));
                }
                Err(error) => {
                    tracing::warn!(%error, %connection, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn carry(stream: TcpStream, route: Option<Arc<Route>>) {
    let mut joined = Joined::new(InstanceStream::Here(stream));
    let Some(route) = route else { return };
    let Some(ready) = route.open(Ask::Tcp).await else { return };
    let Ready { tunnel, mut session, mut hold } = ready;
    let _open = tunnel.count();
    let ended = tokio::select! {
        biased;
        () = hold.ended() => return session.cut(),
        ended = relay(&mut joined.stream, &mut session, &tunnel.traffic) => ended,
    };
    if ended.is_ok() {
        joined.end();
    }
}
