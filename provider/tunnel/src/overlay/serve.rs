//! The tunnels' server side: peers' data planes connect, are let into the
//! tunnel that they name and belong to, and are joined with an instance.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::preface::{self, Answer, Ask};
use super::relay::{break_on_close, end_on_close, relay};
use super::tls::{Hello, Session};
use super::tunnel::{Hold, Tunnel, Way};
use super::udp;
use crate::reach::{InstanceStream, Reach};
use crate::routes::Transport;
use crate::slots::{places, ClientCounts, Slot};
use crate::targets::TargetSet;

/// Peers that have not shown who they are.
const STRANGERS: usize = 512;
const STRANGERS_PER_ADDRESS: usize = 128;
/// From the connection to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A session without a preface: peers ping theirs every 20 s.
const SILENCE: Duration = Duration::from_secs(90);
/// Connecting to an instance.
const DIAL: Duration = Duration::from_secs(5);
/// Instances tried for one connection.
const TRIES: usize = 4;
/// Sessions in all, and of one tunnel.
pub(super) const SESSIONS: usize = 32_768;
const SESSIONS_PER_TUNNEL: u64 = 4_096;
/// A failing accept (no more descriptors) is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What listeners serve.
pub(super) struct Serving {
    pub(super) reach: Reach,
    /// By the name that peers ask for.
    pub(super) tunnels: RwLock<HashMap<String, Arc<Tunnel>>>,
    strangers: Arc<Semaphore>,
    /// Their tasks, as they came.
    waiting: Mutex<VecDeque<AbortHandle>>,
    clients: Arc<ClientCounts>,
    sessions: Arc<Semaphore>,
}

