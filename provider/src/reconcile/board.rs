//! Where the state of each lease is posted for tenants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use stoa_client::gateway::phase_words;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::gateway::v1::{EventKind, LeaseStatusResponse};
use tokio::sync::watch;

use crate::events::EventLog;
use crate::runtime::{InstanceKey, Observation};
use crate::transfers::Transfers;

/// The newest status of each lease, by its id as text.
#[derive(Debug)]
pub struct Board {
    posted: RwLock<BTreeMap<String, LeaseStatusResponse>>,
    /// Instances that have a workload's container; `None` before the first
    /// look at the engine.
    seen: RwLock<Option<BTreeSet<InstanceKey>>>,
    changes: watch::Sender<u64>,
    events: EventLog,
    transfers: Arc<Transfers>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Board {
    pub fn new(transfers: Arc<Transfers>) -> Self {
        Self {
            posted: RwLock::default(),
            seen: RwLock::default(),
            changes: transfers.teller(),
            events: EventLog::default(),
            transfers,
        }
    }

    /// What was posted last, with how far the deployment's payloads are now.
    pub fn get(&self, lease: &str) -> Option<LeaseStatusResponse> {
        let posted = self.posted.read().unwrap_or_else(PoisonError::into_inner).get(lease).cloned();
        posted.map(|mut status| {
            if let Some(id) = &status.lease {
                status.payloads = self.transfers.payloads(&deployment_of(id).text());
            }
            status
        })
    }

    /// Notes what one look at the engine found, so that nobody else needs to
    /// look at everything.
    pub fn saw(&self, seen: &Observation) {
        let instances = seen.instances.iter().filter(|(_, instance)| instance.workload.is_some());
        let keys = instances.map(|(key, _)| key.clone()).collect();
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }

    /// A lease's instances that have a workload's container, by the last look
    /// at the engine; `None` before the first.
    pub fn instances(&self, lease: &str) -> Option<Vec<InstanceKey>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let first = InstanceKey { lease: lease.into(), service: String::new(), index: 0 };
        let own = seen.as_ref()?.range(first..).take_while(|key| key.lease == lease);
        Some(own.cloned().collect())
    }

    /// How far payloads are, and whom they came from.
    pub fn transfers(&self) -> &Arc<Transfers> {
        &self.transfers
    }

    /// What happened to leases.
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// Counts changes of any lease.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn post(&self, lease: &str, status: LeaseStatusResponse) {
        let mut posted = self.posted.write().unwrap_or_else(PoisonError::into_inner);
        let before = posted.insert(lease.into(), status.clone());
        drop(posted);
        let said = |s: &LeaseStatusResponse| (s.phase, s.message.clone(), s.version.clone());
        if before.as_ref().map(said) != Some(said(&status)) {
            self.events.note(lease, EventKind::State, &words(&status));
        }
        if before.as_ref() != Some(&status) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    pub fn remove(&self, lease: &str) {
        let mut posted = self.posted.write().unwrap_or_else(PoisonError::into_inner);
        if posted.remove(lease).is_some() {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

/// A status in a line.
fn words(status: &LeaseStatusResponse) -> String {
    let phase = phase_words(status.phase());
    let version = status.version.get(..12).unwrap_or_default();
    match (status.message.as_str(), version) {
        ("", "") => phase.into(),
        (message, _) if message == phase => phase.into(),
        ("", version) => format!("{phase} (version {version}…)"),
        (message, _) => format!("{phase}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use stoa_client::proto::gateway::v1::LeasePhase;

    use super::*;

    #[test]
    fn a_change_of_phase_or_words_is_an_event_and_a_repetition_none() {
        let board = Board::default();
        let mut status = LeaseStatusResponse::default();
        status.set_phase(LeasePhase::Starting);
        status.message = "loading images".into();
        board.post("l", status.clone());
        board.post("l", status.clone());
        status.set_phase(LeasePhase::Running);
        status.message.clear();
        board.post("l", status);
        let told: Vec<String> =
            board.events().after("l", 0).into_iter().map(|event| event.message).collect();
        assert_eq!(told, ["starting: loading images", "running"]);
    }
}
