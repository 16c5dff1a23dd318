//! Starting a lease.

use stoa_proto::market::v1 as pb;

use super::check_provider;
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::modules::market::{close, counters, lease, Lease, LeaseState, MarketError};
use crate::modules::{deployment, escrow};
use crate::tx::Message;
use crate::types::{Address, LeaseId};

/// PENDING → ACTIVE: the manifest is verified and the workloads run. Taken as
/// long as the lease is PENDING, the deadline's block included, for deadlines
/// run after transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartLease {
    signer: Address,
    id: LeaseId,
}

impl TryFrom<pb::MsgStartLease> for StartLease {
    type Error = Failure;

    fn try_from(msg: pb::MsgStartLease) -> Result<Self, Failure> {
        Ok(Self { signer: msg.provider.parse()?, id: msg.lease.try_into()? })
    }
}

impl Message for StartLease {
    type Proto = pb::MsgStartLease;
    type Response = pb::MsgStartLeaseResponse;

    fn signer(&self) -> Address {
        self.signer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let id = self.id;
        check_provider(id, self.signer)?;
        pending(ctx, id)?;
        escrow::touch(ctx, id.deployment(), ctx.now());
        let before = pending(ctx, id)?;
        let duration = deployment::group(ctx, id.order.group).map(|group| group.spec.duration);
        let now = ctx.now();
        let expires_at = match duration.unwrap_or_default() {
            0 => 0,
            duration => now.saturating_add(duration),
        };
        let after =
            Lease { state: LeaseState::Active, started_at: now, expires_at, ..before.clone() };
        close::rewrite(ctx, id, &before, &after);
        let ends_at = close::paid_until(&after);
        escrow::add_lease(ctx, id, after.cost_rate, after.provider_rate, ends_at);
        counters::lease_started(ctx, id);
        ctx.emit(event!(pb::EventLeaseStarted {
            lease: id,
            owner: id.owner(),
            provider: id.provider
        }));
        Ok(pb::MsgStartLeaseResponse {})
    }
}

fn pending(ctx: &Ctx<'_>, id: LeaseId) -> Result<Lease, MarketError> {
    let lease = lease(ctx, id).ok_or(MarketError::LeaseNotFound(id))?;
    if lease.state != LeaseState::Pending {
        let (state, wanted) = (lease.state.name(), "only a pending lease can be started");
        return Err(MarketError::LeaseState { id, state, wanted });
    }
    Ok(lease)
}
