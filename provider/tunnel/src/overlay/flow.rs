//! The server's side of one flow of datagrams: a socket to one of the tunnel's
//! instances, and to another where that one is gone from the table or refuses.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::tunnel::Tunnel;
use super::udp::{receive, Datagram, ANSWERED, UNANSWERED};
use crate::reach::Reach;
use crate::routes::Target;
use crate::targets::TargetSet;

/// Getting a socket to an instance.
const DIAL: Duration = Duration::from_secs(5);
/// Instances tried for one datagram.
const TRIES: usize = 2;

/// A flow of one session.
pub(super) struct Flow {
    pub(super) id: u32,
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) reach: Reach,
    pub(super) from_peer: mpsc::Receiver<Bytes>,
    pub(super) to_peer: mpsc::Sender<Datagram>,
}

/// Why a flow has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody has said anything for long.
    Silence,
    /// There is nobody here to give a datagram to.
    NoInstance,
}

/// An instance that a flow speaks with.
struct Link {
    socket: UdpSocket,
    set: Arc<TargetSet>,
    index: usize,
}

/// What happened.
enum Event {
    FromPeer(Option<Bytes>),
    FromWorkload(io::Result<Bytes>),
    Silence,
}

impl Flow {
    /// Carries datagrams until both sides are silent, or no instance is left.
    pub(super) async fn run(mut self) -> (u32, End) {
        let (mut link, mut idle) = (None::<Link>, UNANSWERED);
        loop {
            match self.next(link.as_ref(), idle).await {
                Event::FromPeer(Some(datagram)) => match self.give(link.take(), &datagram).await {
                    Ok(now) => link = now,
                    Err(NoInstance) => return (self.id, End::NoInstance),
                },
                Event::FromWorkload(Ok(datagram)) => {
                    idle = ANSWERED;
                    if let Some(link) = &link {
                        link.set.note_success(link.index);
                    }
                    let _ = self.to_peer.try_send((self.id, datagram));
                }
                // The next datagram goes to another instance, where there is one.
                Event::FromWorkload(Err(error)) => {
                    if let Some(link) = link.take() {
                        note_failure(&link, &error);
                    }
                }
                Event::FromPeer(None) | Event::Silence => return (self.id, End::Silence),
            }
        }
    }

    async fn next(&mut self, link: Option<&Link>, idle: Duration) -> Event {
        let from_workload = async {
            match link {
                Some(link) => receive(&link.socket).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            datagram = self.from_peer.recv() => Event::FromPeer(datagram),
            received = from_workload => Event::FromWorkload(received),
            () = tokio::time::sleep(idle) => Event::Silence,
        }
    }

    /// Sends a datagram, where the instance refuses it to the next one. Without
    /// a link in the end it is lost: the workload may not listen (yet).
    async fn give(
        &self,
        mut link: Option<Link>,
        datagram: &[u8],
    ) -> Result<Option<Link>, NoInstance> {
        for _ in 0..TRIES {
            let Some(now) = self.current(link).await? else { return Ok(None) };
            match now.socket.send(datagram).await {
                Ok(_) => return Ok(Some(now)),
                // Not the instance's fault: the datagram itself cannot be sent.
                Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                    return Ok(Some(now));
                }
                Err(error) => note_failure(&now, &error),
            }
            link = None;
        }
        Ok(None)
    }

    /// The link as it is while its instance is one of those that the table has
    /// now; else to another instance. None where no socket is to be had just
    /// now: that says nothing about the other flows.
    async fn current(&self, link: Option<Link>) -> Result<Option<Link>, NoInstance> {
        let set = self.tunnel.targets().filter(|set| !set.all().is_empty()).ok_or(NoInstance)?;
        if let Some(mut link) = link {
            if Arc::ptr_eq(&set, &link.set) {
                return Ok(Some(link));
            }
            let same = |target: &Target| *target == link.set.all()[link.index];
            if let Some(index) = set.all().iter().position(same) {
                (link.index, link.set) = (index, set);
                return Ok(Some(link));
            }
        }
        for index in set.order() {
            match self.reach.udp(&set.all()[index], DIAL).await {
                Ok(socket) => return Ok(Some(Link { socket, set, index })),
                Err(error) => set.note_failure(index, &error.to_string()),
            }
        }
        Ok(None)
    }
}

struct NoInstance;

fn note_failure(link: &Link, error: &io::Error) {
    link.set.note_failure(link.index, &error.to_string());
    let target = &link.set.all()[link.index];
    let instance = &target.instance;
    tracing::debug!(%instance, address = %target.address, %error, "a datagram was refused");
}
