//! The loop: one look at chain and engine, then a turn for each lease that
//! needs one. Turns of different leases run side by side, so that a slow
//! image holds nobody else up.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::TxQueue;
use tokio::sync::Notify;

use super::closing::{self, Unknown};
use super::grace::Grace;
use super::images::ImageEngine;
use super::routes::Routes;
use super::shared::Shared;
use super::work::{now, Outcome, Turn};
use super::{garbage, Board};
use crate::chain::{ChainReads, LeaseView, View, Views};
use crate::config::Config;
use crate::ingress::{Ingress, Live};
use crate::overlay::{Joined, Overlay};
use crate::runtime::{Backend, Observation};
use crate::secrets::Secrets;
use crate::store::{BlobStore, LeaseStore, ManifestStore, StoredManifest};

/// Between looks while something is under way, and while nothing is.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(5);
/// Between tries of a turn that fails.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LAST_BACKOFF: Duration = Duration::from_secs(60);
/// After so many failures each further one is an alert.
const ALERT_AFTER: u32 = 5;
const GARBAGE_EVERY: Duration = Duration::from_secs(600);

/// What the loop is made of.
pub struct Parts {
    pub config: Arc<Config>,
    pub reads: Arc<dyn ChainReads>,
    pub queue: TxQueue,
    pub backend: Arc<dyn Backend>,
    pub image_engine: Arc<dyn ImageEngine>,
    pub manifests: Arc<ManifestStore>,
    pub blobs: Arc<BlobStore>,
    pub leases: Arc<LeaseStore>,
    pub board: Arc<Board>,
    pub overlay: Arc<Overlay>,
    pub secrets: Arc<Secrets>,
    /// Something arrived: look now.
    pub wake: Arc<Notify>,
}

/// The loop.
pub struct Reconciler {
    shared: Arc<Shared>,
    views: Views,
    ingress: Ingress,
    overlay: Arc<Overlay>,
    unknown: Unknown,
    grace: Grace,
    routes: Routes,
    collected_at: Option<Instant>,
    images_at: Instant,
    /// What the last look saw on chain, and when the next is due anyway.
    looked_at: Option<Wanted>,
    next_look: tokio::time::Instant,
}

/// What of the chain bears on what is to run: lease, version, state.
type Wanted = Vec<(String, String, i32)>;

impl Reconciler {
    pub fn new(parts: Parts, views: Views, ingress: Ingress) -> Self {
        let overlay = Arc::clone(&parts.overlay);
        let shared = Shared::new(parts);
        let shared = Arc::new(shared);
        Self {
            shared,
            views,
            ingress,
            overlay,
            unknown: Unknown::new(),
            grace: Grace::default(),
            routes: Routes::default(),
            collected_at: None,
            images_at: Instant::now(),
            looked_at: None,
            next_look: tokio::time::Instant::now(),
        }
    }

