//! Where the state of each lease is posted for tenants.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use stoa_client::proto::gateway::v1::LeaseStatusResponse;
use tokio::sync::watch;

/// The newest status of each lease, by its id as text.
#[derive(Debug)]
pub struct Board {
    posted: RwLock<BTreeMap<String, LeaseStatusResponse>>,
    changes: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self { posted: RwLock::default(), changes: watch::channel(0).0 }
    }
}

impl Board {
    pub fn get(&self, lease: &str) -> Option<LeaseStatusResponse> {
        self.posted.read().unwrap_or_else(PoisonError::into_inner).get(lease).cloned()
    }

    /// Counts changes of any lease.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn post(&self, lease: &str, status: LeaseStatusResponse) {
        let mut posted = self.posted.write().unwrap_or_else(PoisonError::into_inner);
        let before = posted.insert(lease.into(), status.clone());
        drop(posted);
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
