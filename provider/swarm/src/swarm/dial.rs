//! Peers are dialled while something is missing, with backoff.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::time::{sleep, timeout};

use super::room::Room;
use super::{run, Inner};
use crate::Fault;

/// A connection that lasted so long was a good one: the next is at once.
const LASTED: Duration = Duration::from_secs(10);

/// Makes the dialers those of exactly these peers.
pub(super) fn set_peers(inner: &Arc<Inner>, room: &Arc<Room>, peers: BTreeSet<String>) {
    let mut state = room.state();
    state.dialers.retain(|peer, dialer| {
        let stays = peers.contains(peer);
        if !stays {
            dialer.abort();
        }
        stays
    });
    if state.left {
        return;
    }
    for peer in peers {
        let dialling = keep_dialling(inner.clone(), room.clone(), peer.clone());
        state.dialers.entry(peer).or_insert_with(|| tokio::spawn(dialling));
    }
}

async fn keep_dialling(inner: Arc<Inner>, room: Arc<Room>, peer: String) {
    let (first, last) = inner.limits.backoff;
    let mut pause = first;
    loop {
        wait_for_need(&inner, &room, &peer).await;
        let begun = Instant::now();
        let fault = dial(&inner, &room, &peer).await;
        pause = match begun.elapsed() > LASTED {
            true => first,
            false => (pause * 2).min(last),
        };
        tracing::debug!(%peer, deployment = %room.deployment, "blobs: {fault}; again in {pause:?}");
        // Not all at one time, who lost one peer at one time.
        let part = rand::thread_rng().gen_range(0.5..1.0);
        sleep(pause.mul_f64(part)).await;
    }
}

async fn wait_for_need(inner: &Inner, room: &Room, peer: &str) {
    loop {
        let changed = room.changed.notified();
        {
            let state = room.state();
            if state.is_missing() && !state.is_connected(peer) && state.ban(peer).is_none() {
                return;
            }
        }
        let _ = timeout(inner.limits.backoff.0 * 4, changed).await;
    }
}

async fn dial(inner: &Arc<Inner>, room: &Arc<Room>, peer: &str) -> Fault {
    let Some(rights) = inner.access.rights(&room.deployment, peer).await else {
        return Fault::NotAllowed;
    };
    match timeout(inner.limits.hello, inner.dial.dial(peer)).await {
        Ok(Ok(stream)) => {
            // It outlives the dialer: peers may use it when nothing is missing here.
            let (inner, room, peer) = (Arc::clone(inner), Arc::clone(room), peer.to_owned());
            let opened = async move { run::opened(&inner, &room, stream, &peer, rights).await };
            tokio::spawn(opened).await.unwrap_or(Fault::Local)
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, "dialling: {error}");
            Fault::Lost
        }
        Err(_) => Fault::Lost,
    }
}
