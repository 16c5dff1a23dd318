//! UDP through tunnels: each sender's address is a flow, and all flows of a
//! port that go to one peer share a session.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::dial::Ready;
use super::flow::{End, Flow};
use super::frames::{self, MAX_DATAGRAM};
use super::link::Common;
use super::preface::Ask;
use super::tls::Session;
use super::tunnel::Tunnel;
use crate::reach::Reach;

/// As conntrack has them: flows that were never answered, and others.
pub(super) const UNANSWERED: Duration = Duration::from_secs(30);
pub(super) const ANSWERED: Duration = Duration::from_secs(180);
const SWEEP: Duration = Duration::from_secs(5);
/// Flows of one session, and of one port.
const MOST_FLOWS: usize = 1_024;
/// Datagrams that wait; more are dropped, as UDP may.
const WAITING: usize = 256;
/// Frames go together into one write up to about so many bytes.
const BATCH: usize = 64 << 10;
/// A peer that has not acknowledged what was sent for so long is gone: others
/// wait less patiently for datagrams than for a connection's bytes.
const GONE: Duration = Duration::from_secs(10);
/// How often a session's tunnel is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Where no session is to be had, or one fails at once, the next waits.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) type Datagram = (u32, Bytes);

/// The server's side of a session: a socket to an instance for each flow.
pub(super) async fn serve(
    tunnel: &Arc<Tunnel>,
    session: &mut Session,
    reach: &Reach,
) -> io::Result<()> {
    let (mut out, mut into) = session.split();
    let (to_peer, mut from_flows) = mpsc::channel::<Datagram>(WAITING);
    let mut flows: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut reader = frames::Reader::default();
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            content = into.receive() => {
                reader.push(&content?);
                while let Some((flow, datagram)) = reader.next().map_err(io::Error::other)? {
                    tunnel.traffic.from_peer.fetch_add(datagram.len() as u64, Ordering::Relaxed);
                    let datagram = Bytes::copy_from_slice(datagram);
                    if let Some(known) = flows.get(&flow) {
                        // Where it waits for room, it is lost.
                        let _ = known.try_send(datagram);
                    } else if flows.len() < MOST_FLOWS {
                        let (give, from_peer) = mpsc::channel(WAITING);
                        let _ = give.try_send(datagram);
                        flows.insert(flow, give);
                        let (tunnel, reach) = (Arc::clone(tunnel), reach.clone());
                        let to_peer = to_peer.clone();
                        tasks.spawn(Flow { id: flow, tunnel, reach, from_peer, to_peer }.run());
                    }
                }
            }
            Some(first) = from_flows.recv() => {
                let count = gather(first, &mut from_flows, &mut batch);
                tunnel.traffic.to_peer.fetch_add(count, Ordering::Relaxed);
                out.send(&batch).await?;
            }
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                match ended {
                    Ok((flow, End::Silence)) => drop(flows.remove(&flow)),
                    // The peer finds another backend, where there is one.
                    Ok((_, End::NoInstance)) => {
                        return Err(io::Error::other("no instance takes datagrams"));
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

/// Frames of what waits, and how many bytes of datagrams they hold.
fn gather(first: Datagram, waiting: &mut mpsc::Receiver<Datagram>, batch: &mut Vec<u8>) -> u64 {
    batch.clear();
    let (mut next, mut count) = (Some(first), 0);
    while let Some((flow, datagram)) = next.take() {
        if frames::write(flow, &datagram, batch) {
            count += datagram.len() as u64;
        }
        if batch.len() < BATCH {
            next = waiting.try_recv().ok();
        }
    }
    count
}

/// One buffer a thread serves all sockets that wait.
pub(super) async fn receive(socket: &UdpSocket) -> io::Result<Bytes> {
    loop {
        socket.readable().await?;
        match with_buffer(|buffer| socket.try_recv(buffer).map(|count| (count, ()))) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other.map(|(bytes, ())| bytes),
        }
    }
}

async fn receive_from(socket: &UdpSocket) -> io::Result<(Bytes, SocketAddr)> {
    loop {
        socket.readable().await?;
        match with_buffer(|buffer| socket.try_recv_from(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

fn with_buffer<T>(
    receive: impl FnOnce(&mut [u8]) -> io::Result<(usize, T)>,
) -> io::Result<(Bytes, T)> {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; MAX_DATAGRAM]);
    }
    BUFFER.with_borrow_mut(|buffer| {
        let (count, rest) = receive(buffer)?;
        Ok((Bytes::copy_from_slice(&buffer[..count]), rest))
    })
}

/// The client's side: a port in a link's namespace.
struct Port {
    socket: Arc<UdpSocket>,
    common: Arc<Common>,
    connection: String,
    by_sender: HashMap<SocketAddr, u32>,
    flows: HashMap<u32, Sending>,
    next_flow: u32,
    to_port: mpsc::Sender<Datagram>,
    /// The sessions that flows were given to; a few at most, one a turn.
    sessions: Vec<mpsc::Sender<Datagram>>,
    next_session: usize,
    tasks: JoinSet<()>,
}

/// A sender's flow.
struct Sending {
    sender: SocketAddr,
    session: mpsc::Sender<Datagram>,
    last: Instant,
    answered: bool,
}

/// Sessions that a port spreads its flows over.
const SESSIONS: usize = 4;

/// Serves a port until dropped; its sessions end with it.
pub(super) async fn serve_port(socket: UdpSocket, common: Arc<Common>, connection: String) {
    let (to_port, mut from_sessions) = mpsc::channel(WAITING);
    let socket = Arc::new(socket);
    let mut port = Port {
        socket: Arc::clone(&socket),
        common,
        connection,
        by_sender: HashMap::new(),
        flows: HashMap::new(),
        next_flow: 0,
        to_port,
        sessions: vec![],
        next_session: 0,
        tasks: JoinSet::new(),
    };
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            received = receive_from(&socket) => match received {
                Ok((datagram, sender)) => port.take(sender, datagram),
                // An earlier answer met nobody, or the like: UDP goes on.
                Err(error) => tracing::debug!(%error, "a datagram could not be received"),
            },
            Some((flow, datagram)) = from_sessions.recv() => port.give(flow, &datagram),
            Some(_) = port.tasks.join_next(), if !port.tasks.is_empty() => {}
            _ = sweep.tick() => port.sweep(),
        }
    }
}

impl Port {
    fn take(&mut self, sender: SocketAddr, datagram: Bytes) {
        let known = self.by_sender.get(&sender).copied();
        let live =
            known.filter(|flow| self.flows.get(flow).is_some_and(|flow| !flow.session.is_closed()));
        let flow = match live {
            Some(flow) => flow,
            None => {
                if let Some(dead) = known {
                    self.flows.remove(&dead);
                } else if self.flows.len() >= MOST_FLOWS && !self.make_room() {
                    return;
                }
                match self.begin(sender) {
                    Some(flow) => flow,
                    None => return,
                }
            }
        };
        if let Some(known) = self.flows.get_mut(&flow) {
            known.last = Instant::now();
            let _ = known.session.try_send((flow, datagram));
        }
    }

    fn begin(&mut self, sender: SocketAddr) -> Option<u32> {
        self.sessions.retain(|session| !session.is_closed());
        let session = if self.sessions.len() < SESSIONS {
            let (give, take) = mpsc::channel(WAITING);
            let (common, connection) = (Arc::clone(&self.common), self.connection.clone());
            self.tasks.spawn(run_session(common, connection, take, self.to_port.clone()));
            self.sessions.push(give.clone());
            give
        } else {
            self.next_session = (self.next_session + 1) % self.sessions.len();
            self.sessions[self.next_session].clone()
        };
        self.next_flow = self.next_flow.wrapping_add(1);
        let flow = Sending { sender, session, last: Instant::now(), answered: false };
        self.flows.insert(self.next_flow, flow);
        self.by_sender.insert(sender, self.next_flow);
        Some(self.next_flow)
    }

    /// A flow that was never answered gives way.
    fn make_room(&mut self) -> bool {
        let unanswered = self.flows.iter().find(|(_, flow)| !flow.answered);
        let Some((id, sender)) = unanswered.map(|(id, flow)| (*id, flow.sender)) else {
            return false;
        };
        self.flows.remove(&id);
        self.by_sender.remove(&sender);
        true
    }

    fn give(&mut self, flow: u32, datagram: &[u8]) {
        if let Some(flow) = self.flows.get_mut(&flow) {
            flow.answered = true;
            flow.last = Instant::now();
            // Where the socket has no room, it is lost.
            let _ = self.socket.try_send_to(datagram, flow.sender);
        }
    }

    fn sweep(&mut self) {
        let by_sender = &mut self.by_sender;
        self.flows.retain(|_, flow| {
            let idle = if flow.answered { ANSWERED } else { UNANSWERED };
            let keep = flow.last.elapsed() < idle;
            if !keep {
                by_sender.remove(&flow.sender);
            }
            keep
        });
        // A session without a flow ends: its sender is dropped.
        let flows = &self.flows;
        self.sessions
            .retain(|session| flows.values().any(|flow| flow.session.same_channel(session)));
    }
}

/// Carries flows until the port drops the session, it breaks, or its tunnel is
/// down and another is not. The flows then begin anew with another session.
async fn run_session(
    common: Arc<Common>,
    connection: String,
    mut from_port: mpsc::Receiver<Datagram>,
    to_port: mpsc::Sender<Datagram>,
) {
    let ready = match common.route(&connection) {
        Some(route) => route.open(Ask::Udp).await,
        None => None,
    };
    let Some(Ready { tunnel, mut session, mut hold }) = ready else {
        return tokio::time::sleep(PAUSE).await;
    };
    session.give_up_after(GONE);
    let (_open, begun) = (tunnel.count(), Instant::now());
    let ended = tokio::select! {
        biased;
        () = hold.ended() => return session.cut(),
        () = surpassed(&common, &connection, &tunnel) => return session.cut(),
        ended = carry(&tunnel, &mut session, &mut from_port, &to_port) => ended,
    };
    if let Err(error) = ended {
        tunnel.note_failure(&format!("a session of datagrams: {error}"));
        if begun.elapsed() < PAUSE {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Returns when the tunnel is down and another backend of the connection is
/// not. A peer's kernel may take datagrams long after their reader is gone.
async fn surpassed(common: &Common, connection: &str, tunnel: &Arc<Tunnel>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let route = common.route(connection);
        if tunnel.is_down() && route.is_some_and(|route| route.has_better_than(tunnel)) {
            return;
        }
    }
}

async fn carry(
    tunnel: &Tunnel,
    session: &mut Session,
    from_port: &mut mpsc::Receiver<Datagram>,
    to_port: &mpsc::Sender<Datagram>,
) -> io::Result<()> {
    let (mut out, mut into) = session.split();
    let (mut reader, mut batch) = (frames::Reader::default(), Vec::new());
    loop {
        tokio::select! {
            content = into.receive() => {
                reader.push(&content?);
                while let Some((flow, datagram)) = reader.next().map_err(io::Error::other)? {
                    tunnel.traffic.from_peer.fetch_add(datagram.len() as u64, Ordering::Relaxed);
                    let _ = to_port.try_send((flow, Bytes::copy_from_slice(datagram)));
                }
            }
            next = from_port.recv() => {
                let Some(first) = next else { return out.finish().await };
                let count = gather(first, from_port, &mut batch);
                tunnel.traffic.to_peer.fetch_add(count, Ordering::Relaxed);
                out.send(&batch).await?;
            }
        }
    }
}
