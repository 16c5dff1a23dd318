//! The overlay: local workloads dial stable names in their own networks, and
//! each declared connection goes through a mutually authenticated tunnel to
//! the data plane where the other service runs.
//!
//! A table ends what it leaves out at once: a tunnel's sessions, a link's
//! ports. What it keeps stays as it is, with new credentials and endpoints for
//! what begins from then on.

mod dial;
mod dns;
mod flow;
mod frames;
mod link;
mod name;
mod pool;
mod preface;
mod relay;
mod serve;
mod sift;
mod status;
mod table;
mod tls;
mod tunnel;
mod udp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::control::TargetFailure;
use crate::forward::listen::{self as sockets, Own};
use crate::netns::Dialer;
use crate::reach::Reach;
use crate::slots::places;
use crate::targets::TargetSet;
use dial::Route;
use dns::Resolver;
use link::{Common, Links};
use serve::Serving;
use tunnel::{Tunnel, Way};

pub use dns::{host_resolvers, is_public_address};
pub use name::{tunnel_name, TUNNEL_DOMAIN};
pub use status::{Direction, LinkStatus, OverlayListener, TunnelState, TunnelStatus};
pub use table::{
    is_endpoint, Backend, Connection, Credential, Link, Name, OverlayTable, PeerRoot, Port, Served,
    TunnelId, MAX_BACKENDS, MAX_DESCRIPTOR, MAX_ENDPOINTS, MAX_LINKS, MAX_LINK_ENTRIES,
    MAX_OVERLAY_BYTES, MAX_TUNNELS,
};
pub use tls::ALPN as TUNNEL_ALPN;

/// A listener that could not be had is tried again after this.
const REBIND: Duration = Duration::from_secs(2);

/// Connections under way get so long when the process is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// The overlay as it runs.
pub(crate) struct Overlay {
    common: Arc<Common>,
    serving: Arc<Serving>,
    links: Links,
    /// Sessions that may wait.
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outgoing: HashMap<String, (Arc<Tunnel>, JoinHandle<()>)>,
    incoming: HashMap<String, Arc<Tunnel>>,
    listeners: HashMap<SocketAddr, Result<JoinHandle<()>, String>>,
}

impl Overlay {
    pub(crate) fn new(dialer: Dialer, reach: Reach) -> Self {
        let common =
            Common { dialer, routes: link::Routes::default(), resolver: Arc::new(Resolver::new()) };
        let common = Arc::new(common);
        Self {
            links: Links::new(Arc::clone(&common)),
            common,
            serving: Arc::new(Serving::new(reach)),
            places: places(pool::MOST),
            state: Mutex::default(),
        }
    }

    /// Makes the overlay that of a table.
    pub(crate) fn apply(&self, table: Option<&OverlayTable>) {
        let none = OverlayTable::default();
        let table = table.unwrap_or(&none);
        let mut state = self.state();
        let credentials: HashMap<&str, &Credential> =
            table.credentials.iter().map(|c| (c.id.as_str(), c)).collect();
        self.common.resolver.set_servers(&table.resolvers);
        self.apply_incoming(&mut state, table, &credentials);
        self.apply_outgoing(&mut state, table, &credentials);
        self.links.apply(&table.links);
        self.apply_listeners(&mut state, &table.listen);
    }

    fn apply_incoming(
        &self,
        state: &mut State,
        table: &OverlayTable,
        credentials: &HashMap<&str, &Credential>,
    ) {
        let mut kept = HashMap::new();
        for served in &table.incoming {
            let Some(credential) = credentials.get(served.credential.as_str()) else { continue };
            let name = served.tunnel.name();
            let known = state.incoming.remove(&name);
            let before = known.as_ref().and_then(|tunnel| match tunnel.current().way {
                Way::In { targets, .. } => Some(targets),
                Way::Out { .. } => None,
            });
            let targets = match before.filter(|set| set.all() == served.targets) {
                Some(same) => same,
                None => Arc::new(TargetSet::new(served.targets.clone())),
            };
            let way = Way::In { transport: served.transport, targets };
            let tunnel = match known {
                Some(tunnel) => {
                    tunnel.update(&served.tunnel, credential, way);
                    tunnel
                }
                None => Tunnel::new(Direction::Incoming, &served.tunnel, credential, way),
            };
            kept.insert(name, tunnel);
        }
        let mut found = self.serving.tunnels.write().unwrap_or_else(PoisonError::into_inner);
        found.clone_from(&kept);
        drop(found);
        for (_, gone) in std::mem::replace(&mut state.incoming, kept) {
            tracing::info!(tunnel = %gone.descriptor, "an incoming tunnel ends");
            gone.close();
        }
    }

    fn apply_outgoing(
        &self,
        state: &mut State,
        table: &OverlayTable,
        credentials: &HashMap<&str, &Credential>,
    ) {
        let mut kept: HashMap<String, (Arc<Tunnel>, JoinHandle<()>)> = HashMap::new();
        for backend in table.outgoing.iter().flat_map(|connection| &connection.backends) {
            let Some(credential) = credentials.get(backend.credential.as_str()) else { continue };
            let descriptor = &backend.tunnel.descriptor;
            if kept.contains_key(descriptor) {
                continue;
            }
            let way = Way::Out { endpoints: backend.endpoints.clone() };
            let running = match state.outgoing.remove(descriptor) {
                Some((tunnel, keeper)) => {
                    tunnel.update(&backend.tunnel, credential, way);
                    (tunnel, keeper)
                }
                None => {
                    let tunnel = Tunnel::new(Direction::Outgoing, &backend.tunnel, credential, way);
                    let keeping = pool::keep(Arc::clone(&tunnel), Arc::clone(&self.places));
                    (tunnel, tokio::spawn(keeping))
                }
            };
            kept.insert(descriptor.clone(), running);
        }
        self.set_routes(table, &kept);
        for (_, (gone, keeper)) in std::mem::replace(&mut state.outgoing, kept) {
            tracing::info!(tunnel = %gone.descriptor, "an outgoing tunnel ends");
            gone.close();
            keeper.abort();
        }
    }

