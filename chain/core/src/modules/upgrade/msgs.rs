//! What governance says of upgrades.

use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as pb;

use super::{applied_height, keys, plan, Error, Plan};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event::Event;
use crate::modules::gov;
use crate::tx::Message;
use crate::types::Address;

/// Plans an upgrade, in place of one that is planned already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftwareUpgrade {
    authority: Address,
    plan: Plan,
}

impl TryFrom<pb::MsgSoftwareUpgrade> for SoftwareUpgrade {
    type Error = Failure;

    fn try_from(msg: pb::MsgSoftwareUpgrade) -> Result<Self, Failure> {
        Ok(Self {
            authority: msg.authority.parse()?,
            plan: msg.plan.unwrap_or_default().try_into()?,
        })
    }
}

impl Message for SoftwareUpgrade {
    type Proto = pb::MsgSoftwareUpgrade;
    type Response = pb::MsgSoftwareUpgradeResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        let plan = self.plan;
        if plan.height <= ctx.height() {
            let (height, now) = (plan.height, ctx.height());
            return Err(Error::PastHeight { height, now }.into());
        }
        if let Some(height) = applied_height(ctx, &plan.name) {
            return Err(Error::AlreadyApplied { name: plan.name, height }.into());
        }
        ctx.put(keys::plan(), &plan);
        let event = Event::new("upgrade_planned").with("name", &plan.name);
        ctx.emit(event.with("height", plan.height));
        Ok(pb::MsgSoftwareUpgradeResponse {})
    }
}

/// Takes the plan back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelUpgrade {
    authority: Address,
}

impl TryFrom<pb::MsgCancelUpgrade> for CancelUpgrade {
    type Error = Failure;

    fn try_from(msg: pb::MsgCancelUpgrade) -> Result<Self, Failure> {
        Ok(Self { authority: msg.authority.parse()? })
    }
}

impl Message for CancelUpgrade {
    type Proto = pb::MsgCancelUpgrade;
    type Response = pb::MsgCancelUpgradeResponse;

    fn signer(&self) -> Address {
        self.authority
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        gov::check_authority(&self.authority)?;
        let plan = plan(ctx).ok_or(Error::NoPlan)?;
        ctx.remove(keys::plan());
        ctx.emit(Event::new("upgrade_cancelled").with("name", plan.name));
        Ok(pb::MsgCancelUpgradeResponse {})
    }
}
