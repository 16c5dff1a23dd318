//! Listening, and one thread for each connection.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    thread,
    time::Duration,
};

use tendermint_abci::Application;
use tracing::{debug, warn};

use super::{connection, AbciError, Address};
use crate::metrics::{self, Interface};

/// Pause after a failed accept (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// Longest request in bytes.
    pub frame_limit: usize,
    /// Connections at a time; CometBFT opens four.
    pub max_connections: usize,
}

impl Default for ServerOptions {
    /// CometBFT's largest block, of 100 MiB, with some room for its header and votes; 16
    /// connections.
    fn default() -> Self {
        Self { frame_limit: 110 << 20, max_connections: 16 }
    }
}

/// A bound ABCI server.
pub struct Server {
    listener: Listener,
    options: ServerOptions,
}

enum Listener {
    Unix(UnixListener, SocketFile),
    Tcp(TcpListener),
}

/// The file of a bound unix socket, removed with the server.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Server {
    /// Binds an address.
    ///
    /// # Errors
    /// If the address is in use, or the socket's path is something else than a socket.
    pub fn bind(address: &Address, options: ServerOptions) -> Result<Self, AbciError> {
        let listener = match address {
            Address::Unix(path) => {
                let listener = bind_unix(path)
                    .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
                Listener::Unix(listener, SocketFile(path.clone()))
            }
            Address::Tcp(host) => {
                let listener = TcpListener::bind(host)
                    .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
                Listener::Tcp(listener)
            }
        };
        Ok(Self { listener, options })
    }

    /// The address that was bound, with the port that the system chose for port 0.
    pub fn address(&self) -> Result<Address, AbciError> {
        Ok(match &self.listener {
            Listener::Unix(_, file) => Address::Unix(file.0.clone()),
            Listener::Tcp(listener) => Address::Tcp(listener.local_addr()?.to_string()),
        })
    }

    /// Accepts connections for as long as the process lives.
    pub fn run(&self, app: &impl Application) -> ! {
        let open = Arc::new(AtomicUsize::new(0));
        loop {
            let stream = match self.accept() {
                Ok(stream) => stream,
                Err(error) => {
                    warn!(%error, "ABCI connection was not accepted");
                    thread::sleep(ACCEPT_PAUSE);
                    continue;
                }
            };
            match Place::take(&open, self.options.max_connections) {
                Some(place) => self.start(app.clone(), stream, place),
                None => warn!(
                    limit = self.options.max_connections,
                    "ABCI connection refused: the limit is reached"
                ),
            }
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        Ok(match &self.listener {
            Listener::Unix(listener, _) => Stream::Unix(listener.accept()?.0),
            Listener::Tcp(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        })
    }

    fn start(&self, app: impl Application, stream: Stream, place: Place) {
        let limit = self.options.frame_limit;
        let serve = move || {
            let _counted = metrics::get().connected(Interface::Abci);
            let served = match &stream {
                Stream::Unix(stream) => connection::serve(&app, stream, stream, limit),
                Stream::Tcp(stream) => connection::serve(&app, stream, stream, limit),
            };
            match served {
                Ok(()) => debug!("ABCI connection ended"),
                Err(error) => warn!(%error, "ABCI connection closed"),
            }
            drop(place);
        };
        if let Err(error) = thread::Builder::new().name("abci".to_owned()).spawn(serve) {
            warn!(%error, "ABCI connection refused: no thread for it");
        }
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// One of the limited number of connections; given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let taken = open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            (count < limit).then_some(count + 1)
        });
        taken.ok().map(|_| Self(Arc::clone(open)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Binds a unix socket for this user alone; a socket that a killed server left is replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(io::Error::other("a file that is no socket is in the way"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
        }
        Ok(_) => fs::remove_file(path)?,
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
