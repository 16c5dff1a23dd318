//! Links: the ports and the name service in the network namespaces beside
//! local workloads.
//!
//! Each link has a task of its own, so that a broken one holds up no other. It
//! binds what the table wants, looks whether the namespace is still the one
//! that it bound in, and binds again where it is another.

mod bind;
mod netlink;
mod tcp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::dial::Route;
use super::dns::{self, Names, Resolver};
use super::status::LinkStatus;
use super::table::{Link, Port};
use super::udp;
use crate::netns::{Dialer, Identity};
use crate::routes::Transport;
use bind::{Binding, Bound};

/// How often a namespace is looked at, and what is missing tried again.
const LOOK: Duration = Duration::from_millis(500);

/// Routes by connection id; the same for all links.
pub(super) type Routes = RwLock<HashMap<String, Arc<Route>>>;

/// What all links use.
pub(super) struct Common {
    pub(super) dialer: Dialer,
    pub(super) routes: Routes,
    pub(super) resolver: Arc<Resolver>,
}

impl Common {
    /// What a connection's id leads to now.
    pub(super) fn route(&self, connection: &str) -> Option<Arc<Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).get(connection).cloned()
    }
}

/// All links of the table in use.
pub(super) struct Links {
    common: Arc<Common>,
    running: Mutex<HashMap<String, Running>>,
}

struct Running {
    wanted: watch::Sender<Arc<Link>>,
    status: Arc<Mutex<LinkStatus>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    pub(super) fn new(common: Arc<Common>) -> Self {
        Self { common, running: Mutex::default() }
    }

    /// Makes the links those of a table.
    pub(super) fn apply(&self, links: &[Link]) {
        let mut running = self.running();
        let wanted: HashMap<&str, &Link> = links.iter().map(|l| (l.link.as_str(), l)).collect();
        running.retain(|link, _| wanted.contains_key(link.as_str()));
        for (name, link) in wanted {
            match running.get(name) {
                Some(known) => {
                    known.wanted.send_if_modified(|current| {
                        let changed = **current != *link;
                        if changed {
                            *current = Arc::new(link.clone());
                        }
                        changed
                    });
                }
                None => {
                    running.insert(name.to_owned(), self.begin(link));
                }
            }
        }
    }

    fn begin(&self, link: &Link) -> Running {
        let status = LinkStatus {
            instance: link.instance.clone(),
            link: link.link.clone(),
            bound: 0,
            wanted: link.ports.len() + 2,
            problem: None,
        };
        let status = Arc::new(Mutex::new(status));
        let (wanted, watched) = watch::channel(Arc::new(link.clone()));
        let keeper = Keeper {
            common: Arc::clone(&self.common),
            names: Arc::new(Names::default()),
            status: Arc::clone(&status),
            namespace: None,
            serving: HashMap::new(),
        };
        Running { wanted, status, task: tokio::spawn(keeper.keep(watched)) }
    }

    pub(super) fn status(&self) -> Vec<LinkStatus> {
        let read = |running: &Running| {
            running.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let mut all: Vec<LinkStatus> = self.running().values().map(read).collect();
        all.sort_by(|one, other| one.link.cmp(&other.link));
        all
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is bound in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Port { transport: Transport, address: SocketAddr, connection: String },
    NamesUdp(SocketAddr),
    NamesTcp(SocketAddr),
}

/// Looks after one link.
struct Keeper {
    common: Arc<Common>,
    names: Arc<Names>,
    status: Arc<Mutex<LinkStatus>>,
    /// The one that `serving` is bound in.
    namespace: Option<Identity>,
    serving: HashMap<Place, Serving>,
}

/// A bound place; what goes through it ends with this.
struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    async fn keep(mut self, mut wanted: watch::Receiver<Arc<Link>>) {
        loop {
            let link = Arc::clone(&wanted.borrow_and_update());
            self.names.set(&link);
            let problem = self.settle(&link).await;
            self.tell(&link, problem);
            loop {
                tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(LOOK) => if !self.is_settled(&link) { break },
                }
            }
        }
    }

