//! Letting connections in: so many in all, so many of one address, so often.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{watch, Notify};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Busy};
use super::connection::{self, Timing};
use super::dispatch::Hall;
use super::rates::Rates;
use super::slots::{neighbourhood, Full, Slot, Slots};
use crate::config::Gateway as Settings;

/// For one that was asked to make room.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
/// After a failure to accept, such as want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// A peer that takes nothing for so long is gone.
const UNREAD: Duration = Duration::from_secs(300);

/// A connection's place, shared with what it was upgraded to.
pub type Place = Arc<Taken>;

/// What the connections have in common.
pub(super) struct Door {
    acceptor: TlsAcceptor,
    hall: Arc<Hall>,
    slots: Arc<Slots<IpAddr>>,
    arrivals: Rates<IpAddr>,
    timing: Timing,
    ends: watch::Receiver<bool>,
    guests: Arc<Guests>,
}

/// All connections, by a number of their own.
#[derive(Debug, Default)]
pub(super) struct Guests {
    present: Mutex<(u64, HashMap<u64, Arc<Activity>>)>,
    left: Notify,
}

/// A connection's place and its entry among the guests.
#[derive(Debug)]
pub struct Taken {
    number: u64,
    guests: Arc<Guests>,
    slot: Option<Slot<IpAddr>>,
    activity: Arc<Activity>,
}

impl Taken {
    /// It is used, until this is dropped.
    pub(in super::super) fn busy(&self) -> Busy {
        self.activity.begin()
    }
}

impl Door {
    pub(super) fn new(
        settings: &Settings,
        config: Arc<ServerConfig>,
        hall: Arc<Hall>,
        ends: watch::Receiver<bool>,
    ) -> Self {
        let limits = &settings.limits;
        Self {
            acceptor: TlsAcceptor::from(config),
            hall,
            slots: Slots::new(settings.max_connections, limits.connections_per_address),
            arrivals: Rates::new(limits.requests_per_second),
            timing: Timing {
                handshake: Duration::from_secs(limits.handshake_seconds),
                header: Duration::from_secs(limits.header_seconds),
                idle: Duration::from_secs(limits.idle_seconds),
            },
            ends,
            guests: Arc::default(),
        }
    }

    /// Lets connections in for ever.
    pub(super) async fn run(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((socket, address)) => self.admit(socket, address).await,
                Err(error) => {
                    // Out of descriptors, or the peer went: neither is ours to die of.
                    tracing::warn!("accepting a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Resolves when no connection is left.
    pub(super) async fn emptied(&self) {
        loop {
            let left = self.guests.left.notified();
            if self.guests.present().1.is_empty() {
                return;
            }
            left.await;
        }
    }

    async fn admit(&self, socket: TcpStream, address: SocketAddr) {
        let near = neighbourhood(address.ip());
        if !self.arrivals.take(&near) {
            tracing::debug!(%address, "connects too often");
            return;
        }
        let Some(slot) = self.place(near).await else {
            tracing::debug!(%address, "has as many connections as it may");
            return;
        };
        let _ = socket.set_nodelay(true);
        let unread = u32::try_from(UNREAD.as_millis()).unwrap_or(u32::MAX);
        let _ = setsockopt(&socket, sockopt::TcpUserTimeout, &unread);
        let activity = Activity::new();
        let place = self.guests.enter(slot, Arc::clone(&activity));
        let (acceptor, hall) = (self.acceptor.clone(), Arc::clone(&self.hall));
        let (timing, ends) = (self.timing, self.ends.clone());
        tokio::spawn(async move {
            connection::serve(socket, address, acceptor, hall, activity, place, timing, ends).await;
        });
    }

    /// A place; where there is none, the one that was idle longest makes
    /// room. An address that has its own fill gets none.
    async fn place(&self, near: IpAddr) -> Option<Slot<IpAddr>> {
        match self.slots.take(&near) {
            Ok(slot) => return Some(slot),
            Err(Full::Own) => return None,
            Err(Full::All) => {}
        }
        let left = self.guests.left.notified();
        if !self.guests.make_room() {
            return None;
        }
        let _ = tokio::time::timeout(ROOM_WITHIN, left).await;
        self.slots.take(&near).ok()
    }
}

impl Guests {
    fn present(&self) -> MutexGuard<'_, (u64, HashMap<u64, Arc<Activity>>)> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, slot: Slot<IpAddr>, activity: Arc<Activity>) -> Place {
        let mut present = self.present();
        present.0 += 1;
        let number = present.0;
        present.1.insert(number, Arc::clone(&activity));
        drop(present);
        Arc::new(Taken { number, guests: Arc::clone(self), slot: Some(slot), activity })
    }

    /// False where all are in use.
    fn make_room(&self) -> bool {
        let present = self.present();
        let idle = present.1.values().filter_map(|one| Some((one.idle_since()?, one)));
        let longest = idle.min_by_key(|(since, _)| *since);
        longest.map(|(_, one)| one.evict()).is_some()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // First, so that who waits finds it free.
        drop(self.slot.take());
        self.guests.present().1.remove(&self.number);
        self.guests.left.notify_waiters();
    }
}
