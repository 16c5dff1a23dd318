//! Posting a deployment.

use stoa_proto::deployment::v1 as pb;

use super::super::spec::GroupSpec;
use super::super::{keys, life, Auction, Deployment, DeploymentError, DeploymentState};
use super::{check_groups, deployment_id, parse_groups};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event;
use crate::modules::escrow::{self, EscrowError};
use crate::modules::market;
use crate::tx::Message;
use crate::types::{Address, Coin, Denom, DeploymentId, Hash};

/// Posts a deployment: one order a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateDeployment {
    id: DeploymentId,
    groups: Vec<(GroupSpec, Denom)>,
    version: Hash,
    manifest_root: Hash,
    deposit: Coin,
    bid_window: u64,
    auction: Auction,
    sealed: bool,
    reopen: bool,
}

impl TryFrom<pb::MsgCreateDeployment> for CreateDeployment {
    type Error = Failure;

    fn try_from(msg: pb::MsgCreateDeployment) -> Result<Self, Failure> {
        let missing = || SdkError::InvalidRequest("the deposit is missing".to_owned());
        let auction = Auction::from_proto(msg.auction)?;
        Ok(Self {
            id: deployment_id(&msg.owner, msg.dseq)?,
            groups: parse_groups(msg.groups)?,
            version: Hash::from_field("version", &msg.version)?,
            manifest_root: Hash::from_field("manifest_root", &msg.manifest_root)?,
            deposit: msg.deposit.ok_or_else(missing)?.try_into()?,
            bid_window: msg.bid_window,
            auction,
            sealed: msg.sealed || auction == Auction::SecondPrice,
            reopen: msg.reopen,
        })
    }
}

impl Message for CreateDeployment {
    type Proto = pb::MsgCreateDeployment;
    type Response = pb::MsgCreateDeploymentResponse;

    fn signer(&self) -> Address {
        self.id.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let bid_window = self.check(ctx)?;
        let id = self.id;
        ctx.put(keys::last_dseq(&id.owner), &id.dseq);
        escrow::open(ctx, id, &self.deposit)?;
        let deployment = Deployment {
            state: DeploymentState::Active,
            version: self.version,
            manifest_root: self.manifest_root,
            denom: self.deposit.denom,
            bid_window,
            auction: self.auction,
            sealed: self.sealed,
            reopen: self.reopen,
            created_at: ctx.now(),
            created_height: ctx.height(),
            closed_at: 0,
            groups: u32::try_from(self.groups.len()).unwrap_or(u32::MAX),
            prune_at: 0,
        };
        ctx.put(keys::deployment(id), &deployment);
        ctx.emit(event!(pb::EventDeploymentCreated {
            deployment: id,
            owner: id.owner,
            version: self.version
        }));
        let mut orders = Vec::with_capacity(self.groups.len());
        for (gseq, (spec, _)) in (1u32..).zip(self.groups) {
            life::add_group(ctx, id.group(gseq), spec);
            orders.push(id.group(gseq).order(1).into());
        }
        Ok(pb::MsgCreateDeploymentResponse { id: Some(id.into()), orders })
    }
}

impl CreateDeployment {
    /// All that must hold. Answers the bid window.
    fn check(&self, ctx: &Ctx<'_>) -> Result<u64, Failure> {
        let (id, denom) = (self.id, &self.deposit.denom);
        let last: u64 = ctx.get(&keys::last_dseq(&id.owner)).unwrap_or_default();
        if id.dseq <= last {
            return Err(DeploymentError::DseqNotRising { given: id.dseq, last }.into());
        }
        escrow::market_denom(ctx, denom)?;
        check_groups(ctx, denom, &[], &self.groups)?;
        let specs = self.groups.iter().map(|(spec, _)| spec);
        let least = life::min_deposit_for(ctx, denom, specs);
        if self.deposit.amount < least {
            let given = self.deposit.clone();
            return Err(EscrowError::DepositTooSmall { given, least }.into());
        }
        let market = market::params(ctx);
        let (min, max) = (market.min_bid_window, market.max_bid_window);
        let given = if self.bid_window == 0 { market.default_bid_window } else { self.bid_window };
        if !(min..=max).contains(&given) {
            return Err(DeploymentError::BidWindow { given, min, max }.into());
        }
        Ok(given)
    }
}