    fn set_routes(
        &self,
        table: &OverlayTable,
        tunnels: &HashMap<String, (Arc<Tunnel>, JoinHandle<()>)>,
    ) {
        let mut routes = self.common.routes.write().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = HashMap::new();
        for connection in &table.outgoing {
            let found = |backend: &Backend| {
                tunnels.get(&backend.tunnel.descriptor).map(|(tunnel, _)| Arc::clone(tunnel))
            };
            let backends: Vec<_> = connection.backends.iter().filter_map(found).collect();
            let known = routes.remove(&connection.id).filter(|route| route.leads_to(&backends));
            let route = known.unwrap_or_else(|| Arc::new(Route::new(backends)));
            wanted.insert(connection.id.clone(), route);
        }
        *routes = wanted;
    }

    fn apply_listeners(&self, state: &mut State, wanted: &[SocketAddr]) {
        state.listeners.retain(|listen, listener| {
            let keep = wanted.contains(listen);
            if let (false, Ok(task)) = (keep, &*listener) {
                task.abort();
            }
            keep
        });
        for listen in wanted {
            if !matches!(state.listeners.get(listen), Some(Ok(_))) {
                let listener = self.listen(state, *listen);
                if let Err(error) = &listener {
                    let before = state.listeners.get(listen);
                    if !matches!(before, Some(Err(known)) if known == error) {
                        tracing::warn!(%listen, %error, "peers cannot connect there");
                    }
                }
                state.listeners.insert(*listen, listener);
            }
        }
    }

    fn listen(&self, state: &State, listen: SocketAddr) -> Result<JoinHandle<()>, String> {
        let same = |(other, listener): (&SocketAddr, &Result<_, _>)| {
            *other != listen && other.port() == listen.port() && listener.is_ok()
        };
        let own = if state.listeners.iter().any(same) { Own::Has } else { Own::HasNot };
        let listener = sockets::tcp(listen, own).map_err(|error| error.to_string())?;
        tracing::info!(%listen, "tunnels are served");
        Ok(tokio::spawn(serve::listen(listener, Arc::clone(&self.serving))))
    }

    /// Tries again, for ever, what could not be had.
    pub(crate) async fn keep_trying(&self) {
        loop {
            tokio::time::sleep(REBIND).await;
            let mut state = self.state();
            let failed: Vec<SocketAddr> = state.listeners.keys().copied().collect();
            self.apply_listeners(&mut state, &failed);
        }
    }

    /// Waits until nothing goes through any more, or the drain's time is over.
    pub(crate) async fn drain(&self) {
        let until = tokio::time::Instant::now() + DRAIN;
        while self.is_in_use() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn is_in_use(&self) -> bool {
        let state = self.state();
        let outgoing = state.outgoing.values().map(|(tunnel, _)| tunnel);
        outgoing.chain(state.incoming.values()).any(|tunnel| tunnel.open() > 0)
    }

    pub(crate) fn tunnels(&self) -> Vec<TunnelStatus> {
        let state = self.state();
        let outgoing = state.outgoing.values().map(|(tunnel, _)| tunnel.status());
        let incoming = state.incoming.values().map(|tunnel| tunnel.status());
        let mut all: Vec<_> = outgoing.chain(incoming).collect();
        drop(state);
        all.sort_by(|one, other| one.descriptor.cmp(&other.descriptor));
        all
    }

    pub(crate) fn links(&self) -> Vec<LinkStatus> {
        self.links.status()
    }

    pub(crate) fn listening(&self) -> Vec<OverlayListener> {
        let state = self.state();
        let all = state.listeners.iter().map(|(listen, listener)| OverlayListener {
            listen: *listen,
            error: listener.as_ref().err().cloned(),
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|listener| listener.listen);
        all
    }

    /// Targets of tunnels whose last try failed.
    pub(crate) fn failures(&self, most: usize) -> Vec<TargetFailure> {
        let mut failures = Vec::new();
        for tunnel in self.state().incoming.values() {
            if let Way::In { targets, .. } = tunnel.current().way {
                failures.extend(targets.failures().take(most.saturating_sub(failures.len())));
            }
        }
        failures
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Any bytes as what peers and workloads send; for fuzzing.
pub(crate) mod fuzzing {
    use super::{dns, frames, preface};

    pub(crate) fn names(bytes: &[u8]) {
        dns::fuzz(bytes);
    }

    pub(crate) fn preface(bytes: &[u8]) {
        if let Ok((Some(what), number)) = preface::read_ask(bytes) {
            assert_eq!(preface::ask(what, number), *bytes);
        }
        let _ = preface::read_answer(bytes);
    }

    /// The first byte says how long the pieces are.
    pub(crate) fn frames(bytes: &[u8]) {
        let Some((first, bytes)) = bytes.split_first() else { return };
        let (mut reader, mut again) = (frames::Reader::default(), Vec::new());
        for piece in bytes.chunks(usize::from(*first) + 1) {
            reader.push(piece);
            loop {
                match reader.next() {
                    Ok(Some((flow, datagram))) => {
                        assert!(frames::write(flow, datagram, &mut again));
                    }
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
        assert!(bytes.starts_with(&again));
    }
}
