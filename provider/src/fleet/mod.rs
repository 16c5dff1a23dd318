//! All of a provider's machines as one runtime.
//!
//! - An instance has its place on one machine, chosen by best fit and written
//!   down before anything is made there; it stays.
//! - A machine that does not answer is **unknown**: what has its place there
//!   is shown as it was last seen, marked, and neither changed nor placed
//!   anew. Only its operator can say that it is dead.
//! - What is found where it has no place (a machine that was given up and came
//!   back, an instance that moved) is removed there.

// `tonic::Status` is what the calls must answer with, whatever its size.
#![allow(clippy::result_large_err)]

mod backend;
mod gpus;
mod host;
mod images;
mod inside;
mod keeper;
mod memory;
mod placements;
mod planes;
mod remote;
mod report;
mod rooms;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{broadcast, Notify};

pub use host::HostEngine;
pub use placements::{Placement, Placements};
pub use planes::{digest, OverlaySaid, Planes, Tables};
pub use remote::RemoteBackend;
pub use report::{HostReport, HostState};
pub use rooms::{best_fit, pack, sellable, taken, Part, Room};

use crate::config::Config;
use crate::hosts::{self, HostEntry, HostOrder, RosterFile, LOCAL};
use crate::runtime::{EngineEvent, InstanceKey, Machine, Need, Observation, RuntimeError};
use host::Host;

/// Events that wait for a reader; one that lags looks anyway.
const EVENTS_WAITING: usize = 256;

/// Makes the engine of a machine of the roster.
pub type Connect =
    Box<dyn Fn(&str, &HostEntry) -> anyhow::Result<Arc<dyn HostEngine>> + Send + Sync>;

/// What a fleet is made of.
pub struct FleetParts {
    pub config: Arc<Config>,
    /// The daemon's own machine.
    pub local: Arc<dyn HostEngine>,
    pub connect: Connect,
    /// The front data plane's certificate and the authority's, for hops.
    pub front: (PathBuf, PathBuf),
    /// What the other machines' data planes are to have.
    pub planes: Arc<Planes>,
}

/// All machines.
pub struct Fleet {
    config: Arc<Config>,
    roster: RosterFile,
    state_file: PathBuf,
    placements: Placements,
    connect: Connect,
    front: (PathBuf, PathBuf),
    planes: Arc<Planes>,
    local: Arc<Host>,
    hosts: RwLock<BTreeMap<String, Arc<Host>>>,
    events: broadcast::Sender<EngineEvent>,
    /// One lease's instances are given their places at a time.
    placing: tokio::sync::Mutex<()>,
    /// Counts removals: who looked before one may still see what it removed.
    removals: AtomicU64,
    freed: Arc<Notify>,
}

impl Fleet {
    /// Reads places and roster; [`Fleet::run`] keeps both in force. Until then
    /// the other machines are unknown, not absent.
    pub fn open(parts: FleetParts) -> anyhow::Result<Arc<Self>> {
        let dir = hosts::directory(&parts.config.data_dir);
        std::fs::create_dir_all(&dir)?;
        let roster = RosterFile::new(&dir);
        let order = roster.read()?.local;
        let local = Arc::new(Host::new(LOCAL, parts.local, None, None, order, None));
        let fleet = Self {
            placements: Placements::open(&dir.join("placements.json"))?,
            state_file: hosts::state_file(&parts.config.data_dir),
            config: parts.config,
            roster,
            connect: parts.connect,
            front: parts.front,
            planes: parts.planes,
            hosts: RwLock::new(BTreeMap::from([(LOCAL.to_string(), Arc::clone(&local))])),
            local,
            events: broadcast::channel(EVENTS_WAITING).0,
            placing: tokio::sync::Mutex::default(),
            removals: AtomicU64::new(0),
            freed: Arc::default(),
        };
        fleet.follow_roster();
        Ok(Arc::new(fleet))
    }

    /// Tells that something has given its place up.
    pub fn freed(&self) -> Arc<Notify> {
        Arc::clone(&self.freed)
    }

    /// All of them, the dead too.
    fn hosts(&self) -> Vec<Arc<Host>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn host(&self, name: &str) -> Option<Arc<Host>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The machine where an instance has its place, or where it was seen; the
    /// daemon's own where neither is so.
    fn host_of(&self, key: &InstanceKey) -> Result<Arc<Host>, RuntimeError> {
        let during = "looking for an instance's machine";
        let name = self.placements.host_of(key).or_else(|| {
            let seen =
                |host: &Arc<Host>| host.last_known().is_some_and(|l| l.instances.contains_key(key));
            self.hosts().into_iter().find(seen).map(|host| host.name.clone())
        });
        let name = name.as_deref().unwrap_or(LOCAL);
        let host = self.host(name).ok_or_else(|| RuntimeError::Unknown {
            during: during.into(),
            cause: format!("{key} has its place on {name}, which is no machine of this provider"),
        })?;
        match host.answers() && !host.is_dead() {
            true => Ok(host),
            false => Err(host.unknown(during)),
        }
    }

