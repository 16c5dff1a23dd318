//! The four calls of ABCI by which a snapshot goes from one node to another.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tendermint_proto::v0_38::abci::{
    response_apply_snapshot_chunk::Result as Applied, response_offer_snapshot::Result as Offered,
    RequestApplySnapshotChunk, RequestLoadSnapshotChunk, RequestOfferSnapshot,
    ResponseApplySnapshotChunk, Snapshot,
};
use tracing::{error, info, warn};

use super::Machine;
use crate::{
    metrics,
    snapshots::{Keeper, Offer, Refused, Restoring, Shelf, FORMAT},
};

/// Snapshots that peers are told of.
const MOST_LISTED: usize = 10;

/// A node's side of state sync: what it gives and what it takes.
pub struct StateSync {
    shelf: Shelf,
    keeper: Keeper,
    restoring: Mutex<Option<Restoring>>,
}

impl StateSync {
    /// Gives what is on the shelf, where the keeper puts more.
    pub fn new(shelf: Shelf, keeper: Keeper) -> Self {
        Self { shelf, keeper, restoring: Mutex::default() }
    }

    /// After a commit.
    pub fn committed(&self, height: u64, machine: &Machine) {
        self.keeper.committed(height, || machine.latest());
    }

    /// Oldest height of a snapshot: who restores it needs the blocks after it.
    pub fn oldest(&self) -> Option<u64> {
        self.shelf.heights().ok()?.into_iter().min()
    }

    /// What there is to give.
    pub fn list(&self) -> Vec<Snapshot> {
        let listed = self.shelf.list().unwrap_or_else(|error| {
            warn!(%error, "the snapshots cannot be listed");
            Vec::new()
        });
        let offer = |listed: crate::snapshots::Listed| Snapshot {
            height: listed.manifest.height,
            format: FORMAT,
            chunks: listed.manifest.count(),
            hash: listed.manifest.hash().to_vec().into(),
            metadata: listed.manifest.encode().into(),
        };
        listed.into_iter().take(MOST_LISTED).map(offer).collect()
    }

    /// A chunk that a peer asks for; empty where it is not there.
    pub fn load(&self, request: &RequestLoadSnapshotChunk) -> Vec<u8> {
        if request.format != FORMAT {
            return Vec::new();
        }
        self.shelf.chunk(request.height, request.chunk).unwrap_or_else(|error| {
            // It may have been removed since it was listed.
            warn!(%error, "a chunk of a snapshot cannot be given");
            Vec::new()
        })
    }

    /// Whether a peer's snapshot is taken.
    pub fn offer(&self, machine: &Machine, request: &RequestOfferSnapshot) -> Offered {
        let Some(snapshot) = &request.snapshot else { return Offered::Reject };
        if snapshot.format != FORMAT {
            return Offered::RejectFormat;
        }
        match machine.database().may_restore() {
            Ok(true) => {}
            Ok(false) => {
                error!(
                    height = machine.head().0,
                    "CometBFT wants a snapshot, but the state has blocks of its own: \
                     use the data directory that belongs to this CometBFT"
                );
                return Offered::Abort;
            }
            Err(error) => {
                error!(%error, "no snapshot can be taken in");
                return Offered::Abort;
            }
        }
        let offer = Offer {
            format: snapshot.format,
            height: snapshot.height,
            chunks: snapshot.chunks,
            hash: &snapshot.hash,
            metadata: &snapshot.metadata,
            app_hash: &request.app_hash,
        };
        match Restoring::begin(machine.database(), &offer) {
            Ok(restoring) => {
                *self.restoring() = Some(restoring);
                Offered::Accept
            }
            Err(Refused::Node(error)) => {
                error!(%error, "no snapshot can be taken in");
                Offered::Abort
            }
            Err(refused) => {
                warn!(height = snapshot.height, %refused, "a snapshot is refused");
                Offered::Reject
            }
        }
    }

    /// Takes in a chunk.
    pub fn apply(
        &self,
        machine: &Machine,
        request: &RequestApplySnapshotChunk,
    ) -> ResponseApplySnapshotChunk {
        let mut current = self.restoring();
        let Some(mut restoring) = current.take() else { return answer(Applied::Abort) };
        let applied = match restoring.apply(request.index, &request.chunk) {
            Err(Refused::Chunk(error)) => {
                warn!(sender = request.sender, %error, "a peer's chunk is refused");
                *current = Some(restoring);
                return ResponseApplySnapshotChunk {
                    refetch_chunks: vec![request.index],
                    reject_senders: vec![request.sender.clone()],
                    ..answer(Applied::Retry)
                };
            }
            Ok(()) if !restoring.is_complete() => {
                info!(chunk = restoring.next(), of = restoring.count(), "snapshot");
                *current = Some(restoring);
                return answer(Applied::Accept);
            }
            Ok(()) => restoring.finish(&machine.chain_id()),
            // What is left of it is removed when the next one begins.
            Err(refused) => Err(refused),
        };
        match applied {
            Ok(()) => {
                machine.stand_on_restored();
                metrics::get().committed(machine.head().0);
                answer(Applied::Accept)
            }
            Err(Refused::Node(error)) => {
                error!(%error, "the snapshot cannot be taken in");
                answer(Applied::Abort)
            }
            Err(refused) => {
                warn!(%refused, "the snapshot is refused");
                answer(Applied::RejectSnapshot)
            }
        }
    }

    fn restoring(&self) -> MutexGuard<'_, Option<Restoring>> {
        self.restoring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(result: Applied) -> ResponseApplySnapshotChunk {
    ResponseApplySnapshotChunk { result: result.into(), ..Default::default() }
}
