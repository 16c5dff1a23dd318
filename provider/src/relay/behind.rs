//! The side of the provider behind the NAT.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{copy_bidirectional, split, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{watch, Semaphore};
use tokio::time::timeout;

use super::whose::{self, Own};
use super::wire::{Token, Word};
use super::{ALPN, SILENCE, SOON};
use crate::peers::Peers;

/// Between attempts: at first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(60);
/// Connections fetched at a time.
const MOST: usize = 256;
/// Of these, tunnels: they stay for long, and the relay has few places for
/// this provider, of which its gateway needs some.
const MOST_TUNNELS: usize = 32;

/// Keeps this provider reachable through a relay.
pub struct Behind {
    peers: Arc<Peers>,
    /// The relay's address on chain.
    relay: String,
    /// The port of this provider's host_uri.
    wanted: u16,
    own: Own,
    tunnels: Arc<Semaphore>,
    port: watch::Sender<Option<u16>>,
}

impl Behind {
    pub fn new(peers: Arc<Peers>, relay: &str, wanted: u16, own: Own) -> Self {
        let port = watch::channel(None).0;
        let own = Own { gateway: own_side(own.gateway), tunnels: own_side(own.tunnels) };
        let tunnels = Arc::new(Semaphore::new(MOST_TUNNELS));
        Self { peers, relay: relay.into(), wanted, own, tunnels, port }
    }

    /// The relay's port for this provider, while it listens there.
    pub fn port(&self) -> watch::Receiver<Option<u16>> {
        self.port.subscribe()
    }

    /// For ever: what breaks off is begun anew.
    pub async fn run(self) {
        let mut pause = FIRST;
        loop {
            let ended = self.once().await;
            let was_there = self.port.send_replace(None).is_some();
            pause = if was_there { FIRST } else { pause.saturating_mul(2).min(LAST) };
            if let Err(error) = ended {
                let relay = &self.relay;
                tracing::warn!(%relay, "the relay: {error}; again in {} s", pause.as_secs());
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self) -> anyhow::Result<()> {
        let mut stream = self.peers.stream(&self.relay, ALPN).await?;
        Word::Register(self.wanted).write(&mut stream).await?;
        let port = match timeout(SOON, Word::read(&mut stream)).await?? {
            Word::Registered(port) => port,
            Word::Refused(why) => anyhow::bail!("it refuses: {why}"),
            word => anyhow::bail!("it answers {word:?}"),
        };
        if port != self.wanted {
            tracing::error!(
                relay = %self.relay,
                "it listens at port {port}, and gateway.host_uri says {}; write {port} there with \
                 the relay's host, and run `stoa-provider init`",
                self.wanted
            );
        }
        tracing::info!(relay = %self.relay, port, "reachable through the relay");
        self.port.send_replace(Some(port));
        let (mut read, mut write) = split(stream);
        let places = Arc::new(Semaphore::new(MOST));
        loop {
            match timeout(SILENCE, Word::read(&mut read)).await?? {
                Word::Ping => Word::Pong.write(&mut write).await?,
                Word::Incoming(token) => {
                    let Ok(permit) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let (peers, relay) = (Arc::clone(&self.peers), self.relay.clone());
                    let (own, tunnels) = (self.own, Arc::clone(&self.tunnels));
                    tokio::spawn(async move {
                        if let Err(error) = fetch(&peers, &relay, own, &tunnels, token).await {
                            tracing::debug!("a connection from the relay: {error}");
                        }
                        drop(permit);
                    });
                }
                word => anyhow::bail!("it says {word:?}"),
            }
        }
    }
}

/// Fetches a connection that waits, and leads it where it belongs.
async fn fetch(
    peers: &Peers,
    relay: &str,
    own: Own,
    tunnels: &Semaphore,
    token: Token,
) -> anyhow::Result<()> {
    let mut stream = timeout(SOON, peers.stream(relay, ALPN)).await??;
    Word::Accept(token).write(&mut stream).await?;
    let (begin, goes) = timeout(SOON, whose::of(&mut stream, own)).await??;
    let _place = match goes == own.tunnels {
        true => Some(tunnels.try_acquire().context("too many tunnels at a time")?),
        false => None,
    };
    let mut socket = timeout(SOON, TcpStream::connect(goes)).await??;
    socket.set_nodelay(true)?;
    socket.write_all(&begin).await?;
    match copy_bidirectional(&mut stream, &mut socket).await {
        Ok(_) => Ok(()),
        // As most programs end a TLS connection.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Where this machine reaches what listens there.
fn own_side(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
