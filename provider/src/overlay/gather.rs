//! Who is at the other ends: the deployments' leases, the providers' roots on
//! chain, and where their data planes are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{stream, StreamExt};
use stoa_client::gateway::roots_of;
use stoa_client::ids::TextId;
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::peer::v1::tunnels_client::TunnelsClient;
use stoa_client::proto::peer::v1::EndpointsRequest;
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_client::Error;
use stoa_tunnel::overlay::{Direction, TunnelState};
use tokio::sync::Notify;

use super::known::{dialable, KnownLease, KnownProvider};
use super::Overlay;
use crate::chain::{spec_of, ChainReads, Views};

/// Looks are this far apart where neither a block nor news comes.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);
/// A provider's record is read again after this.
const RECORD_EVERY: Duration = Duration::from_secs(10);
/// Its data plane's address is asked for again after this: always, where its
/// tunnels are down, and where it has not answered yet.
const ENDPOINTS_EVERY: Duration = Duration::from_secs(600);
const ENDPOINTS_DOWN: Duration = Duration::from_secs(10);
const ENDPOINTS_FIRST: Duration = Duration::from_secs(1);
const ASKING: Duration = Duration::from_secs(10);
/// Deployments looked at side by side.
const AT_ONCE: usize = 16;

/// The task that gathers.
pub struct Gatherer {
    overlay: Arc<Overlay>,
    reads: Arc<dyn ChainReads>,
    views: Views,
    /// Wakes the reconciler, which pushes what has changed.
    wake: Arc<Notify>,
    /// Groups of leases, which never change.
    groups: HashMap<String, String>,
    recorded: HashMap<String, Instant>,
    asked: HashMap<String, Instant>,
}

impl Gatherer {
    pub fn new(
        overlay: Arc<Overlay>,
        reads: Arc<dyn ChainReads>,
        views: Views,
        wake: Arc<Notify>,
    ) -> Self {
        let (groups, recorded, asked) = Default::default();
        Self { overlay, reads, views, wake, groups, recorded, asked }
    }

