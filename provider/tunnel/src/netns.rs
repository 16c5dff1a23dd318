//! Dials from inside another network namespace, over TCP and UDP.
//!
//! A socket belongs for ever to the namespace it was made in, whichever
//! thread uses it later. So one thread of its own enters a namespace by
//! `setns`, makes an unconnected socket and hands it over; the connecting
//! happens on tokio. The thread never goes back and does nothing else but
//! make sockets and lay out addresses, so no other code can run in a tenant's
//! namespace.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc as blocking;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sched::{setns, CloneFlags};
use nix::sys::socket::{socket, AddressFamily, SockFlag, SockType};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::oneshot;

use crate::spares::Spares;

/// Sockets that may be asked for and not yet made.
const WAITING: usize = 8192;
/// A connection that took a spare socket is served before the next is made.
const GIVES_WAY: Duration = Duration::from_millis(2);
/// How often spare sockets are looked through.
const CLEAN: Duration = Duration::from_secs(5);
const OWN_NAMESPACE: &str = "/proc/self/ns/net";
const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";

/// Opens connections in namespaces.
#[derive(Clone)]
pub struct Dialer {
    orders: Arc<blocking::SyncSender<Order>>,
    spares: Arc<Spares>,
}

/// What is to be done in a namespace, or the reason why it cannot be entered.
struct Order {
    netns: PathBuf,
    work: Box<dyn FnOnce(io::Result<()>) + Send>,
}

/// Which namespace, by the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Dialer {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let own = identity(&File::open(OWN_NAMESPACE)?)?;
        let (orders, incoming) = blocking::sync_channel::<Order>(WAITING);
        let spares = Arc::new(Spares::default());
        let kept = Arc::clone(&spares);
        std::thread::Builder::new().name("stoa-netns".into()).spawn(move || {
            let mut cleaned = Instant::now();
            loop {
                match incoming.recv_timeout(CLEAN) {
                    Ok(order) => (order.work)(enter(&order.netns, own)),
                    Err(blocking::RecvTimeoutError::Timeout) => {}
                    Err(blocking::RecvTimeoutError::Disconnected) => return,
                }
                if cleaned.elapsed() >= CLEAN {
                    kept.clean();
                    cleaned = Instant::now();
                }
            }
        })?;
        Ok(Self { orders: Arc::new(orders), spares })
    }

    /// Connects to an address as seen from a namespace.
    pub async fn connect(
        &self,
        netns: &Path,
        address: SocketAddr,
        deadline: Duration,
    ) -> io::Result<TcpStream> {
        let connecting = async {
            let spare = self.spares.take(netns, address.is_ipv6());
            let socket = match spare {
                Some(socket) => socket,
                None => self.socket(netns, address, SockType::Stream).await?,
            };
            let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
            self.make_spare_soon(netns, address);
            Ok(stream)
        };
        tokio::time::timeout(deadline, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// A UDP socket that speaks with one address as seen from a namespace.
    pub async fn udp(&self, netns: &Path, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self.socket(netns, address, SockType::Datagram).await?;
        let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
        socket.connect(address).await?;
        Ok(socket)
    }

    /// For the next connection there, which may come soon; this one's first
    /// bytes go before.
    fn make_spare_soon(&self, netns: &Path, address: SocketAddr) {
        let (dialer, netns) = (self.clone(), netns.to_path_buf());
        tokio::spawn(async move {
            tokio::time::sleep(GIVES_WAY).await;
            dialer.make_spare(netns, address);
        });
    }

    fn make_spare(&self, netns: PathBuf, address: SocketAddr) {
        let (spares, path, is_ipv6) = (Arc::clone(&self.spares), netns.clone(), address.is_ipv6());
        let work = Box::new(move |entered: io::Result<()>| {
            let made = entered.and_then(|()| {
                Ok((Identity::of_this_thread()?, new_socket(address, SockType::Stream)?))
            });
            if let Ok((namespace, socket)) = made {
                spares.put(&path, is_ipv6, namespace, socket);
            }
        });
        // Where there is much to do, there is no time for this.
        let _ = self.orders.try_send(Order { netns, work });
    }

    async fn socket(
        &self,
        netns: &Path,
        address: SocketAddr,
        kind: SockType,
    ) -> io::Result<OwnedFd> {
        self.inside(netns, move || new_socket(address, kind)).await
    }

    /// Does something short in a namespace: it holds up all who want the same
    /// of any other.
    pub(crate) async fn inside<T: Send + 'static>(
        &self,
        netns: &Path,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (reply, done) = oneshot::channel();
        let work = Box::new(move |entered: io::Result<()>| {
            // Who ordered it may have given up.
            let _ = reply.send(entered.and_then(|()| work()));
        });
        let order = Order { netns: netns.into(), work };
        self.orders.try_send(order).map_err(|_| io::Error::other("too many dials at once"))?;
        done.await.map_err(|_| io::Error::other("the dialling thread ended"))?
    }
}

/// In the namespace that the thread is in.
fn new_socket(address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family, kind, flags, None)?)
}

/// Enters the namespace anew each time: its path dies with its container,
/// and a kept descriptor would keep a dead namespace alive.
fn enter(netns: &Path, own: Identity) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits())
        .open(netns)
        .map_err(|e| explain(&e, "the link container's namespace is gone", netns))?;
    // A wrong path must never make this host's own network dialled.
    if identity(&file)? == own {
        return Err(io::Error::other(format!("{} is the host's own namespace", netns.display())));
    }
    setns(&file, CloneFlags::CLONE_NEWNET)
        .map_err(|e| explain(&e.into(), "not a namespace that can be entered", netns))
}

impl Identity {
    /// Of the namespace at a path.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Of the one that this thread is in.
    pub(crate) fn of_this_thread() -> io::Result<Self> {
        Self::of(Path::new(OF_THIS_THREAD))
    }
}

fn explain(error: &io::Error, what: &str, netns: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{what} ({}: {error})", netns.display()))
}

fn identity(file: &File) -> io::Result<Identity> {
    let metadata = file.metadata()?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hosts_own_namespace_and_a_plain_file_are_refused() {
        let dialer = Dialer::start().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plain = tempfile::NamedTempFile::new().unwrap();
        let second = Duration::from_secs(1);
        for (path, word) in [
            (Path::new(OWN_NAMESPACE), "host's own"),
            (plain.path(), "not a namespace"),
            (Path::new("/nowhere"), "gone"),
        ] {
            let error = dialer.connect(path, address, second).await.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
