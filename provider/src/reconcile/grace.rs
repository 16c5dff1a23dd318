//! Leases whose deployment ran out of money, and that run on for a while by
//! the operator's will.

use std::collections::BTreeMap;

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::gateway::v1::LeasePhase;
use stoa_client::proto::market::v1::{CloseReason, LeaseState};
use stoa_client::proto::types::v1::BidId;

use super::shared::Shared;
use super::status;
use crate::chain::{spec_of, LeaseView, View};

/// Leases that run on.
#[derive(Default)]
pub(super) struct Grace {
    leases: BTreeMap<String, LeaseView>,
}

impl Grace {
    /// Those that run on, as they were when they closed.
    pub(super) fn leases(&self) -> impl Iterator<Item = &LeaseView> {
        self.leases.values()
    }

    /// Whether a lease that is not live any more runs on, by the chain's
    /// clock. What cannot be observed changes nothing.
    pub(super) async fn holds(&mut self, lease: &str, view: &View, shared: &Shared) -> bool {
        let grace = shared.config.money.grace_seconds;
        if grace == 0 || shared.leases.get(lease).closed_at.is_some() {
            self.leases.remove(lease);
            return false;
        }
        if !self.leases.contains_key(lease) {
            match read(lease, shared).await {
                Ok(Some(read)) => {
                    let until = read.lease.closed_at.saturating_add(grace);
                    tracing::info!(%lease, until, "its deployment's money ran out; it runs on");
                    let text = format!("the deployment's money ran out; it ends at {until}");
                    let status = status::bare(&read.id, LeasePhase::Closing, text);
                    shared.board.post(lease, status);
                    self.leases.insert(lease.into(), read);
                }
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(%lease, "why it ended cannot be observed: {error}");
                    return true;
                }
            }
        }
        let closed_at = self.leases.get(lease).map_or(0, |kept| kept.lease.closed_at);
        let holds = view.time < closed_at.saturating_add(grace);
        if !holds {
            self.leases.remove(lease);
        }
        holds
    }
}

/// The lease as it was, where want of money ended it.
async fn read(lease: &str, shared: &Shared) -> stoa_client::Result<Option<LeaseView>> {
    let Ok(id) = BidId::parse(lease) else { return Ok(None) };
    let found = match shared.reads.lease_agreed(&id).await {
        Ok(found) => found,
        // Closing decides about it.
        Err(stoa_client::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let exhausted =
        found.state() == LeaseState::Closed && found.reason() == CloseReason::FundsExhausted;
    if !exhausted {
        return Ok(None);
    }
    let spec = spec_of(shared.reads.as_ref(), &id).await?;
    let deployment = shared.reads.deployment(&deployment_of(&id)).await?;
    Ok(Some(LeaseView { id, name: lease.into(), lease: found, spec, deployment }))
}
