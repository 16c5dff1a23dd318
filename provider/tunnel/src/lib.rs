//! The data plane: what carries tenants' bytes. A process of its own, so that
//! a restart of the control daemon cuts no connection.
//!
//! It has the HTTP(S) ingress and the forwarded ports. The control daemon pushes the whole route
//! table over a unix socket ([`control`]); the table lies on disk, so that
//! the data plane restarts by itself. Workloads are dialled from inside their
//! link containers' network namespaces ([`netns`]): no port of theirs is
//! published, and no address of this host is in their networks. Those on the
//! provider's other machines are reached through these machines' relays
//! ([`hop`]). Workloads reach each other through tunnels ([`overlay`]); what runs
//! on such a machine dials out from there, by a data plane without an ingress.

pub mod control;
mod counters;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
pub mod hop;
mod ingress;
mod live;
pub mod netns;
pub mod overlay;
mod reach;
mod relay;
pub mod routes;
mod sift;
mod slots;
mod spares;
mod state;
mod targets;
mod tls;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::{watch, Mutex};

pub use control::{ControlClient, ControlError};
pub use forward::ForwardLimits;
pub use ingress::IngressLimits;
pub use tls::{AcmeSettings, CertificateFile, TlsSettings};

use control::ControlContext;
use counters::LiveCounters;
use forward::listen::Own;
use forward::{Addresses, Forwards};
use ingress::Ingress;
use live::Routes;
use netns::Dialer;
use overlay::Overlay;
use reach::Reach;
use state::StateDir;
use tls::{Challenges, Https};

/// How the data plane is run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP is served; `None`: nowhere, on a further machine of a provider
    /// that only looks after its own links.
    pub listen: Option<SocketAddr>,
    /// The control socket; made for the owner alone.
    pub control: PathBuf,
    /// Where the last table is kept; one process at a time uses it.
    pub state: PathBuf,
    pub limits: IngressLimits,
    pub forward_limits: ForwardLimits,
}

/// What is told where no HTTP is served.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn listen_http(address: SocketAddr) -> io::Result<TcpListener> {
    forward::listen::tcp(address, Own::HasNot)
        .map_err(|e| io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))
}

/// Serves until `ending` becomes true, then drains.
pub async fn run(config: Config, ending: watch::Receiver<bool>) -> io::Result<()> {
    let state = StateDir::open(&config.state)?;
    let table = state.load()?;
    let listener = config.listen.map(listen_http).transpose()?;
    let listen = listener.as_ref().map_or(Ok(NOWHERE), TcpListener::local_addr)?;
    let dialer = Dialer::start()?;
    let (reach, counters) = (Reach::new(dialer.clone()), Arc::new(LiveCounters::default()));
    let overlay = Arc::new(Overlay::new(dialer, reach.clone()));
    overlay.apply(table.overlay.as_ref());
    let addresses = Arc::new(Addresses::open(state.file("addresses.json"))?);
    addresses.apply(&table.addresses).await;
    let limits = config.forward_limits;
    let forwards = Forwards::new(reach.clone(), Arc::clone(&counters), limits, ending.clone());
    let forwards = Arc::new(forwards);
    forwards.apply(&table.forwards);
    let (generation, routes) = (table.generation, table.routes.len());
    tracing::info!(%listen, generation, routes, forwards = table.forwards.len(), "serving");
    let tls = table.tls.clone();
    let routes = Arc::new(Routes::new(table));
    let challenges = Arc::new(Challenges::default());
    let https = Https::open(
        config.state.clone(),
        Arc::clone(&routes),
        Arc::clone(&challenges),
        ending.clone(),
    )?;
    let ingress = Arc::new(Ingress {
        routes: Arc::clone(&routes),
        reach,
        counters: Arc::clone(&counters),
        limits: config.limits,
        https: Arc::new(https),
        challenges,
        places: slots::places(config.limits.connections),
        clients: Arc::default(),
    });
    ingress.https.apply(tls.as_ref(), &ingress);
    let context = Arc::new(ControlContext {
        routes,
        forwards: Arc::clone(&forwards),
        addresses,
        overlay: Arc::clone(&overlay),
        ingress: Arc::clone(&ingress),
        counters,
        listen,
        started: Instant::now(),
        state: Mutex::new(Arc::new(state)),
    });
    let mut ends = ending.clone();
    let serving = async {
        match listener {
            Some(listener) => ingress::serve(listener, Arc::clone(&ingress), ending, None).await,
            // A sender that is gone says the same.
            None => drop(ends.wait_for(|end| *end).await),
        }
        tokio::join!(ingress::drain(&ingress), forwards.drain(), overlay.drain());
    };
    tokio::select! {
        result = control::serve(&config.control, context) => result,
        () = forwards.keep_trying() => Ok(()),
        () = overlay.keep_trying() => Ok(()),
        () = ingress.https.look_after(&ingress) => Ok(()),
        () = ingress.clean() => Ok(()),
        () = serving => Ok(()),
    }
}
