//! Outgoing connections: a session in a tunnel whose peer has said that the
//! workload is there, at the first backend in turn that gives one.

mod connect;

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::ask;
use super::preface::{Answer, Ask};
use super::tls::{self, Session};
use super::tunnel::{Hold, Tunnel, Way};

/// Connecting to a peer and shaking hands.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The peer dials its instances meanwhile.
const ANSWER: Duration = Duration::from_secs(12);
/// Tunnels tried for one connection.
const TRIES: usize = 6;

/// What local services may dial under one id.
pub(super) struct Route {
    backends: Vec<Arc<Tunnel>>,
    next: AtomicUsize,
}

/// A session whose rest is the workloads'.
pub(super) struct Ready {
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) session: Session,
    pub(super) hold: Hold,
}

impl Route {
    pub(super) fn new(backends: Vec<Arc<Tunnel>>) -> Self {
        Self { backends, next: AtomicUsize::new(0) }
    }

    pub(super) fn leads_to(&self, backends: &[Arc<Tunnel>]) -> bool {
        let same = |(one, other): (&Arc<Tunnel>, &Arc<Tunnel>)| Arc::ptr_eq(one, other);
        self.backends.len() == backends.len() && self.backends.iter().zip(backends).all(same)
    }

    /// Whether another tunnel is not known to be down.
    pub(super) fn has_better_than(&self, tunnel: &Arc<Tunnel>) -> bool {
        self.backends.iter().any(|other| !Arc::ptr_eq(other, tunnel) && !other.is_down())
    }

    /// The tunnels in turn, those that failed a moment ago last.
    fn order(&self) -> Vec<Arc<Tunnel>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let all = self.backends.iter();
        let turn = all.cycle().skip(first % self.backends.len().max(1)).take(self.backends.len());
        let mut order: Vec<_> = turn.cloned().collect();
        order.sort_by_key(|tunnel| tunnel.is_resting());
        order
    }

    /// Opens a connection at one of them.
    pub(super) async fn open(&self, what: Ask) -> Option<Ready> {
        for tunnel in self.order().into_iter().take(TRIES) {
            match open(&tunnel, what).await {
                Ok((session, hold)) => return Some(Ready { tunnel, session, hold }),
                Err(error) => {
                    tunnel.note_failure(&error.to_string());
                    tracing::warn!(tunnel = %tunnel.descriptor, %error, "a try failed");
                }
            }
        }
        None
    }
}

async fn open(tunnel: &Arc<Tunnel>, what: Ask) -> io::Result<(Session, Hold)> {
    if let Some(warm) = tunnel.pool.take() {
        // A session that waited may have died unseen; that says nothing yet.
        match begin(warm, what).await {
            Err(error) if error.kind() != ErrorKind::NotConnected => {
                tracing::debug!(tunnel = %tunnel.descriptor, %error, "a waiting session");
            }
            result => return result,
        }
    }
    let fresh = handshake(tunnel).await?;
    begin(fresh, what).await
}

/// [`ErrorKind::NotConnected`] where the peer said no.
async fn begin((mut session, mut hold): (Session, Hold), what: Ask) -> io::Result<(Session, Hold)> {
    let asking = tokio::time::timeout(ANSWER, ask(&mut session, what));
    let answer = tokio::select! {
        biased;
        () = hold.ended() => return Err(not_connected("the tunnel is closed")),
        answer = asking => answer??,
    };
    match answer {
        Answer::Ready => Ok((session, hold)),
        Answer::NoInstance => Err(not_connected("at the peer no instance takes a connection")),
        Answer::Busy => Err(not_connected("the peer has too many connections in this tunnel")),
        Answer::Unknown => Err(not_connected("the peer does not carry this in the tunnel")),
    }
}

fn not_connected(words: &str) -> io::Error {
    io::Error::new(ErrorKind::NotConnected, words.to_owned())
}

/// A new session, at the first endpoint that gives one.
pub(super) async fn handshake(tunnel: &Arc<Tunnel>) -> io::Result<(Session, Hold)> {
    if tunnel.is_closed() {
        return Err(io::Error::other("the tunnel is closed"));
    }
    let Way::Out { endpoints } = tunnel.current().way else {
        return Err(io::Error::other("the tunnel does not lead out"));
    };
    let mut last = io::Error::other("the peer has no endpoint");
    for endpoint in endpoints {
        let shaking = shake(tunnel, &endpoint);
        match tokio::time::timeout(HANDSHAKE, shaking).await {
            Ok(Ok(session)) => {
                let hold = tunnel.admit(&session, endpoint)?;
                return Ok((session, hold));
            }
            Ok(Err(error)) => last = io::Error::new(error.kind(), format!("{endpoint}: {error}")),
            Err(_) => {
                let words = format!("{endpoint}: no handshake within {} s", HANDSHAKE.as_secs());
                last = io::Error::new(ErrorKind::TimedOut, words);
            }
        }
    }
    Err(last)
}

async fn shake(tunnel: &Tunnel, endpoint: &str) -> io::Result<Session> {
    let material = tunnel.material()?;
    let socket = connect::connect(endpoint).await?;
    socket.set_nodelay(true)?;
    let begin = Instant::now();
    let session = tls::connect(socket, &material).await?;
    tracing::trace!(tunnel = %tunnel.descriptor, took = ?begin.elapsed(), "hands are shaken");
    Ok(session)
}
