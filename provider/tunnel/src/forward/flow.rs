//! One UDP flow: a client's address, one instance, and a socket between.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch, OwnedSemaphorePermit};

use super::udp::{Peer, Socket};
use super::{Port, Shared};
use crate::routes::Target;
use crate::targets::TargetSet;

/// Datagrams that wait for the instance; more are dropped, as UDP may.
const WAITING: usize = 64;
const DATAGRAM: usize = 65_535;

/// The port's side of a flow. The flow ends when it is dropped.
pub(super) struct Handle {
    id: u64,
    to_flow: mpsc::Sender<Bytes>,
    answered: Arc<AtomicBool>,
}

impl Handle {
    /// Says whether there was room for it.
    pub(super) fn give(&self, datagram: Bytes) -> bool {
        self.to_flow.try_send(datagram).is_ok()
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

/// The flow itself.
pub(super) struct Flow {
    id: u64,
    peer: Peer,
    outside: Arc<Socket>,
    from_client: mpsc::Receiver<Bytes>,
    targets: watch::Receiver<Arc<TargetSet>>,
    answered: Arc<AtomicBool>,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

/// An instance that a flow speaks with.
struct Link {
    socket: UdpSocket,
    set: Arc<TargetSet>,
    index: usize,
}

/// What happened.
enum Event {
    FromClient(Option<Bytes>),
    FromWorkload(io::Result<Bytes>),
    Silence,
}

pub(super) fn new(
    id: u64,
    peer: Peer,
    outside: Arc<Socket>,
    port: &Port,
    place: OwnedSemaphorePermit,
) -> (Handle, Flow) {
    let (to_flow, from_client) = mpsc::channel(WAITING);
    let answered = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&port.shared);
    shared.counters.flows.add();
    let flow = Flow {
        id,
        peer,
        outside,
        from_client,
        targets: port.targets.clone(),
        answered: Arc::clone(&answered),
        shared,
        _place: place,
    };
    (Handle { id, to_flow, answered }, flow)
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.shared.counters.flows_closed.add();
    }
}

impl Flow {
    /// Carries datagrams until both sides are silent. Says which flow it was.
    pub(super) async fn run(mut self) -> (Peer, u64) {
        let mut link: Option<Link> = None;
        loop {
            match self.next(link.as_ref()).await {
                Event::FromClient(Some(datagram)) => {
                    link = self.current(link).await;
                    let Some(to) = &link else { continue };
                    if let Err(error) = to.socket.send(&datagram).await {
                        link = self.failed(link, &error);
                    }
                }
                Event::FromWorkload(Ok(datagram)) => {
                    self.note_answer(link.as_ref());
                    let _ = self.outside.send(&datagram, self.peer).await;
                }
                Event::FromWorkload(Err(error)) => link = self.failed(link, &error),
                Event::FromClient(None) | Event::Silence => return (self.peer, self.id),
            }
        }
    }

    async fn next(&mut self, link: Option<&Link>) -> Event {
        let limits = &self.shared.limits;
        let idle = match self.answered.load(Ordering::Relaxed) {
            true => limits.answered_idle,
            false => limits.unanswered_idle,
        };
        let from_workload = async {
            match link {
                Some(link) => receive(&link.socket).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            datagram = self.from_client.recv() => Event::FromClient(datagram),
            received = from_workload => Event::FromWorkload(received),
            () = tokio::time::sleep(idle) => Event::Silence,
        }
    }

    /// The link as it is while its instance is still one of the port's; else
    /// to another instance.
    async fn current(&mut self, link: Option<Link>) -> Option<Link> {
        let set = Arc::clone(&self.targets.borrow_and_update());
        if let Some(mut link) = link {
            if Arc::ptr_eq(&set, &link.set) {
                return Some(link);
            }
            let same = |target: &Target| *target == link.set.all()[link.index];
            if let Some(index) = set.all().iter().position(same) {
                (link.index, link.set) = (index, set);
                return Some(link);
            }
        }
        self.dial(set).await
    }

    async fn dial(&self, set: Arc<TargetSet>) -> Option<Link> {
        for index in set.order() {
            let target = &set.all()[index];
            match self.shared.reach.udp(target, self.shared.limits.dial_timeout).await {
                Ok(socket) => return Some(Link { socket, set, index }),
                Err(error) => self.note_failure(&set, index, &error),
            }
        }
        None
    }

    /// The next datagram goes to another instance, where there is one.
    fn failed(&self, link: Option<Link>, error: &io::Error) -> Option<Link> {
        if let Some(link) = link {
            self.note_failure(&link.set, link.index, error);
        }
        None
    }

    fn note_failure(&self, set: &TargetSet, index: usize, error: &io::Error) {
        self.shared.counters.failed_tries.add();
        set.note_failure(index, &error.to_string());
        let target = &set.all()[index];
        let instance = &target.instance;
        tracing::debug!(%instance, address = %target.address, %error, "a datagram was refused");
    }

    fn note_answer(&self, link: Option<&Link>) {
        self.answered.store(true, Ordering::Relaxed);
        if let Some(link) = link {
            link.set.note_success(link.index);
        }
    }
}

/// Datagrams may be large, flows are many, and most of them wait: one buffer
/// a thread serves all.
async fn receive(socket: &UdpSocket) -> io::Result<Bytes> {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM]);
    }
    loop {
        socket.readable().await?;
        let received = BUFFER.with_borrow_mut(|buffer| {
            socket.try_recv(buffer).map(|count| Bytes::copy_from_slice(&buffer[..count]))
        });
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}
