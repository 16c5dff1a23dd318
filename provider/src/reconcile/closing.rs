//! Leases that are over: found out for certain, then removed without bound.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use stoa_client::ids::TextId;
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::proto::market::v1::LeaseState;
use stoa_client::proto::types::v1::BidId;
use stoa_client::Error;

use super::shared::Shared;
use super::status;
use crate::chain::View;
use crate::failpoint::failpoint;
use crate::runtime::Observation;

/// A node that lags does not know a new lease. Only after so long does "no
/// such lease" count: the chain keeps closed ones for a month.
const UNKNOWN_FOR: Duration = Duration::from_secs(3600);

/// When each lease was first not known.
pub(super) type Unknown = HashMap<String, Instant>;

/// Leases that something is left of, here or at the engine, and that are not
/// live.
pub(super) fn leftovers(view: &View, seen: &Observation, shared: &Shared) -> BTreeSet<String> {
    let here = shared.leases.all().into_iter().filter(|r| !r.removed).map(|r| r.lease);
    let there = seen.instances.keys().map(|key| key.lease.clone());
    here.chain(there)
        .chain(seen.leases_with_volumes.iter().cloned())
        .filter(|lease| !view.leases.contains_key(lease))
        .collect()
}

/// Whether the chain positively says that a lease is over. It is written
/// down, so that it is asked once.
pub(super) async fn is_over(lease: &str, shared: &Shared, unknown: &mut Unknown) -> bool {
    if shared.leases.get(lease).closed_at.is_some() {
        return true;
    }
    let Ok(id) = BidId::parse(lease) else {
        tracing::error!(%lease, "the engine has objects of a lease that is none; remove them");
        return false;
    };
    let closed_at = match shared.reads.lease_agreed(&id).await {
        Ok(lease) if lease.state() == LeaseState::Closed => lease.closed_at,
        Ok(_) => {
            unknown.remove(lease);
            return false;
        }
        Err(Error::NotFound(_)) => {
            let since = *unknown.entry(lease.into()).or_insert_with(Instant::now);
            if since.elapsed() < UNKNOWN_FOR {
                return false;
            }
            super::work::now()
        }
        Err(error) => {
            tracing::warn!(%lease, "whether it is closed cannot be observed: {error}");
            return false;
        }
    };
    unknown.remove(lease);
    match shared.leases.update(lease, |record| record.closed_at = Some(closed_at)) {
        Ok(_) => {
            tracing::info!(%lease, "the chain says that it is closed");
            failpoint("close.after_seen");
            true
        }
        Err(error) => {
            tracing::error!(%lease, "writing down that it is closed: {error}");
            false
        }
    }
}

/// Removes everything of a closed lease; an error is tried again.
pub(super) async fn remove(lease: &str, shared: &Shared) -> anyhow::Result<()> {
    if let Ok(id) = BidId::parse(lease) {
        shared.board.post(lease, status::bare(&id, LeasePhase::Closing, "the lease is closed"));
    }
    failpoint("close.before_remove");
    shared.backend.remove_lease(lease).await?;
    failpoint("close.after_remove");
    shared.leases.update(lease, |record| record.removed = true)?;
    shared.images.forget(lease);
    shared.board.remove(lease);
    tracing::info!(%lease, "nothing of it is left");
    Ok(())
}
