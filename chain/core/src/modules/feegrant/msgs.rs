//! Granting, revoking and pruning allowances.

use cosmos_sdk_proto::cosmos::feegrant::v1beta1 as pb;

use super::{find, prune, remove, write, Allowance, FeegrantError};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::auth;
use crate::tx::Message;
use crate::types::Address;

/// Most that one [`PruneAllowances`] removes, as in the Cosmos SDK.
const PRUNED_BY_MESSAGE: usize = 75;

/// Lets the grantee's fees be paid by the granter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantAllowance {
    granter: Address,
    grantee: Address,
    allowance: Allowance,
}

impl TryFrom<pb::MsgGrantAllowance> for GrantAllowance {
    type Error = Failure;

    fn try_from(msg: pb::MsgGrantAllowance) -> Result<Self, Failure> {
        let (granter, grantee) = parties(&msg.granter, &msg.grantee)?;
        let missing = || FeegrantError::NoAllowance("the message holds none".to_owned());
        let allowance = Allowance::from_any(&msg.allowance.ok_or_else(missing)?)?;
        Ok(Self { granter, grantee, allowance })
    }
}

impl Message for GrantAllowance {
    type Proto = pb::MsgGrantAllowance;
    type Response = pb::MsgGrantAllowanceResponse;

    fn signer(&self) -> Address {
        self.granter
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { granter, grantee, allowance } = self;
        let invalid = |text: String| Failure::from(SdkError::InvalidRequest(text));
        if find(ctx, &granter, &grantee).is_some() {
            let text =
                format!("fee allowance already exists from {granter} to {grantee}; revoke it");
            return Err(invalid(text));
        }
        let now = ctx.now();
        if let Some(end) = allowance.basic.expiration.filter(|end| *end < now) {
            return Err(invalid(format!("expiration {end} is before current block time {now}")));
        }
        // Without an account of its own the grantee could not use it.
        if auth::account(ctx, &grantee).is_none() {
            let account = auth::account_or_new(ctx, &grantee);
            auth::put_account(ctx, &grantee, &account);
        }
        write(ctx, &granter, &grantee, &allowance);
        ctx.emit(about("set_feegrant", &granter, &grantee));
        Ok(pb::MsgGrantAllowanceResponse {})
    }
}

/// Takes an allowance back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeAllowance {
    granter: Address,
    grantee: Address,
}

impl TryFrom<pb::MsgRevokeAllowance> for RevokeAllowance {
    type Error = Failure;

    fn try_from(msg: pb::MsgRevokeAllowance) -> Result<Self, Failure> {
        let (granter, grantee) = parties(&msg.granter, &msg.grantee)?;
        Ok(Self { granter, grantee })
    }
}

impl Message for RevokeAllowance {
    type Proto = pb::MsgRevokeAllowance;
    type Response = pb::MsgRevokeAllowanceResponse;

    fn signer(&self) -> Address {
        self.granter
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { granter, grantee } = self;
        let allowance = find(ctx, &granter, &grantee).ok_or_else(|| none(&granter, &grantee))?;
        remove(ctx, &granter, &grantee, &allowance);
        ctx.emit(about("revoke_feegrant", &granter, &grantee));
        Ok(pb::MsgRevokeAllowanceResponse {})
    }
}

/// Removes allowances that have expired, whoever gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneAllowances {
    pruner: Address,
}

impl TryFrom<pb::MsgPruneAllowances> for PruneAllowances {
    type Error = Failure;

    fn try_from(msg: pb::MsgPruneAllowances) -> Result<Self, Failure> {
        Ok(Self { pruner: msg.pruner.parse()? })
    }
}

impl Message for PruneAllowances {
    type Proto = pb::MsgPruneAllowances;
    type Response = pb::MsgPruneAllowancesResponse;

    fn signer(&self) -> Address {
        self.pruner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        prune(ctx, PRUNED_BY_MESSAGE);
        ctx.emit(Event::new("prune_feegrant").with("pruner", self.pruner));
        Ok(pb::MsgPruneAllowancesResponse {})
    }
}

fn parties(granter: &str, grantee: &str) -> Result<(Address, Address), SdkError> {
    let (granter, grantee): (Address, Address) = (granter.parse()?, grantee.parse()?);
    if granter == grantee {
        let text = format!("{granter} cannot grant a fee allowance to itself");
        return Err(SdkError::InvalidAddress(text));
    }
    Ok((granter, grantee))
}

/// There is no such allowance.
pub(super) fn none(granter: &Address, grantee: &Address) -> SdkError {
    SdkError::NotFound(format!("fee-grant from {granter} to {grantee}"))
}

/// A Cosmos event about an allowance.
pub(super) fn about(kind: &str, granter: &Address, grantee: &Address) -> Event {
    Event::new(kind).with("granter", granter).with("grantee", grantee)
}
