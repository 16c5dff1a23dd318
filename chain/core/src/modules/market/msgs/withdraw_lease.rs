//! Getting paid.

use stoa_proto::market::v1 as pb;

use super::check_provider;
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::escrow;
use crate::modules::market::{close, keys, lease, params, Lease, LeaseState, MarketError};
use crate::tx::Message;
use crate::types::{Address, Coins, LeaseId};

/// Pays the provider what its leases have accrued, in whole units. A lease
/// that has closed was paid then, and adds nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawLease {
    signer: Address,
    leases: Vec<LeaseId>,
}

impl TryFrom<pb::MsgWithdrawLease> for WithdrawLease {
    type Error = Failure;

    fn try_from(msg: pb::MsgWithdrawLease) -> Result<Self, Failure> {
        let signer = msg.provider.parse()?;
        let leases: Result<Vec<LeaseId>, _> =
            msg.leases.into_iter().map(TryInto::try_into).collect();
        Ok(Self { signer, leases: leases? })
    }
}

impl Message for WithdrawLease {
    type Proto = pb::MsgWithdrawLease;
    type Response = pb::MsgWithdrawLeaseResponse;

    fn signer(&self) -> Address {
        self.signer
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let max = params(ctx).max_leases_per_withdrawal;
        let given = self.leases.len();
        if given == 0 || given > usize::try_from(max).unwrap_or(usize::MAX) {
            return Err(MarketError::WithdrawalSize { given, max }.into());
        }
        let mut paid = Coins::new();
        for id in self.leases {
            check_provider(id, self.signer)?;
            check_started(ctx, id)?;
            escrow::touch(ctx, id.deployment(), ctx.now());
            withdraw(ctx, id, &mut paid);
        }
        Ok(pb::MsgWithdrawLeaseResponse { paid: paid.to_proto() })
    }
}

fn check_started(ctx: &Ctx<'_>, id: LeaseId) -> Result<(), MarketError> {
    let lease = lease(ctx, id).ok_or(MarketError::LeaseNotFound(id))?;
    if lease.state == LeaseState::Pending {
        let (state, wanted) = (lease.state.name(), "it is paid from its start on");
        return Err(MarketError::LeaseState { id, state, wanted });
    }
    Ok(())
}

fn withdraw(ctx: &mut Ctx<'_>, id: LeaseId, paid: &mut Coins) {
    let Some(coin) = escrow::withdraw(ctx, id) else { return };
    let Some(before) = lease(ctx, id) else { return };
    let withdrawn = before.withdrawn.saturating_add(coin.amount);
    ctx.put(keys::lease(id), &Lease { withdrawn, ..before.clone() });
    close::report_paid(ctx, id, &before, coin.amount);
    let sum = paid.of(&coin.denom).saturating_add(coin.amount);
    paid.set(coin.denom, sum);
}