    /// Rooms of the machines that may get something new.
    async fn rooms(&self) -> Vec<Room> {
        let mut rooms = vec![];
        for host in self.hosts() {
            if host.order() != HostOrder::Active || !host.answers() {
                continue;
            }
            let inventory = match host.known_inventory() {
                Some(inventory) => inventory,
                None => match host.inventory().await {
                    Ok(inventory) => inventory,
                    Err(error) => {
                        tracing::warn!(host = %host.name, "measuring it: {error}");
                        continue;
                    }
                },
            };
            let machine = Machine {
                name: host.name.clone(),
                inventory,
                declared: host.declared,
                placed: self.placements.taken_on(&host.name),
                usable: true,
            };
            let mut room = Room::new(&self.config, &machine);
            machine.placed.iter().for_each(|placed| room.take(&Part::of(placed)));
            rooms.push(room);
        }
        rooms
    }

    /// See [`crate::runtime::Backend::place`].
    async fn give_places(&self, needs: &[Need]) -> Result<(), RuntimeError> {
        let _one = self.placing.lock().await;
        let mut changed = vec![];
        let mut open = vec![];
        for need in needs {
            match self.placements.get(&need.key) {
                Some(placement) if self.stays(&placement, need) => {
                    let same = Placement::new(need, &placement.host);
                    if same != placement {
                        changed.push(same);
                    }
                }
                other => open.push((need, other)),
            }
        }
        if !open.is_empty() {
            let mut rooms = self.rooms().await;
            open.sort_by_key(|(need, _)| {
                let gpu = need.gpu.is_some();
                std::cmp::Reverse((gpu, need.memory_bytes, need.cpu_millis, need.storage_bytes))
            });
            for (need, before) in open {
                changed.extend(self.choose(need, before, &mut rooms)?);
            }
        }
        self.placements.put(changed).map_err(|error| not_written(&error))
    }

    /// Whether an instance keeps its place, whatever its size now.
    fn stays(&self, placement: &Placement, need: &Need) -> bool {
        match self.host(&placement.host).map(|host| host.order()) {
            Some(HostOrder::Active) => true,
            // Volumes do not move.
            Some(HostOrder::Draining) => need.has_volumes,
            Some(HostOrder::Dead) | None => false,
        }
    }

    /// A place by best fit; a lease that was won must go somewhere, though it
    /// fits nowhere. One that could stay where it is does so then.
    fn choose(
        &self,
        need: &Need,
        before: Option<Placement>,
        rooms: &mut [Room],
    ) -> Result<Option<Placement>, RuntimeError> {
        let part = Part::of(&need.placed());
        let drains = |placement: &Placement| {
            self.host(&placement.host).is_some_and(|host| host.order() == HostOrder::Draining)
        };
        let fitting = best_fit(rooms, &part);
        if fitting.is_none() && before.as_ref().is_some_and(drains) {
            return Ok(None);
        }
        let index = fitting.or_else(|| rooms::widest(rooms, part.gpu.as_ref()));
        let Some(room) = index.and_then(|index| rooms.get_mut(index)) else {
            let cause = match &part.gpu {
                Some(gpu) => format!("no machine that answers has {gpu}"),
                None => "no machine answers that may get something new".into(),
            };
            let during = format!("giving {} a machine", need.key);
            return Err(RuntimeError::Unknown { during, cause });
        };
        room.take(&part);
        let from = before.map(|placement| placement.host);
        tracing::info!(instance = %need.key, host = %room.name, ?from, "placed");
        Ok(Some(Placement::new(need, &room.name)))
    }

    /// What is found without a place gets the one where it is; `since` is
    /// how many removals there were before it was looked for.
    fn adopt(&self, since: u64, host: &str, seen: &Observation) -> Result<(), RuntimeError> {
        if self.removals() != since {
            return Ok(());
        }
        let homeless = seen.instances.keys().filter(|key| self.placements.get(key).is_none());
        let found: Vec<Placement> = homeless.map(|key| Placement::found(key, host)).collect();
        for placement in &found {
            tracing::info!(instance = %placement.key, %host, "found; it has its place there");
        }
        self.placements.put(found).map_err(|error| not_written(&error))
    }
}

impl Fleet {
    fn removals(&self) -> u64 {
        self.removals.load(Ordering::SeqCst)
    }

    /// To be said before the place of what was removed is forgotten.
    fn note_removal(&self) {
        self.removals.fetch_add(1, Ordering::SeqCst);
    }
}

fn not_written(error: &io::Error) -> RuntimeError {
    RuntimeError::Setup(format!("writing down where instances have their places: {error}"))
}