    /// Goes on until the views end.
    pub async fn run(mut self) {
        let listener = tokio::spawn(listen(Arc::clone(&self.shared)));
        loop {
            let block = tokio::select! {
                changed = self.views.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => break,
                },
                () = self.shared.wake.notified() => false,
                () = tokio::time::sleep_until(self.next_look) => false,
            };
            let Some(view) = self.views.borrow_and_update().clone() else {
                self.rest();
                continue;
            };
            let wanted = Some(wanted(&view));
            if block && wanted == self.looked_at && self.shared.is_quiet() {
                continue;
            }
            self.looked_at = wanted;
            self.look(&view).await;
            self.rest();
        }
        listener.abort();
    }

    fn rest(&mut self) {
        let tried = self.shared.next_try().map(|at| at.saturating_duration_since(Instant::now()));
        let pause = match self.shared.is_quiet() {
            true => tried.unwrap_or(LATER).clamp(SOON, LATER),
            false => SOON,
        };
        self.next_look = tokio::time::Instant::now() + pause;
    }

    /// One look. Without an observation of the engine nothing is done.
    async fn look(&mut self, view: &View) {
        // Before the observation: a turn that ends meanwhile is not in it.
        let busy = self.shared.state().busy.clone();
        let mut seen = match self.shared.backend.observe().await {
            Ok(seen) => seen,
            Err(error) => return tracing::warn!("the engine cannot be observed: {error}"),
        };
        self.shared.clock().settle_starts(&mut seen.instances, now(), Instant::now());
        self.shared.crashes().note(&mut seen.instances, now());
        self.shared.board.saw(&seen);
        self.collect_garbage(view, &busy).await;
        let over = self.over(view, &seen, &busy).await;
        let mut turns = vec![];
        for lease in view.leases.values() {
            match self.shared.accepted(lease) {
                Ok(Some(stored)) => turns.push((lease, stored)),
                Ok(None) => {}
                Err(error) => tracing::error!(lease = %lease.name, "{error:#}"),
            }
        }
        let run_on = self.grace.leases();
        let services = self.routes.services(view, &turns, run_on, &self.shared);
        if let Some(status) = self.ingress.plane_status() {
            self.overlay.note_plane(&status);
        }
        let overlay = self.overlay.table(&self.joined(view, &turns), &seen, view.time);
        self.ingress.update(&services, &seen, &self.live(view), Some(overlay));
        for (lease, stored) in turns {
            if !busy.contains(&lease.name) {
                self.begin_turn(lease, &stored, &seen);
            }
        }
        self.close(over).await;
    }

    /// The live leases with the manifests by which their workloads are joined:
    /// that which runs, and that which the chain wants, where it is here.
    fn joined<'a>(
        &self,
        view: &'a View,
        accepted: &[(&LeaseView, Arc<StoredManifest>)],
    ) -> Vec<Joined<'a>> {
        let one = |lease: &'a LeaseView| {
            let running = accepted.iter().find(|(of, _)| of.name == lease.name);
            let running = running.map(|(_, stored)| Arc::clone(stored));
            let of = deployment_of(&lease.id).text();
            let wanted = self.shared.manifests.get(&of, &lease.version()).ok().flatten();
            let mut manifests: Vec<_> = running.into_iter().chain(wanted).collect();
            manifests.dedup_by(|a, b| a.version == b.version);
            Joined { lease, manifests }
        };
        view.leases.values().map(one).collect()
    }

    fn begin_turn(&self, lease: &LeaseView, stored: &StoredManifest, seen: &Observation) {
        let Some(group) = stored.manifest.group(&lease.spec.name) else { return };
        let turn = Turn {
            lease: lease.clone(),
            record: self.shared.leases.get(&lease.name),
            group: group.clone(),
            version: stored.version.clone(),
            seen: of_lease(seen, &lease.name),
            reach: self.ingress.reach(&lease.name),
            routed: self.routes.follow(&lease.name, &stored.version),
        };
        let shared = Arc::clone(&self.shared);
        self.spawn(&lease.name, async move {
            let result = turn.run(&shared).await;
            if let Err(error) = &result {
                shared.images.forget(&turn.lease.name);
                turn.post(&shared, LeasePhase::Degraded, &format!("{error:#}"));
            }
            result
        });
    }

    /// Leases that the chain has not positively ended: what they were given
    /// stays theirs.
    fn live(&self, view: &View) -> Live {
        let mut live = Live::default();
        for record in self.shared.leases.all().into_iter().filter(|r| r.closed_at.is_none()) {
            let is_known = self.routes.know(&record.lease);
            if is_known && record.rollout.is_none() && record.accepted == record.serving {
                live.settled.insert(record.lease.clone());
            }
            live.leases.insert(record.lease);
        }
        live.leases.extend(view.leases.keys().cloned());
        live
    }

    /// What may be over: not live, and not running on by the operator's will.
    async fn over(
        &mut self,
        view: &View,
        seen: &Observation,
        busy: &HashSet<String>,
    ) -> Vec<String> {
        let left = closing::leftovers(view, seen, &self.shared);
        self.unknown.retain(|lease, _| left.contains(lease));
        let mut over = vec![];
        for lease in left {
            let waits = busy.contains(&lease) || self.shared.is_resting(&lease);
            if !waits && !self.grace.holds(&lease, view, &self.shared).await {
                over.push(lease);
            }
        }
        over
    }

    /// Ends what the chain says is over.
    async fn close(&mut self, over: Vec<String>) {
        for lease in over {
            if closing::is_over(&lease, &self.shared, &mut self.unknown).await {
                let (shared, name) = (Arc::clone(&self.shared), lease.clone());
                self.spawn(&lease, async move {
                    closing::remove(&name, &shared).await.map(|()| Outcome::Settled)
                });
            }
        }
    }

    /// Before turns begin: one under way may be about to use an image.
    async fn collect_garbage(&mut self, view: &View, busy: &HashSet<String>) {
        if self.collected_at.is_none_or(|at| at.elapsed() > GARBAGE_EVERY) {
            self.collected_at = Some(Instant::now());
            if let Err(error) = garbage::collect(view, &self.shared) {
                tracing::warn!("cleaning up: {error:#}");
            }
        }
        if busy.is_empty() && self.images_at.elapsed() > GARBAGE_EVERY {
            self.images_at = Instant::now();
            if let Err(error) = garbage::collect_images(&self.shared).await {
                tracing::warn!("cleaning up images: {error:#}");
            }
        }
    }

    /// Runs a lease's turn unless one is under way or it rests after a
    /// failure.
    fn spawn(
        &self,
        lease: &str,
        turn: impl std::future::Future<Output = anyhow::Result<Outcome>> + Send + 'static,
    ) {
        if self.shared.is_resting(lease) || !self.shared.state().busy.insert(lease.into()) {
            return;
        }
        let (shared, lease) = (Arc::clone(&self.shared), lease.to_string());
        tokio::spawn(async move {
            let ended = Ended { shared, lease };
            let result = turn.await;
            ended.note(result);
        });
    }
}

