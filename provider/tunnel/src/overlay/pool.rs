//! Sessions that have shaken hands and wait for a connection to carry, so that
//! a workload's connection costs no handshake.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::dial::handshake;
use super::preface::{self, Answer, Ask};
use super::tls::Session;
use super::tunnel::{Hold, Tunnel};

/// Sessions that wait, in the whole process.
pub(super) const MOST: usize = 4_096;
/// For one tunnel.
const MOST_PER_TUNNEL: usize = 8;
/// Each is asked so often whether it still lives, which the peer's NAT and
/// `stoa net` like too.
const PING: Duration = Duration::from_secs(20);
/// The peer answers a ping within this, or is gone.
const PONG: Duration = Duration::from_secs(10);
/// A session that has waited for so long gives way to a new one.
const OLDEST: Duration = Duration::from_secs(600);
/// How much is taken is counted over so long.
const WINDOW: Duration = Duration::from_secs(10);
/// After a failure the next handshake waits, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The connection that took a session goes first: a handshake would take from
/// it what the processors have, here and at the peer.
const GIVES_WAY: Duration = Duration::from_millis(2);

/// The sessions that wait for one tunnel.
#[derive(Default)]
pub(super) struct Pool {
    waiting: Mutex<VecDeque<Warm>>,
    changed: Notify,
    /// Taken since the window's beginning.
    taken: AtomicU32,
    wanted: AtomicUsize,
}

/// A session that waits.
pub(super) struct Warm {
    pub(super) session: Session,
    pub(super) hold: Hold,
    made: Instant,
    asked: Instant,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// The one that was used last, if it is as it should be.
    pub(super) fn take(&self) -> Option<(Session, Hold)> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting();
        let found = loop {
            match waiting.pop_back() {
                Some(warm) if warm.session.is_quiet() => break Some(warm),
                Some(_) => {}
                None => break None,
            }
        };
        drop(waiting);
        self.changed.notify_one();
        found.map(|warm| (warm.session, warm.hold))
    }

    pub(super) fn clear(&self) {
        self.waiting().clear();
        self.changed.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Warm>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As many as were taken lately, and one in any case: it tells how the
    /// tunnel is.
    fn resize(&self) {
        let taken = self.taken.swap(0, Ordering::Relaxed) as usize;
        self.wanted.store(taken.clamp(1, MOST_PER_TUNNEL), Ordering::Relaxed);
    }

    fn is_short(&self) -> bool {
        // What was just taken comes back at once; the window sizes it down.
        let taken = self.taken.load(Ordering::Relaxed) as usize;
        let wanted = self.wanted.load(Ordering::Relaxed).max(taken).clamp(1, MOST_PER_TUNNEL);
        self.waiting().len() < wanted
    }
}

/// Looks after a tunnel's pool until the tunnel is closed.
pub(super) async fn keep(tunnel: Arc<Tunnel>, places: Arc<Semaphore>) {
    tokio::select! {
        () = tunnel.closed() => tunnel.pool.clear(),
        () = keep_on(&tunnel, &places) => {}
    }
}

async fn keep_on(tunnel: &Arc<Tunnel>, places: &Arc<Semaphore>) {
    let pool = &tunnel.pool;
    let (mut pause, mut window) = (FIRST_PAUSE, Instant::now());
    loop {
        if window.elapsed() >= WINDOW {
            pool.resize();
            window = Instant::now();
        }
        pool.drop_old();
        while pool.is_short() {
            let Ok(place) = Arc::clone(places).try_acquire_owned() else { break };
            match Box::pin(make(tunnel, place)).await {
                Ok(warm) => {
                    pause = FIRST_PAUSE;
                    pool.waiting().push_back(warm);
                }
                Err(error) => {
                    tunnel.note_failure(&error.to_string());
                    tracing::debug!(tunnel = %tunnel.descriptor, %error, "no session");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        check(tunnel).await;
        let _ = tokio::time::timeout(WINDOW, pool.changed.notified()).await;
        tokio::time::sleep(GIVES_WAY).await;
    }
}

async fn make(tunnel: &Arc<Tunnel>, place: OwnedSemaphorePermit) -> io::Result<Warm> {
    let (mut session, hold) = handshake(tunnel).await?;
    // The peer's word about this side's certificate comes with its answer; the
    // time of the next one is the way's alone.
    tokio::time::timeout(PONG, ask(&mut session, Ask::Ping)).await??;
    ping(tunnel, &mut session).await?;
    let now = Instant::now();
    Ok(Warm { session, hold, made: now, asked: now, _place: place })
}

/// Asks those that have waited for long.
async fn check(tunnel: &Tunnel) {
    let pool = &tunnel.pool;
    for _ in 0..MOST_PER_TUNNEL {
        let first = pool.waiting().pop_front();
        let Some(mut warm) = first else { return };
        if warm.asked.elapsed() < PING {
            pool.waiting().push_front(warm);
            return;
        }
        match ping(tunnel, &mut warm.session).await {
            Ok(()) => {
                warm.asked = Instant::now();
                pool.waiting().push_back(warm);
            }
            Err(error) => {
                tunnel.note_failure(&format!("a session that waited: {error}"));
                pool.changed.notify_one();
            }
        }
    }
}

async fn ping(tunnel: &Tunnel, session: &mut Session) -> io::Result<()> {
    let begin = Instant::now();
    let answer = tokio::time::timeout(PONG, ask(session, Ask::Ping)).await??;
    if answer != Answer::Ready {
        return Err(io::Error::other(format!("the peer answers a ping with {answer:?}")));
    }
    tunnel.note_rtt(begin.elapsed());
    Ok(())
}

/// Asks, and reads the answer.
pub(super) async fn ask(session: &mut Session, what: Ask) -> io::Result<Answer> {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    session.send(&preface::ask(what, number)).await?;
    let (answer, echoed) =
        preface::read_answer(&session.receive().await?).map_err(io::Error::other)?;
    match echoed == number {
        true => Ok(answer),
        false => Err(io::Error::other("the peer answers another question")),
    }
}

impl Pool {
    fn drop_old(&self) {
        let mut waiting = self.waiting();
        let wanted = self.wanted.load(Ordering::Relaxed).max(1);
        waiting.retain(|warm| warm.made.elapsed() < OLDEST);
        // The longest waiting go first; those taken lately are at the back.
        while waiting.len() > wanted.max(self.taken.load(Ordering::Relaxed) as usize) {
            waiting.pop_front();
        }
    }
}
