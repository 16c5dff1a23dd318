//! What is told of the engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use blake3::Hash;

use super::room::State;
use crate::Fault;

/// How far a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub root: Hash,
    /// Bytes; None while no peer has proven it.
    pub size: Option<u64>,
    /// Verified bytes that are here.
    pub have: u64,
    /// Whole and durable.
    pub finished: bool,
    /// It is fetched here; else only served.
    pub wanted: bool,
    /// Bytes that came from each peer since the daemon's start.
    pub from: BTreeMap<String, u64>,
}

/// One of a deployment's peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    pub peer: String,
    pub connected: bool,
    /// Kept out, and why.
    pub dropped: Option<Fault>,
    /// Why its last connection ended.
    pub last: Option<Fault>,
}

/// Sums since the start.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    wasted: AtomicU64,
    sent: AtomicU64,
    dropped: [AtomicU64; Fault::ALL.len()],
}

impl Counters {
    /// Bytes of pieces that were verified and new.
    pub fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of pieces that were here already.
    pub fn bytes_wasted(&self) -> u64 {
        self.wasted.load(Ordering::Relaxed)
    }

    /// Bytes of pieces that were sent.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Connections that ended, or were refused, for a reason.
    pub fn ended(&self, fault: Fault) -> u64 {
        let at = Fault::ALL.iter().position(|known| *known == fault);
        at.and_then(|at| self.dropped.get(at)).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn wasted(&self, bytes: u64) {
        self.wasted.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, fault: Fault) {
        let at = Fault::ALL.iter().position(|known| *known == fault);
        if let Some(count) = at.and_then(|at| self.dropped.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl State {
    pub(super) fn progress(&self) -> Vec<Progress> {
        let all = self.blobs.values().map(|blob| Progress {
            root: blob.root,
            size: blob.holding().map(|holding| holding.shape().size()),
            have: blob.holding().map_or(0, |holding| holding.bytes()),
            finished: blob.holding().is_some_and(|holding| holding.is_finished()),
            wanted: blob.wanted,
            from: blob.from.clone(),
        });
        all.collect()
    }

    pub(super) fn peer_statuses(&self) -> Vec<PeerStatus> {
        let connected = self.sessions.values().map(|session| &session.peer);
        let names = self.dialers.keys().chain(connected).chain(self.last.keys());
        let mut names: Vec<&String> = names.collect();
        names.sort_unstable();
        names.dedup();
        let all = names.into_iter().map(|peer| PeerStatus {
            peer: peer.clone(),
            connected: self.is_connected(peer),
            dropped: self.ban(peer),
            last: self.last.get(peer).copied(),
        });
        all.collect()
    }
}