/// Frees the lease for its next turn, also where this one panicked.
struct Ended {
    shared: Arc<Shared>,
    lease: String,
}

impl Ended {
    /// What follows from how the turn ended.
    fn note(&self, result: anyhow::Result<Outcome>) {
        let mut state = self.shared.state();
        match result {
            Ok(outcome) => {
                state.failures.remove(&self.lease);
                match outcome {
                    Outcome::Waiting => state.unsettled.insert(self.lease.clone()),
                    Outcome::Settled | Outcome::Stepped | Outcome::Failing => {
                        state.unsettled.remove(&self.lease)
                    }
                };
                if outcome == Outcome::Stepped {
                    self.shared.wake.notify_one();
                }
            }
            Err(error) => {
                let (count, _) =
                    state.failures.get(&self.lease).copied().unwrap_or((0, Instant::now()));
                let wait = FIRST_BACKOFF.saturating_mul(1 << count.min(10)).min(LAST_BACKOFF);
                state.failures.insert(self.lease.clone(), (count + 1, Instant::now() + wait));
                state.unsettled.remove(&self.lease);
                let lease = &self.lease;
                if count >= ALERT_AFTER {
                    tracing::error!(%lease, failures = count + 1, "{error:#}");
                } else {
                    tracing::warn!(%lease, "{error:#}; again in {} s", wait.as_secs());
                }
            }
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.shared.state().busy.remove(&self.lease);
    }
}

fn wanted(view: &View) -> Wanted {
    let leases = view.leases.values();
    leases.map(|l| (l.name.clone(), l.version(), l.lease.state)).collect()
}

fn of_lease(
    seen: &Observation,
    lease: &str,
) -> BTreeMap<crate::runtime::InstanceKey, crate::runtime::ObservedInstance> {
    let own = seen.instances.iter().filter(|(key, _)| key.lease == lease);
    own.map(|(key, instance)| (key.clone(), instance.clone())).collect()
}

/// Looks at once when the engine says that something happened.
async fn listen(shared: Arc<Shared>) {
    loop {
        let mut events = shared.backend.events();
        while let Some(event) = events.next().await {
            match event {
                // Health checks come and go every few seconds.
                Ok(event) if event.action.starts_with("exec_") => continue,
                Ok(event) => tracing::debug!(instance = %event.key, "engine: {}", event.action),
                Err(error) => {
                    tracing::debug!("engine events: {error}");
                    break;
                }
            }
            shared.wake.notify_one();
        }
        tokio::time::sleep(LATER).await;
    }
}
