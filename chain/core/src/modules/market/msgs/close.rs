//! Closing a lease, by either side.

use stoa_proto::market::v1 as pb;

use super::check_provider;
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::modules::market::records::{CloseReason, Ending};
use crate::modules::market::{close, lease, params, Lease, LeaseState, MarketError};
use crate::modules::{deployment, escrow};
use crate::tx::Message;
use crate::types::{Address, LeaseId};

/// The provider ends its lease, or starts its reclamation window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseBid {
    signer: Address,
    id: LeaseId,
}

impl TryFrom<pb::MsgCloseBid> for CloseBid {
    type Error = Failure;

    fn try_from(msg: pb::MsgCloseBid) -> Result<Self, Failure> {
        Ok(Self { signer: msg.provider.parse()?, id: msg.lease.try_into()? })
    }
}

impl Message for CloseBid {
    type Proto = pb::MsgCloseBid;
    type Response = pb::MsgCloseBidResponse;

    fn signer(&self) -> Address {
        self.signer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        check_provider(self.id, self.signer)?;
        let lease = settled(ctx, self.id)?;
        if lease.state == LeaseState::Reclaiming {
            let (state, wanted) = (lease.state.name(), "it ends when its window does");
            return Err(MarketError::LeaseState { id: self.id, state, wanted }.into());
        }
        let reopen = deployment::get(ctx, self.id.deployment()).is_some_and(|found| found.reopen);
        let ending = Ending { reason: CloseReason::ByProvider, reopen, exclude: reopen };
        Ok(pb::MsgCloseBidResponse { ends_at: end(ctx, self.id, &lease, ending) })
    }
}

/// The tenant ends a lease, or starts its reclamation window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseLease {
    signer: Address,
    id: LeaseId,
    reopen: bool,
    exclude: bool,
}

impl TryFrom<pb::MsgCloseLease> for CloseLease {
    type Error = Failure;

    fn try_from(msg: pb::MsgCloseLease) -> Result<Self, Failure> {
        let (signer, id) = (msg.owner.parse()?, msg.lease.try_into()?);
        Ok(Self { signer, id, reopen: msg.reopen, exclude: msg.exclude })
    }
}

impl Message for CloseLease {
    type Proto = pb::MsgCloseLease;
    type Response = pb::MsgCloseLeaseResponse;

    fn signer(&self) -> Address {
        self.signer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { signer, id, reopen, exclude } = self;
        if id.owner() != signer {
            return Err(MarketError::NotParty { lease: id, signer }.into());
        }
        let lease = settled(ctx, id)?;
        let max = params(ctx).max_reopens;
        if reopen && !deployment::can_reopen(ctx, id.order.group) {
            return Err(MarketError::TooManyReopens { lease: id, max }.into());
        }
        let ending = Ending { reason: CloseReason::ByTenant, reopen, exclude };
        Ok(pb::MsgCloseLeaseResponse { ends_at: end(ctx, id, &lease, ending) })
    }
}

/// The lease, live after its escrow is brought up to date.
fn settled(ctx: &mut Ctx<'_>, id: LeaseId) -> Result<Lease, MarketError> {
    live(ctx, id)?;
    escrow::touch(ctx, id.deployment(), ctx.now());
    live(ctx, id)
}

fn live(ctx: &Ctx<'_>, id: LeaseId) -> Result<Lease, MarketError> {
    let lease = lease(ctx, id).ok_or(MarketError::LeaseNotFound(id))?;
    if lease.state == LeaseState::Closed {
        let (state, wanted) = (lease.state.name(), "there is nothing to close");
        return Err(MarketError::LeaseState { id, state, wanted });
    }
    Ok(lease)
}

/// At once where PENDING, RECLAIMING or without a reclamation window; else the
/// window begins. Answers when the lease ends.
fn end(ctx: &mut Ctx<'_>, id: LeaseId, lease: &Lease, ending: Ending) -> u64 {
    let window = deployment::group(ctx, id.order.group).map(|group| group.spec.reclamation);
    let window = window.unwrap_or_default();
    if window == 0 || lease.state != LeaseState::Active {
        close::finish(ctx, id, ending, ctx.now());
        return ctx.now();
    }
    let ends_at = ctx.now().saturating_add(window);
    let after = Lease {
        state: LeaseState::Reclaiming,
        reclaimed_at: ends_at,
        ending: Some(ending),
        ..lease.clone()
    };
    close::rewrite(ctx, id, lease, &after);
    escrow::end_lease_at(ctx, id, close::paid_until(&after));
    ctx.emit(event!(pb::EventLeaseReclaiming {
        lease: id,
        owner: id.owner(),
        provider: id.provider,
        ends_at: ends_at
    }));
    ends_at
}
