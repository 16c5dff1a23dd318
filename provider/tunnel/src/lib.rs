//! The data plane: what carries tenants' bytes. A process of its own, so that
//! a restart of the control daemon cuts no connection.
//!
//! Today it has the HTTP ingress. The control daemon pushes the whole route
//! table over a unix socket ([`control`]); the table lies on disk, so that
//! the data plane restarts by itself. Workloads are dialled from inside their
//! link containers' network namespaces ([`netns`]): no port of theirs is
//! published, and no address of this host is in their networks.

pub mod control;
mod counters;
mod ingress;
mod live;
pub mod netns;
pub mod routes;
mod state;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::{watch, Mutex};

pub use control::{ControlClient, ControlError};
pub use ingress::IngressLimits;

use control::ControlContext;
use counters::LiveCounters;
use ingress::Ingress;
use live::Routes;
use netns::Dialer;
use state::StateDir;

/// How the data plane is run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The control socket; made for the owner alone.
    pub control: PathBuf,
    /// Where the last table is kept; one process at a time uses it.
    pub state: PathBuf,
    pub limits: IngressLimits,
}

/// Serves until `ending` becomes true, then drains.
pub async fn run(config: Config, ending: watch::Receiver<bool>) -> io::Result<()> {
    let state = StateDir::open(&config.state)?;
    let table = state.load()?;
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        io::Error::new(e.kind(), format!("cannot listen on {}: {e}", config.listen))
    })?;
    let listen = listener.local_addr()?;
    tracing::info!(%listen, generation = table.generation, routes = table.routes.len(), "serving");
    let routes = Arc::new(Routes::new(table));
    let counters = Arc::new(LiveCounters::default());
    let ingress = Arc::new(Ingress {
        routes: Arc::clone(&routes),
        dialer: Dialer::start()?,
        counters: Arc::clone(&counters),
        limits: config.limits,
    });
    let context = Arc::new(ControlContext {
        routes,
        counters,
        listen,
        started: Instant::now(),
        state: Mutex::new(Arc::new(state)),
    });
    tokio::select! {
        result = control::serve(&config.control, context) => result,
        () = ingress::serve_http(listener, ingress, ending) => Ok(()),
    }
}
