//! Pausing, starting, closing and reopening a group.

use stoa_proto::deployment::v1 as pb;

use super::super::{
    get, group, life, put_group, Current, DeploymentError, DeploymentState, Group, GroupState,
};
use super::{active, check_funded, group_id};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::escrow;
use crate::modules::market::CloseReason;
use crate::tx::Message;
use crate::types::{Address, Denom, GroupId, Rate};

/// The group of an ACTIVE deployment, in one of these states.
fn in_state(
    ctx: &Ctx<'_>,
    id: GroupId,
    states: &[GroupState],
    wanted: &'static str,
) -> Result<Group, DeploymentError> {
    active(ctx, id.deployment)?;
    let group = group(ctx, id).ok_or(DeploymentError::GroupNotFound(id))?;
    if !states.contains(&group.state) {
        return Err(DeploymentError::GroupState { id, state: group.state.name(), wanted });
    }
    Ok(group)
}

fn denom_of(ctx: &Ctx<'_>, id: GroupId) -> Result<Denom, DeploymentError> {
    let found = get(ctx, id.deployment).ok_or(DeploymentError::NotFound(id.deployment));
    found.map(|deployment| deployment.denom)
}

macro_rules! group_message {
    ($(#[$doc:meta])* $name:ident, $proto:ident, $response:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            owner: Address,
            id: GroupId,
        }

        impl TryFrom<pb::$proto> for $name {
            type Error = Failure;

            fn try_from(msg: pb::$proto) -> Result<Self, Failure> {
                let (owner, id) = group_id(&msg.owner, msg.dseq, msg.gseq)?;
                Ok(Self { owner, id })
            }
        }

        impl Message for $name {
            type Proto = pb::$proto;
            type Response = pb::$response;

            fn signer(&self) -> Address {
                self.owner
            }

            fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
                self.run(ctx)
            }
        }
    };
}

group_message! {
    /// OPEN → PAUSED: cancels the order, closes the lease.
    PauseGroup, MsgPauseGroup, MsgPauseGroupResponse
}
group_message! {
    /// PAUSED → OPEN with a new order.
    StartGroup, MsgStartGroup, MsgStartGroupResponse
}
group_message! {
    /// → CLOSED; the last group closes the deployment.
    CloseGroup, MsgCloseGroup, MsgCloseGroupResponse
}

impl PauseGroup {
    fn run(self, ctx: &mut Ctx<'_>) -> Result<pb::MsgPauseGroupResponse, Failure> {
        const WANTED: &str = "only an open group can be paused";
        in_state(ctx, self.id, &[GroupState::Open], WANTED)?;
        escrow::touch(ctx, self.id.deployment, ctx.now());
        in_state(ctx, self.id, &[GroupState::Open], WANTED)?;
        life::pause(ctx, self.id, CloseReason::Paused, ctx.now());
        Ok(pb::MsgPauseGroupResponse {})
    }
}

impl StartGroup {
    fn run(self, ctx: &mut Ctx<'_>) -> Result<pb::MsgStartGroupResponse, Failure> {
        in_state(ctx, self.id, &[GroupState::Paused], "only a paused group can be started")?;
        check_funded(ctx, self.id.deployment, &denom_of(ctx, self.id)?)?;
        let order = life::start(ctx, self.id).map(Into::into);
        Ok(pb::MsgStartGroupResponse { order })
    }
}

impl CloseGroup {
    fn run(self, ctx: &mut Ctx<'_>) -> Result<pb::MsgCloseGroupResponse, Failure> {
        let states = [GroupState::Open, GroupState::Paused];
        in_state(ctx, self.id, &states, "it is closed already")?;
        escrow::touch(ctx, self.id.deployment, ctx.now());
        life::close_group(ctx, self.id, ctx.now());
        let deployment = self.id.deployment;
        let active = get(ctx, deployment).is_some_and(|d| d.state == DeploymentState::Active);
        if active && life::all_closed(ctx, deployment) {
            life::close_deployment(ctx, deployment, "last_group", ctx.now());
        }
        Ok(pb::MsgCloseGroupResponse {})
    }
}

/// Offers an OPEN group without order or live lease again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReopenGroup {
    owner: Address,
    id: GroupId,
    max_rates: Vec<(Denom, Rate)>,
}

impl TryFrom<pb::MsgReopenGroup> for ReopenGroup {
    type Error = Failure;

    fn try_from(msg: pb::MsgReopenGroup) -> Result<Self, Failure> {
        let (owner, id) = group_id(&msg.owner, msg.dseq, msg.gseq)?;
        let parse = |coin| {
            let (denom, rate) = Rate::from_dec_coin(coin)?;
            if rate.is_zero() || rate > Rate::MAX_PER_UNIT {
                let text = format!("max rate {rate}{denom}/s; over 0 and at most 10^9 is allowed");
                return Err(SdkError::InvalidRequest(text));
            }
            Ok((denom, rate))
        };
        let max_rates: Result<Vec<_>, _> = msg.max_rates.into_iter().map(parse).collect();
        Ok(Self { owner, id, max_rates: max_rates? })
    }
}

impl Message for ReopenGroup {
    type Proto = pb::MsgReopenGroup;
    type Response = pb::MsgReopenGroupResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let id = self.id;
        let denom = denom_of(ctx, id)?;
        in_state(ctx, id, &[GroupState::Open], "only an open group can be reopened")?;
        check_funded(ctx, id.deployment, &denom)?;
        let mut record = in_state(ctx, id, &[GroupState::Open], "it is no longer open")?;
        let busy = match record.current {
            Current::Idle => None,
            Current::Order(oseq) => Some(format!("order {}", id.order(oseq))),
            Current::Lease(lease) => Some(format!("lease {lease}")),
        };
        if let Some(what) = busy {
            return Err(DeploymentError::GroupBusy { id, what }.into());
        }
        self.set_limits(&mut record, &denom)?;
        put_group(ctx, id, &record);
        let order = life::open_order(ctx, id).map(Into::into);
        Ok(pb::MsgReopenGroupResponse { order })
    }
}

impl ReopenGroup {
    fn set_limits(&self, record: &mut Group, denom: &Denom) -> Result<(), DeploymentError> {
        let (units, given) = (record.spec.resources.len(), self.max_rates.len());
        if given == 0 {
            return Ok(());
        }
        if given != units {
            return Err(DeploymentError::MaxRates { id: self.id, units, given });
        }
        for (resource, (given, rate)) in record.spec.resources.iter_mut().zip(&self.max_rates) {
            if given != denom {
                let (given, denom) = (given.clone(), denom.clone());
                let group = record.spec.name.clone();
                return Err(DeploymentError::OtherDenom { group, given, denom });
            }
            resource.max_rate = *rate;
        }
        Ok(())
    }
}
