//! Makes snapshots beside the chain's work.

use std::{
    sync::mpsc::{sync_channel, SyncSender, TrySendError},
    thread,
    time::Instant,
};

use tracing::{error, info, warn};

use super::{make, Shelf, SnapshotError};
use crate::{metrics, store::Snapshot};

/// When snapshots are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// One after each height that is a multiple of this; 0: none.
    pub interval: u64,
    /// How many of the newest are kept, at least 1.
    pub keep: usize,
}

/// One thread that makes snapshots, one at a time.
pub struct Keeper {
    schedule: Schedule,
    views: Option<SyncSender<Snapshot>>,
}

impl Keeper {
    /// Starts the thread where the schedule asks for snapshots.
    pub fn start(shelf: Shelf, schedule: Schedule) -> std::io::Result<Self> {
        if schedule.interval == 0 {
            return Ok(Self { schedule, views: None });
        }
        let (views, due) = sync_channel::<Snapshot>(1);
        thread::Builder::new().name("snapshots".to_owned()).spawn(move || {
            for view in due {
                if let Err(error) = work(&shelf, &view, schedule.keep.max(1)) {
                    error!(height = view.height(), %error, "no snapshot was made");
                }
            }
        })?;
        Ok(Self { schedule, views: Some(views) })
    }

    /// Takes note of a commit; never waits.
    pub fn committed(&self, height: u64, view: impl FnOnce() -> Snapshot) {
        let Some(views) = &self.views else { return };
        if !height.is_multiple_of(self.schedule.interval) {
            return;
        }
        if let Err(TrySendError::Full(_)) = views.try_send(view()) {
            warn!(height, "no snapshot of this height: two earlier ones are not done yet");
        }
    }
}

fn work(shelf: &Shelf, view: &Snapshot, keep: usize) -> Result<(), SnapshotError> {
    let begun = Instant::now();
    let height = view.height();
    shelf.tidy(keep)?;
    let manifest = make(view, &shelf.partial_path(height))?;
    shelf.finish(height)?;
    shelf.tidy(keep)?;
    let took = begun.elapsed();
    metrics::get().snapshot_made(height, took);
    let (records, chunks) = (manifest.records, manifest.count());
    info!(height, records, chunks, seconds = took.as_secs_f64(), "snapshot made");
    Ok(())
}