    /// Whether all is bound, in the namespace that is there now.
    fn is_settled(&self, link: &Link) -> bool {
        self.namespace.is_some()
            && Identity::of(&link.netns).ok() == self.namespace
            && places(link).iter().all(|place| self.serves(place))
    }

    fn serves(&self, place: &Place) -> bool {
        self.serving.get(place).is_some_and(|serving| !serving.0.is_finished())
    }

    /// Binds what is missing and gives up what is not wanted. Says what could
    /// not be had.
    async fn settle(&mut self, link: &Link) -> Option<String> {
        let namespace = match Identity::of(&link.netns) {
            Ok(namespace) => namespace,
            Err(error) => {
                self.leave();
                return Some(format!("its namespace {}: {error}", link.netns.display()));
            }
        };
        if self.namespace.is_some_and(|before| before != namespace) {
            self.leave();
        }
        let wanted = places(link);
        self.serving.retain(|place, serving| wanted.contains(place) && !serving.0.is_finished());
        let missing: Vec<Place> =
            wanted.into_iter().filter(|place| !self.serving.contains_key(place)).collect();
        let binding = Binding {
            address: link.dns.ip(),
            prefix: link.prefix,
            virtual_addresses: link.addresses(),
            places: missing,
        };
        let bound = self.common.dialer.inside(&link.netns, move || bind::bind(&binding)).await;
        let bound = match bound {
            Ok(bound) => bound,
            Err(error) => return Some(error.to_string()),
        };
        // Between the look and the binding it may have become another.
        self.namespace = Some(bound.namespace);
        let mut problem = bound.problem;
        for (place, result) in bound.places {
            match result.and_then(|socket| self.serve(&place, socket)) {
                Ok(serving) => drop(self.serving.insert(place, serving)),
                Err(error) => problem = Some(format!("{place}: {error}")),
            }
        }
        problem
    }

    fn leave(&mut self) {
        self.serving.clear();
        self.namespace = None;
    }

    fn serve(&self, place: &Place, socket: Bound) -> std::io::Result<Serving> {
        let common = Arc::clone(&self.common);
        let names = Arc::clone(&self.names);
        let resolver = Arc::clone(&common.resolver);
        Ok(Serving(match (place, socket) {
            (Place::Port { connection, .. }, Bound::Tcp(listener)) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(tcp::serve(listener, common, connection.clone()))
            }
            (Place::Port { connection, .. }, Bound::Udp(socket)) => {
                let socket = tokio::net::UdpSocket::from_std(socket)?;
                tokio::spawn(udp::serve_port(socket, common, connection.clone()))
            }
            (_, Bound::Udp(socket)) => {
                let socket = tokio::net::UdpSocket::from_std(socket)?;
                tokio::spawn(dns::serve_udp(socket, names, resolver))
            }
            (_, Bound::Tcp(listener)) => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(dns::serve_tcp(listener, names, resolver))
            }
        }))
    }

    fn tell(&self, link: &Link, problem: Option<String>) {
        let wanted = places(link);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problem.as_ref().filter(|p| status.problem.as_ref() != Some(p)) {
            tracing::warn!(instance = %link.instance, link = %link.link, "{problem}");
        }
        status.instance.clone_from(&link.instance);
        status.bound = wanted.iter().filter(|place| self.serves(place)).count();
        status.wanted = wanted.len();
        status.problem = problem;
    }
}

fn places(link: &Link) -> Vec<Place> {
    let port = |port: &Port| Place::Port {
        transport: port.transport,
        address: SocketAddr::new(port.address, port.port),
        connection: port.connection.clone(),
    };
    let ports = link.ports.iter().map(port);
    ports.chain([Place::NamesUdp(link.dns), Place::NamesTcp(link.dns)]).collect()
}

impl Place {
    fn transport(&self) -> Transport {
        match self {
            Self::Port { transport, .. } => *transport,
            Self::NamesUdp(_) => Transport::Udp,
            Self::NamesTcp(_) => Transport::Tcp,
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Port { address, .. } | Self::NamesUdp(address) | Self::NamesTcp(address) => {
                *address
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.transport(), self.address())
    }
}
