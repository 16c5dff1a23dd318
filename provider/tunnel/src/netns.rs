//! Dials from inside another network namespace, over TCP and UDP.
//!
//! A socket belongs for ever to the namespace it was made in, whichever
//! thread uses it later. So one thread of its own enters a namespace by
//! `setns`, makes an unconnected socket and hands it over; the connecting
//! happens on tokio. The thread never goes back and never does anything
//! else, so no other code can run in a tenant's namespace.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc as blocking;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sched::{setns, CloneFlags};
use nix::sys::socket::{socket, AddressFamily, SockFlag, SockType};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::oneshot;

/// Sockets that may be asked for and not yet made.
const WAITING: usize = 1024;
const OWN_NAMESPACE: &str = "/proc/self/ns/net";

/// Opens connections in namespaces.
#[derive(Clone)]
pub struct Dialer {
    orders: Arc<blocking::SyncSender<Order>>,
}

/// A socket to be made.
struct Order {
    netns: PathBuf,
    family: AddressFamily,
    kind: SockType,
    reply: oneshot::Sender<io::Result<OwnedFd>>,
}

/// Which namespace, by the kernel's numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Dialer {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let own = identity(&File::open(OWN_NAMESPACE)?)?;
        let (orders, incoming) = blocking::sync_channel::<Order>(WAITING);
        std::thread::Builder::new().name("stoa-netns".into()).spawn(move || {
            for order in incoming {
                let made = make_socket(&order, own);
                // Who ordered it may have given up.
                let _ = order.reply.send(made);
            }
        })?;
        Ok(Self { orders: Arc::new(orders) })
    }

    /// Connects to an address as seen from a namespace.
    pub async fn connect(
        &self,
        netns: &Path,
        address: SocketAddr,
        deadline: Duration,
    ) -> io::Result<TcpStream> {
        let connecting = async {
            let socket = self.socket(netns, address, SockType::Stream).await?;
            let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
            let stream = socket.connect(address).await?;
            stream.set_nodelay(true)?;
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

    async fn socket(
        &self,
        netns: &Path,
        address: SocketAddr,
        kind: SockType,
    ) -> io::Result<OwnedFd> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let (reply, made) = oneshot::channel();
        let order = Order { netns: netns.into(), family, kind, reply };
        self.orders.try_send(order).map_err(|_| io::Error::other("too many dials at once"))?;
        made.await.map_err(|_| io::Error::other("the dialling thread ended"))?
    }
}

/// Enters the namespace anew each time: its path dies with its container,
/// and a kept descriptor would keep a dead namespace alive.
fn make_socket(order: &Order, own: Identity) -> io::Result<OwnedFd> {
    let netns = order.netns.as_path();
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
        .map_err(|e| explain(&e.into(), "not a namespace that can be entered", netns))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(order.family, order.kind, flags, None)?)
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
