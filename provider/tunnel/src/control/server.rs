//! The data plane's side.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};

use super::{Request, Response, Status, MAX_LINE_BYTES};
use crate::counters::LiveCounters;
use crate::forward::{Addresses, Forwards};
use crate::ingress::Ingress;
use crate::live::Routes;
use crate::overlay::Overlay;
use crate::routes::RouteTable;
use crate::state::StateDir;

const MAX_CONNECTIONS: usize = 8;
const MAX_FAILURES_TOLD: usize = 64;
const MAX_PROBLEMS_TOLD: usize = 64;

/// What the control socket acts on.
pub(crate) struct ControlContext {
    pub(crate) routes: Arc<Routes>,
    pub(crate) forwards: Arc<Forwards>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) counters: Arc<LiveCounters>,
    pub(crate) listen: SocketAddr,
    pub(crate) started: Instant,
    /// One table at a time goes to disk and into use.
    pub(crate) state: Mutex<Arc<StateDir>>,
}

/// Serves the control socket for ever.
pub(crate) async fn serve(path: &Path, context: Arc<ControlContext>) -> io::Result<()> {
    let listener = bind(path)?;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &context).await {
                tracing::debug!(%error, "a control connection ended");
            }
            drop(slot);
        });
    }
}

/// Binds for the owner alone. The state's lock guarantees that no other data
/// plane listens, so a socket that is there was left behind.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other(format!("somebody listens on {} already", path.display())));
    }
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(mut stream: UnixStream, context: &ControlContext) -> io::Result<()> {
    // Between bind and chmod anybody might have connected.
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::other(format!("user {peer} may not control this")));
    }
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        let response = match serde_json::from_slice(&line) {
            Ok(request) => answer(request, context).await,
            Err(error) => Response::Refused { problem: format!("not a request: {error}") },
        };
        let mut bytes = serde_json::to_vec(&response)?;
        bytes.push(b'\n');
        writer.write_all(&bytes).await?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
    }
}

async fn answer(request: Request, context: &ControlContext) -> Response {
    match request {
        Request::SetRoutes { table } => set_routes(*table, context).await,
        Request::Status => Response::Status(Box::new(status(context))),
    }
}

async fn set_routes(table: RouteTable, context: &ControlContext) -> Response {
    if let Err(problem) = table.validate() {
        return Response::Refused { problem };
    }
    let state = context.state.lock().await;
    let current = context.routes.current();
    let generation = table.generation;
    if current.source == table {
        return Response::Applied { generation };
    }
    if generation <= current.source.generation {
        return Response::Stale { current: current.source.generation };
    }
    let (to_save, directory) = (table.clone(), Arc::clone(&state));
    let saved = tokio::task::spawn_blocking(move || directory.save(&to_save)).await;
    match saved.map_err(io::Error::other).and_then(|result| result) {
        Ok(()) => {
            let (routes, forwards) = (table.routes.len(), table.forwards.len());
            tracing::info!(generation, routes, forwards, "a new table");
            context.addresses.apply(&table.addresses).await;
            context.forwards.apply(&table.forwards);
            context.overlay.apply(table.overlay.as_ref());
            context.routes.replace(table);
            let settings = context.routes.current().source.tls.clone();
            context.ingress.https.apply(settings.as_ref(), &context.ingress);
            Response::Applied { generation }
        }
        Err(error) => Response::Refused { problem: format!("the table cannot be saved: {error}") },
    }
}

fn status(context: &ControlContext) -> Status {
    let table = context.routes.current();
    let mut failing = context.routes.failures(MAX_FAILURES_TOLD);
    failing.extend(context.forwards.failures(MAX_FAILURES_TOLD - failing.len()));
    failing.extend(context.overlay.failures(MAX_FAILURES_TOLD - failing.len()));
    let mut problems = context.addresses.problems();
    problems.extend(context.ingress.https.problems());
    problems.truncate(MAX_PROBLEMS_TOLD);
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        listen: context.listen,
        uptime_seconds: context.started.elapsed().as_secs(),
        generation: table.source.generation,
        hosts: table.hosts(),
        counters: context.counters.read(),
        failing,
        listening: context.forwards.listening(),
        unbound: context.forwards.unbound(),
        https: context.ingress.https.listening(),
        problems,
        tunnels: context.overlay.tunnels(),
        links: context.overlay.links(),
        overlay_listening: context.overlay.listening(),
    }
}
