//! The overlay's control side: which workloads a manifest joins, who is at
//! the other ends, and the certificates of each tunnel. The data plane gets
//! it as a part of its table.
//!
//! A tunnel follows the chain: it is there while both its leases are live and
//! the manifest that declares it is verified here, and it goes with either.
//! What cannot be observed changes nothing.

mod addresses;
mod away;
mod credentials;
mod gather;
mod known;
mod limits;
mod roots;
mod rules;
mod table;
mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::tls::Identity;
use stoa_tunnel::control::Status as PlaneStatus;
use stoa_tunnel::overlay::OverlayTable;
use tokio::sync::Notify;

use crate::chain::LeaseView;
use crate::config::Config;
use crate::fleet::Planes;
use crate::peers::Peers;
use crate::runtime::Observation;
use crate::store::StoredManifest;

pub use gather::Gatherer;
pub use limits::check as check_connections;
pub use rules::{descriptor, Rule, Tier};
pub use told::{Told, ToldEnd};

use credentials::Credentials;
use known::{KnownDeployment, State};

/// Where what must survive a restart lies, keys included.
const FILE: &str = "overlay.json";

/// A live lease here, and the manifests by which it is joined: that which it
/// runs, and that which the chain wants where it is here already.
pub struct Joined<'a> {
    pub lease: &'a LeaseView,
    pub manifests: Vec<Arc<StoredManifest>>,
}

/// The overlay as this provider's daemon has it.
pub struct Overlay {
    config: Arc<Config>,
    /// This provider's address.
    provider: String,
    root: Identity,
    peers: Arc<Peers>,
    path: PathBuf,
    state: Mutex<State>,
    /// What the data plane here said last.
    plane: Mutex<Option<Arc<PlaneStatus>>>,
    /// The other machines'.
    planes: Arc<Planes>,
    /// There are deployments to gather for that were not there before.
    news: Notify,
}

impl Overlay {
    /// Goes on with what the last run knew, so that a restart changes nothing
    /// of what the data plane has.
    ///
    /// # Errors
    /// Where the file cannot be read, or is none of ours.
    pub fn open(
        config: Arc<Config>,
        provider: &str,
        root: Identity,
        peers: Arc<Peers>,
        planes: Arc<Planes>,
    ) -> anyhow::Result<Self> {
        let path = config.data_dir.join(FILE);
        let mut state = State::load(&path)?;
        state.own_roots.note(root.certificate(), credentials::now());
        Ok(Self {
            config,
            provider: provider.into(),
            root,
            peers,
            path,
            state: Mutex::new(state),
            plane: Mutex::default(),
            planes,
            news: Notify::new(),
        })
    }

    /// The table for the live leases here; those of the other machines are
    /// handed over to them. `time` is the chain's, in Unix seconds.
    pub fn table(&self, leases: &[Joined<'_>], seen: &Observation, time: u64) -> OverlayTable {
        let mut state = self.state();
        if self.note(&mut state, leases, time) {
            self.news.notify_one();
        }
        let now = credentials::now();
        let own_roots = state.own_roots.all(now, self.config.overlay.certificate_seconds);
        let still_shown = state.own_roots.still_shown(now);
        let built = table::build(table::Parts {
            config: &self.config,
            provider: &self.provider,
            own_roots: &own_roots,
            still_shown: still_shown.as_deref(),
            leases,
            seen,
            state: &mut state,
            root: &self.root,
        });
        state.problems = built.problems;
        state.told = built.told;
        self.planes.want(built.machines);
        if let Err(error) = state.save(&self.path) {
            tracing::error!("{}: {error}", self.path.display());
        }
        built.table
    }

    /// What is said of a deployment's connections that have an end here.
    pub fn told(&self, deployment: &str) -> Vec<Told> {
        let mut told = self.told_all();
        told.retain(|told| told.deployment == deployment);
        told
    }

    /// The same of all deployments.
    pub fn told_all(&self) -> Vec<Told> {
        let (plane, machines) = (self.plane(), self.planes.said());
        let told = self.state().told.clone();
        told.into_iter().map(|told| told.with_status(plane.as_deref(), &machines)).collect()
    }

    /// What could not be joined, in words.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.state().problems.clone();
        problems.extend(self.planes.problems());
        problems
    }

    fn plane(&self) -> Option<Arc<PlaneStatus>> {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what the data plane here says.
    pub fn note_plane(&self, status: &PlaneStatus) {
        let status = Arc::new(status.clone());
        *self.plane.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// Brings the rules of each deployment up to date. True where one is new.
    fn note(&self, state: &mut State, leases: &[Joined<'_>], time: u64) -> bool {
        let mut by_deployment: BTreeMap<String, Vec<&Joined<'_>>> = BTreeMap::new();
        for joined in leases {
            by_deployment.entry(deployment_of(&joined.lease.id).text()).or_default().push(joined);
        }
        state.deployments.retain(|id, _| by_deployment.contains_key(id));
        let overlap = self.config.overlay.update_overlap_seconds;
        let mut news = false;
        for (id, joined) in by_deployment {
            let known = state.deployments.entry(id).or_default();
            let before = known.has_rules();
            // A manifest that cannot be read now takes nothing away.
            if joined.iter().any(|joined| !joined.manifests.is_empty()) {
                known.note_manifests(&joined, time, overlap);
            }
            news |= known.has_rules() && !before;
        }
        news
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deployments by their ids as text.
type Deployments = BTreeMap<String, KnownDeployment>;
