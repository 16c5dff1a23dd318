//! What depends on time: stalls, idle connections, rights, syncs.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Instant;

use blake3::Hash;

use super::hear::sync_later;
use super::room::Room;
use super::session::Session;
use super::Inner;
use crate::store::Holding;
use crate::wire::{Message, Refusal};
use crate::Fault;

/// Ticks between looks for what peers wait for.
const LOOK_EACH: u32 = 4;

/// Looks after a room until it is left.
pub(super) fn start(inner: &Arc<Inner>, room: &Arc<Room>) {
    let (inner, room) = (Arc::downgrade(inner), Arc::downgrade(room));
    tokio::spawn(keep(inner, room));
}

async fn keep(inner: Weak<Inner>, room: Weak<Room>) {
    let (mut checked, mut looked) = (Instant::now(), Instant::now());
    let Some(tick) = inner.upgrade().map(|inner| inner.limits.tick) else { return };
    loop {
        tokio::time::sleep(tick).await;
        let (Some(inner), Some(room)) = (inner.upgrade(), room.upgrade()) else { return };
        let syncs = {
            let mut state = room.state();
            if state.left {
                return;
            }
            for session in state.sessions.values_mut() {
                if let Some(fault) = over(&inner, session) {
                    session.close(fault);
                }
            }
            state.banned.retain(|_, (_, until)| until.is_none_or(|until| until > Instant::now()));
            state.wake();
            let holdings = state.blobs.values().filter_map(|blob| blob.holding());
            holdings.filter(|holding| holding.due() >= 100).cloned().collect::<Vec<Arc<Holding>>>()
        };
        for holding in &syncs {
            sync_later(&room, holding);
        }
        if looked.elapsed() >= tick * LOOK_EACH {
            looked = Instant::now();
            look_again(&inner, &room).await;
        }
        if checked.elapsed() >= inner.limits.recheck {
            checked = Instant::now();
            check_rights(&inner, &room).await;
            if is_empty(&room) {
                let mut rooms = inner.rooms();
                if is_empty(&room) {
                    rooms.remove(&room.deployment);
                    room.state().left = true;
                    return;
                }
            }
        }
    }
}

/// What peers wait for may have come meanwhile.
async fn look_again(inner: &Inner, room: &Room) {
    let waited_for: BTreeSet<[u8; 32]> =
        room.state().waited_for().map(|root| *root.as_bytes()).collect();
    for root in waited_for {
        let root = Hash::from_bytes(root);
        if let Some(holding) = inner.access.holding(&room.deployment, &root).await {
            room.offer(&holding);
        }
    }
}

/// Why a session is to end now.
fn over(inner: &Inner, session: &Session) -> Option<Fault> {
    let limits = &inner.limits;
    if session.stalled() > limits.stall {
        return Some(Fault::Stalled);
    }
    let nothing = session.asked.is_empty() && session.uploads.is_empty();
    let idle = session.busy.elapsed() > limits.silence * 2;
    (nothing && idle).then_some(Fault::Lost)
}

/// Closes what is no longer allowed, and learns who may fetch now.
async fn check_rights(inner: &Inner, room: &Room) {
    let peers: Vec<(u64, String)> =
        room.state().sessions.iter().map(|(id, session)| (*id, session.peer.clone())).collect();
    for (id, peer) in peers {
        let rights = inner.access.rights(&room.deployment, &peer).await;
        let mut state = room.state();
        let Some(session) = state.sessions.get_mut(&id) else { continue };
        match rights {
            Some(rights) => {
                session.rights = rights;
                if !rights.may_fetch {
                    // Else it would wait for them, and take that for a stall.
                    for (root, piece) in std::mem::take(&mut session.uploads) {
                        session.say(Message::Refuse { root, piece, why: Refusal::NotAllowed });
                    }
                }
            }
            None => session.close(Fault::NotAllowed),
        }
    }
}

/// Nothing is fetched, nobody is connected, nobody is to be dialled.
fn is_empty(room: &Room) -> bool {
    let state = room.state();
    let quiet = state.sessions.is_empty() && state.dialers.is_empty();
    quiet && !state.is_missing() && state.banned.is_empty()
}