impl Serving {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            reach,
            tunnels: RwLock::default(),
            strangers: places(STRANGERS),
            waiting: Mutex::default(),
            clients: Arc::default(),
            sessions: places(SESSIONS),
        }
    }

    /// A place for one more stranger. Where all are taken, the one that came
    /// first gives way: who belongs here is not kept out by who does not.
    async fn slot(&self, peer: SocketAddr) -> Option<Slot> {
        if self.clients.has(peer.ip(), STRANGERS_PER_ADDRESS) {
            return None;
        }
        let place = match Arc::clone(&self.strangers).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                self.turn_away_the_first();
                Arc::clone(&self.strangers).acquire_owned().await.ok()?
            }
        };
        Slot::take(&self.clients, peer.ip(), STRANGERS_PER_ADDRESS, place)
    }

    fn turn_away_the_first(&self) {
        let mut waiting = self.waiting();
        waiting.retain(|task| !task.is_finished());
        if let Some(first) = waiting.pop_front() {
            first.abort();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<AbortHandle>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.front().is_some_and(AbortHandle::is_finished) {
            waiting.pop_front();
        }
        waiting
    }

    fn find(&self, name: &str) -> Option<Arc<Tunnel>> {
        self.tunnels.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Serves a listener; what came through it lives on when this is dropped.
pub(super) async fn listen(listener: TcpListener, serving: Arc<Serving>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if let Some(slot) = serving.slot(peer).await {
                    let task = tokio::spawn(serve(socket, peer, slot, Arc::clone(&serving)));
                    serving.waiting().push_back(task.abort_handle());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a tunnel's connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, slot: Slot, serving: Arc<Serving>) {
    let meeting = meet(socket, peer, &serving);
    let met = tokio::time::timeout(HANDSHAKE, meeting).await;
    drop(slot);
    let (tunnel, session, hold, place) = match met {
        Ok(Ok(met)) => met,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "refused"),
        Err(_) => return tracing::debug!(%peer, "refused: no handshake in time"),
    };
    // A task of its own: what the handshake took is given back.
    tokio::spawn(async move {
        converse(tunnel, session, hold, &serving).await;
        drop(place);
    });
}

type Met = (Arc<Tunnel>, Session, Hold, OwnedSemaphorePermit);

/// Finds out which tunnel the peer is for, and whether it belongs there.
async fn meet(socket: TcpStream, peer: SocketAddr, serving: &Serving) -> io::Result<Met> {
    socket.set_nodelay(true)?;
    let hello = Hello::receive(socket).await?;
    let tunnel = serving.find(hello.name()).ok_or_else(|| io::Error::other("no such tunnel"))?;
    let shaken = async {
        let session = hello.accept(tunnel.material()?.server()?).await?;
        let hold = tunnel.admit(&session, peer.to_string())?;
        Ok((session, hold))
    };
    let (session, hold) = shaken.await.inspect_err(|error: &io::Error| {
        tracing::warn!(tunnel = %tunnel.descriptor, %peer, %error, "a peer is refused");
        tunnel.note_failure(&format!("{peer} is refused: {error}"));
    })?;
    let place = Arc::clone(&serving.sessions).try_acquire_owned().map_err(io::Error::other)?;
    Ok((tunnel, session, hold, place))
}

/// Answers pings until a connection is asked for, and carries it.
async fn converse(tunnel: Arc<Tunnel>, mut session: Session, mut hold: Hold, serving: &Serving) {
    loop {
        let preface = tokio::select! {
            biased;
            () = hold.ended() => return session.cut(),
            preface = tokio::time::timeout(SILENCE, session.receive()) => preface,
        };
        // A peer that goes without a word has used the session up.
        let Ok(Ok(preface)) = preface else { return };
        let (ask, number) = match preface::read_ask(&preface) {
            Ok(read) => read,
            Err(error) => return tunnel.note_failure(&error.to_string()),
        };
        let going_on = match ask {
            Some(Ask::Ping) => session.send(&preface::answer(Answer::Ready, number)).await.is_ok(),
            Some(what) => {
                let carried = Box::pin(carry(&tunnel, what, number, &mut session, serving));
                tokio::select! {
                    biased;
                    () = hold.ended() => session.cut(),
                    () = carried => {}
                }
                false
            }
            None => {
                let _ = session.send(&preface::answer(Answer::Unknown, number)).await;
                false
            }
        };
        if !going_on {
            return;
        }
    }
}

async fn carry(
    tunnel: &Arc<Tunnel>,
    what: Ask,
    number: u32,
    session: &mut Session,
    serving: &Serving,
) {
    let Way::In { transport, targets } = tunnel.current().way else { return };
    let wanted = if what == Ask::Tcp { Transport::Tcp } else { Transport::Udp };
    let refuse = |what| preface::answer(what, number);
    if wanted != transport {
        let _ = session.send(&refuse(Answer::Unknown)).await;
        return;
    }
    if tunnel.open() >= SESSIONS_PER_TUNNEL {
        let _ = session.send(&refuse(Answer::Busy)).await;
        return;
    }
    let _open = tunnel.count();
    if transport == Transport::Udp && targets.all().is_empty() {
        let _ = session.send(&refuse(Answer::NoInstance)).await;
        return;
    }
    if transport == Transport::Udp {
        let ready = session.send(&preface::answer(Answer::Ready, number)).await;
        if ready.is_ok() {
            let _ = udp::serve(tunnel, session, &serving.reach).await;
        }
        return;
    }
    let Some(instance) = dial(tunnel, &targets, &serving.reach).await else {
        let _ = session.send(&refuse(Answer::NoInstance)).await;
        return;
    };
    let mut joined = Joined::new(instance);
    if session.send(&preface::answer(Answer::Ready, number)).await.is_err() {
        return;
    }
    // How it ended is the two ends' affair.
    if relay(&mut joined.stream, session, &tunnel.traffic).await.is_ok() {
        joined.end();
    }
}

/// A workload's connection. Until it has ended well its workload learns of its
/// end as a break, also where this process is killed: the kernel sees to it.
pub(super) struct Joined {
    pub(super) stream: InstanceStream,
}

impl Joined {
    pub(super) fn new(stream: InstanceStream) -> Self {
        break_on_close(&stream);
        Self { stream }
    }

    /// Both directions have ended: what is under way still goes out.
    pub(super) fn end(self) {
        end_on_close(&self.stream);
    }
}

/// Connects to the first instance in turn that answers.
async fn dial(tunnel: &Tunnel, targets: &TargetSet, reach: &Reach) -> Option<InstanceStream> {
    for index in targets.order().into_iter().take(TRIES) {
        let target = &targets.all()[index];
        match reach.connect(target, DIAL).await {
            Ok(stream) => {
                targets.note_success(index);
                return Some(stream);
            }
            Err(error) => {
                targets.note_failure(index, &error.to_string());
                tunnel.note_failure(&format!("{}: {error}", target.instance));
                let instance = &target.instance;
                tracing::warn!(%instance, address = %target.address, %error, "a try failed");
            }
        }
    }
    None
}
