//! The other machines' data planes: what each is to join, handed over when it
//! is another, and how each is doing. An agent keeps what it was given, so
//! nothing here is needed for connections to go on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stoa_tunnel::control::Status as PlaneStatus;
use stoa_tunnel::overlay::OverlayTable;
use tokio::sync::watch;

use super::host::Host;
use super::keeper::is_current;
use super::Fleet;
use crate::runtime::RuntimeError;

/// Each is asked this often how it is.
const LOOK: Duration = Duration::from_secs(3);

/// What each machine's instances may dial, by machine. One that is left out,
/// though something has its place there, is not known well enough now: it
/// keeps what it has.
pub type Tables = BTreeMap<String, OverlayTable>;

/// What an agent says of the overlay on its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlaySaid {
    /// Of the table that it keeps, see [`digest`]; empty where it has none.
    pub digest: String,
    /// Its data plane's own words; none where it does not answer.
    pub status: Option<PlaneStatus>,
    /// Why the table is not in force; empty where it is.
    pub problem: String,
}

/// By which both sides know that they speak of the same table.
pub fn digest(table: &OverlayTable) -> String {
    // A table of texts and numbers always has its JSON.
    hex::encode(Sha256::digest(serde_json::to_vec(table).unwrap_or_default()))
}

/// What is wanted of the machines, and what they said last.
pub struct Planes {
    /// None before the first look: nothing is handed over then.
    wanted: watch::Sender<Option<Arc<Tables>>>,
    said: Mutex<BTreeMap<String, Arc<OverlaySaid>>>,
}

impl Default for Planes {
    fn default() -> Self {
        Self { wanted: watch::Sender::new(None), said: Mutex::default() }
    }
}

impl Planes {
    /// Says what the machines are to have from now on.
    pub fn want(&self, tables: Tables) {
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.as_deref() != Some(&tables);
            if changed {
                *wanted = Some(Arc::new(tables));
            }
            changed
        });
    }

    /// What each said last, by machine: seconds old, or older where it does
    /// not answer.
    pub fn said(&self) -> BTreeMap<String, Arc<OverlaySaid>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in their way, in words.
    pub fn problems(&self) -> Vec<String> {
        let mut all = vec![];
        for (host, said) in self.said() {
            if !said.problem.is_empty() {
                all.push(format!("the machine {host}: {}", said.problem));
            }
            let links = said.status.iter().flat_map(|status| &status.links);
            all.extend(links.filter_map(|link| {
                let problem = link.problem.as_ref()?;
                Some(format!("the machine {host}: {}: {problem}", link.instance))
            }));
        }
        all
    }

    fn note(&self, host: &str, said: Option<OverlaySaid>) {
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Some(said) => drop(all.insert(host.into(), Arc::new(said))),
            None => drop(all.remove(host)),
        }
    }
}

/// Looks after a machine's data plane for as long as it is one of the fleet's.
pub(super) async fn keep(fleet: Arc<Fleet>, host: Arc<Host>) {
    let mut wanted = fleet.planes.wanted.subscribe();
    let mut look = tokio::time::interval(LOOK);
    let mut last = String::new();
    while is_current(&fleet, &host) {
        tokio::select! {
            _ = look.tick() => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
        if !host.answers() {
            continue;
        }
        let tables = wanted.borrow_and_update().clone();
        match fleet.hand_over(&host, tables.as_deref()).await {
            Ok(said) => {
                fleet.planes.note(&host.name, Some(said));
                last.clear();
            }
            Err(error) => {
                let words = error.to_string();
                if words != last {
                    tracing::warn!(host = %host.name, "its tunnels: {words}");
                }
                last = words;
            }
        }
    }
    if fleet.host(&host.name).is_none() {
        fleet.planes.note(&host.name, None);
    }
}

impl Fleet {
    /// Gives a machine the table that it is to have, where it has another.
    pub(super) async fn hand_over(
        &self,
        host: &Host,
        tables: Option<&Tables>,
    ) -> Result<OverlaySaid, RuntimeError> {
        let said = host.engine.overlay_said().await?;
        let nothing = OverlayTable::default();
        let table = match tables.map(|all| all.get(&host.name)) {
            Some(Some(table)) => table,
            Some(None) if self.placements.on(&host.name).is_empty() => &nothing,
            Some(None) | None => return Ok(said),
        };
        if said.digest == digest(table) {
            return Ok(said);
        }
        host.engine.set_overlay(table).await?;
        let (links, tunnels) = (table.links.len(), table.credentials.len());
        tracing::info!(host = %host.name, links, tunnels, "tunnels handed over");
        host.engine.overlay_said().await
    }
}
