//! The relay: takes the front's connections and joins each with an instance.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{watch, OwnedSemaphorePermit, Semaphore};
use tokio_rustls::server::TlsStream;
use tokio_rustls::TlsAcceptor;

use super::header::{self, Answer, Wanted};
use super::table::LiveInstances;
use super::tls::{check_name, server_config, Material};
use super::{udp, FRONT};
use crate::netns::Dialer;
use crate::relay::relay;

/// From the connection to a whole header.
const HEAD: Duration = Duration::from_secs(10);
/// Connecting to an instance.
const DIAL: Duration = Duration::from_secs(5);
/// A joined connection without a byte either way ends.
const IDLE: Duration = Duration::from_secs(3600);
/// Connections under way get so long at the end.
const DRAIN: Duration = Duration::from_secs(10);
const LOCK: &str = "relay.lock";

/// How the relay is run.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    pub listen: SocketAddr,
    /// Its certificates and key, PEM.
    pub identity: PathBuf,
    /// The certificate of the authority for the provider's machines, PEM.
    pub authority: PathBuf,
    /// Where the table of instances lies; one relay at a time uses it.
    pub state: PathBuf,
    /// Connections at a time.
    pub connections: usize,
}

struct Relay {
    instances: LiveInstances,
    dialer: Dialer,
}

/// Serves until `ending` becomes true, then drains.
pub async fn run(config: RelayConfig, mut ending: watch::Receiver<bool>) -> io::Result<()> {
    std::fs::create_dir_all(&config.state)?;
    let lock = std::fs::File::create(config.state.join(LOCK))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
        .map_err(|_| io::Error::other(format!("another relay uses {}", config.state.display())))?;
    let material = Material::load(&config.identity, &config.authority).map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(server_config(&material, &[]).map_err(io::Error::other)?);
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        io::Error::new(e.kind(), format!("cannot listen on {}: {e}", config.listen))
    })?;
    tracing::info!(listen = %config.listen, "relaying");
    let relay =
        Arc::new(Relay { instances: LiveInstances::new(&config.state), dialer: Dialer::start()? });
    let slots = Arc::new(Semaphore::new(config.connections.max(1)));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|end| *end) => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                tokio::spawn(serve(Arc::clone(&relay), acceptor.clone(), socket, peer, slot));
            }
            Err(error) => {
                // Out of descriptors, or the peer went: neither is ours to die of.
                tracing::warn!(%error, "accepting a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(config.connections.max(1)).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(DRAIN, slots.acquire_many(all)).await;
    Ok(())
}

async fn serve(
    relay: Arc<Relay>,
    acceptor: TlsAcceptor,
    socket: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
) {
    match tokio::time::timeout(HEAD, greet(&acceptor, socket)).await {
        Ok(Ok((stream, wanted))) => relay.join(stream, wanted).await,
        Ok(Err(error)) => tracing::warn!(%peer, %error, "refused"),
        Err(_) => tracing::warn!(%peer, "refused: no header in time"),
    }
    drop(slot);
}

async fn greet(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
) -> io::Result<(TlsStream<TcpStream>, Wanted)> {
    socket.set_nodelay(true)?;
    let mut stream = acceptor.accept(socket).await?;
    check_name(stream.get_ref().1.peer_certificates(), FRONT).map_err(io::Error::other)?;
    let wanted = header::read(&mut stream).await?;
    Ok((stream, wanted))
}

impl Relay {
    async fn join(&self, mut stream: TlsStream<TcpStream>, wanted: Wanted) {
        let dialled = self.dial(&wanted).await;
        let answer = match &dialled {
            Ok(_) => Answer::Connected,
            Err(error) => {
                tracing::warn!(?wanted, %error, "not connected");
                let timed_out = error.kind() == io::ErrorKind::TimedOut;
                let why: String = error.to_string().chars().take(256).collect();
                Answer::Failed { timed_out, why }
            }
        };
        let told = header::write(&mut stream, &answer).await;
        // How they end is the two ends' affair.
        let _ = match (told, dialled) {
            (Ok(()), Ok(Dialled::Tcp(instance))) => relay(stream, instance, IDLE).await,
            (Ok(()), Ok(Dialled::Udp(instance))) => udp::carry(stream, instance).await,
            _ => return,
        };
    }

    async fn dial(&self, wanted: &Wanted) -> io::Result<Dialled> {
        let (Wanted::Instance { instance, port } | Wanted::Flow { instance, port }) = wanted;
        let found = self.instances.find(instance)?;
        let address = found.address;
        let usable = !address.is_loopback() && !address.is_unspecified() && *port != 0;
        if !usable || matches!(address, IpAddr::V4(v4) if v4.is_broadcast()) {
            return Err(io::Error::other(format!("{address}:{port} is no workload's address")));
        }
        let address = (address, *port).into();
        Ok(match wanted {
            Wanted::Instance { .. } => {
                Dialled::Tcp(self.dialer.connect(&found.netns, address, DIAL).await?)
            }
            Wanted::Flow { .. } => Dialled::Udp(self.dialer.udp(&found.netns, address).await?),
        })
    }
}

/// A way to an instance's port.
enum Dialled {
    Tcp(TcpStream),
    Udp(UdpSocket),
}