    /// Goes on until the views end.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                changed = self.views.changed() => if changed.is_err() { return },
                () = self.overlay.news.notified() => {}
                () = tokio::time::sleep(AT_LEAST_EVERY) => {}
            }
            self.views.mark_unchanged();
            if self.look().await {
                self.wake.notify_one();
            }
        }
    }

    /// True where something is known that was not.
    async fn look(&mut self) -> bool {
        let ids = self.overlay.joined_deployments();
        let this = &*self;
        let answers: Vec<_> = stream::iter(ids)
            .map(|id| async move {
                let leases = this.leases_of(&id).await;
                (id, leases)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut changed = false;
        let mut providers: HashMap<String, DeploymentId> = HashMap::new();
        for (id, answer) in answers {
            match answer {
                Ok(leases) => {
                    for lease in &leases {
                        self.groups.insert(lease.lease.clone(), lease.group.clone());
                        providers.insert(lease.provider.clone(), id.clone());
                    }
                    changed |= self.overlay.note_leases(&id.text(), leases);
                }
                Err(error) => tracing::debug!(deployment = %id.text(), "its leases: {error}"),
            }
        }
        providers.remove(&self.overlay.provider);
        self.forget_others(&providers);
        for (provider, id) in providers {
            changed |= self.read_record(&provider).await;
            self.ask_endpoints(&provider, id);
        }
        changed
    }

    /// The live leases of a deployment. What has changed since the last look
    /// must be so by the word of all endpoints.
    async fn leases_of(&self, id: &DeploymentId) -> Result<Vec<KnownLease>, Error> {
        let before = self.overlay.known_leases(&id.text());
        let mut leases = vec![];
        for lease in self.reads.leases_of(id).await? {
            let Some(id) = lease.id else { continue };
            let is_new = !before.iter().any(|known| known.lease == id.text());
            if is_new && !self.is_live(&id).await? {
                return Err(Error::BadAnswer(format!("lease {} is not live", id.text())));
            }
            let group = match self.groups.get(&id.text()) {
                Some(known) => known.clone(),
                None => spec_of(self.reads.as_ref(), &id).await?.name,
            };
            leases.push(KnownLease { lease: id.text(), group, provider: id.provider });
        }
        for known in before {
            let gone = !leases.iter().any(|lease| lease.lease == known.lease);
            if gone && self.is_live(&BidId::parse(&known.lease)?).await? {
                return Err(Error::BadAnswer(format!(
                    "lease {} is left out of a list, and is live",
                    known.lease
                )));
            }
        }
        leases.sort();
        Ok(leases)
    }

    async fn is_live(&self, lease: &BidId) -> Result<bool, Error> {
        match self.reads.lease_agreed(lease).await {
            Ok(lease) => Ok(lease.state() != LeaseState::Closed),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn forget_others(&mut self, providers: &HashMap<String, DeploymentId>) {
        let known: BTreeSet<String> = self.overlay.known_in_leases();
        self.groups.retain(|lease, _| known.contains(lease));
        self.recorded.retain(|provider, _| providers.contains_key(provider));
        self.asked.retain(|provider, _| providers.contains_key(provider));
        // Where the chain could not be asked, nobody is known to be gone.
        let mut state = self.overlay.state();
        let needed: BTreeSet<String> = state
            .deployments
            .values()
            .flat_map(|d| &d.leases)
            .map(|l| l.provider.clone())
            .collect();
        state.providers.retain(|provider, _| needed.contains(provider));
    }

    async fn read_record(&mut self, provider: &str) -> bool {
        let due = self.recorded.get(provider).is_none_or(|at| at.elapsed() >= RECORD_EVERY);
        if !due {
            return false;
        }
        match self.reads.other_provider(provider).await {
            Ok(record) => {
                self.recorded.insert(provider.into(), Instant::now());
                let time = self.views.borrow().as_ref().map_or(0, |view| view.time);
                let roots = roots_of(&record, time).iter().map(hex::encode).collect();
                self.overlay.note_provider(provider, |known| known.roots = roots)
            }
            Err(error) => {
                tracing::debug!(%provider, "its record: {error}");
                false
            }
        }
    }

    /// Asks in the background: a provider that does not answer holds nobody
    /// up.
    fn ask_endpoints(&mut self, provider: &str, id: DeploymentId) {
        let every = match self.overlay.endpoints_state(provider) {
            Endpoints::Unknown => ENDPOINTS_FIRST,
            Endpoints::Down => ENDPOINTS_DOWN,
            Endpoints::Good => ENDPOINTS_EVERY,
        };
        if self.asked.get(provider).is_some_and(|at| at.elapsed() < every) {
            return;
        }
        // As long as this call may last no other is begun.
        self.asked.insert(provider.into(), Instant::now());
        let (overlay, wake) = (Arc::clone(&self.overlay), Arc::clone(&self.wake));
        let provider = provider.to_string();
        tokio::spawn(async move {
            match tokio::time::timeout(ASKING, overlay.ask(&provider, id)).await {
                Ok(Ok(endpoints)) => {
                    if overlay.note_provider(&provider, |known| known.endpoints = endpoints) {
                        wake.notify_one();
                    }
                }
                Ok(Err(error)) => tracing::warn!(%provider, "where its tunnels end: {error}"),
                Err(_) => tracing::warn!(%provider, "where its tunnels end: no answer"),
            }
        });
    }
}

/// What is known of a provider's data plane.
enum Endpoints {
    Unknown,
    Down,
    Good,
}

impl Overlay {
    fn joined_deployments(&self) -> Vec<DeploymentId> {
        let state = self.state();
        let joined = state.deployments.iter().filter(|(_, known)| known.has_rules());
        joined.filter_map(|(id, _)| DeploymentId::parse(id).ok()).collect()
    }

    fn known_leases(&self, deployment: &str) -> Vec<KnownLease> {
        let state = self.state();
        state.deployments.get(deployment).map(|known| known.leases.clone()).unwrap_or_default()
    }

    fn known_in_leases(&self) -> BTreeSet<String> {
        let state = self.state();
        let leases = state.deployments.values().flat_map(|known| &known.leases);
        leases.map(|lease| lease.lease.clone()).collect()
    }

    fn note_leases(&self, deployment: &str, leases: Vec<KnownLease>) -> bool {
        let mut state = self.state();
        let Some(known) = state.deployments.get_mut(deployment) else { return false };
        let changed = known.leases != leases;
        known.leases = leases;
        changed
    }

    fn note_provider(&self, provider: &str, change: impl FnOnce(&mut KnownProvider)) -> bool {
        let mut state = self.state();
        let known = state.providers.entry(provider.into()).or_default();
        let before = known.clone();
        change(known);
        *known != before
    }

    fn endpoints_state(&self, provider: &str) -> Endpoints {
        let state = self.state();
        let known = state.providers.get(provider);
        if known.is_none_or(|known| known.endpoints.is_empty()) {
            return Endpoints::Unknown;
        }
        let (plane, machines) = (self.plane(), self.planes.said());
        let down = state.told.iter().any(|told| {
            let to_it = told.direction == Direction::Outgoing && told.to.provider == provider;
            let status = to_it.then(|| told.status_of(plane.as_deref(), &machines)).flatten();
            status.is_some_and(|status| status.state == TunnelState::Down)
        });
        match down {
            true => Endpoints::Down,
            false => Endpoints::Good,
        }
    }

    async fn ask(&self, provider: &str, id: DeploymentId) -> anyhow::Result<Vec<String>> {
        let channel = self.peers.channel(provider).await?;
        let request = EndpointsRequest { deployment: Some(id) };
        let answer = TunnelsClient::new(channel).endpoints(request).await;
        let answer = answer.map_err(|status| anyhow::anyhow!("{}", status.message()))?;
        let endpoints = dialable(answer.into_inner().endpoints);
        anyhow::ensure!(!endpoints.is_empty(), "it names none that can be dialled");
        Ok(endpoints)
    }
}
