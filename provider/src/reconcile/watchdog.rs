//! Measures what workloads have written, and marks the instances that wrote
//! more than they were sold. The loop stops what is marked, so that one place
//! alone changes what runs, and a death in between is continued.
//!
//! It runs beside an engine's own quotas too: these bound a container's
//! writable layer, not its volumes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::failpoint::failpoint;
use crate::runtime::{Backend, RuntimeError, StorageUse};
use crate::store::{LeaseStore, Overuse};

/// What an instance may write that was sold no ephemeral storage at all: the
/// engine's own entries in its layer, a file with a process id.
const UNSOLD_BYTES: u64 = 16 << 20;

/// The measuring, at an interval.
pub struct Watchdog {
    backend: Arc<dyn Backend>,
    leases: Arc<LeaseStore>,
    /// Woken when something was marked.
    wake: Arc<Notify>,
    every: Duration,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    #[error("storage cannot be measured: {0}")]
    Unknown(#[from] RuntimeError),
    #[error("writing down what is to be stopped: {0}")]
    Store(#[from] io::Error),
}

impl Watchdog {
    pub fn new(
        backend: Arc<dyn Backend>,
        leases: Arc<LeaseStore>,
        wake: Arc<Notify>,
        every: Duration,
    ) -> Self {
        Self { backend, leases, wake, every }
    }

    /// Goes on for ever, at once first: the disk may have been filled before
    /// the start. What cannot be measured changes nothing.
    pub async fn run(self) {
        loop {
            if let Err(error) = self.check().await {
                tracing::warn!("{error}; again in {} s", self.every.as_secs());
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// One round: marks what is over, and says how many instances are newly.
    pub async fn check(&self) -> Result<usize, WatchdogError> {
        let mut marked = 0;
        let mut written = self.leases.write_rest();
        for over in self.backend.storage().await?.into_iter().filter(is_over) {
            let mark = self.mark(&over);
            // One that cannot be written down is marked all the same.
            marked += usize::from(*mark.as_ref().unwrap_or(&true));
            written = written.and(mark.map(drop));
        }
        if marked > 0 {
            self.wake.notify_one();
        }
        written?;
        Ok(marked)
    }

    /// False where the same container is marked already, or the lease is not
    /// one that is served.
    fn mark(&self, over: &StorageUse) -> io::Result<bool> {
        let record = self.leases.get(&over.key.lease);
        let Some(version) = record.accepted.filter(|_| record.closed_at.is_none()) else {
            return Ok(false);
        };
        let same = |old: &Overuse| old.container == over.container && old.version == version;
        if record.overuses.iter().any(same) {
            return Ok(false);
        }
        tracing::warn!(
            instance = %over.key,
            volume = over.volume.as_deref().unwrap_or("ephemeral"),
            used_bytes = over.used_bytes,
            limit_bytes = over.limit_bytes,
            "wrote more than it was sold; it is stopped"
        );
        let overuse = Overuse {
            service: over.key.service.clone(),
            index: over.key.index,
            container: over.container.clone(),
            version,
            volume: over.volume.clone(),
            used_bytes: over.used_bytes,
            limit_bytes: over.limit_bytes,
        };
        self.leases.update_even_unwritten(&over.key.lease, |record| {
            record.note_overuse(overuse.clone());
        })?;
        failpoint("watchdog.after_mark");
        Ok(true)
    }
}

/// What is stopped already writes no more.
fn is_over(storage: &StorageUse) -> bool {
    let allowed = if storage.limit_bytes == 0 { UNSOLD_BYTES } else { storage.limit_bytes };
    storage.live && storage.used_bytes > allowed
}
