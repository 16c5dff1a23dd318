//! Deployments and their groups: what tenants want run, in which state it is,
//! and what moves it from one to the next.
//!
//! | thing | transitions |
//! | --- | --- |
//! | deployment | ACTIVE → CLOSED, by the tenant, with its last group, or some time after exhaustion |
//! | group | OPEN ⇄ PAUSED → CLOSED |
//!
//! Invariants: an ACTIVE deployment has a group that is not CLOSED; a group
//! with an open order or a live lease is OPEN, and has at most one of the two.

mod bounds;
mod error;
mod genesis;
mod keys;
mod life;
mod msgs;
mod query;
pub mod spec;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::deployment::v1 as pb;

pub use bounds::{Params, UpdateParams};
pub use error::DeploymentError;
pub use genesis::{deadlines_of, export, group_deadlines_of, init, Genesis};
pub(in crate::modules) use life::keep_out;
pub use life::{
    can_reopen, close_deployment, min_deposit, move_pruning, order_ended, pause_exhausted,
    prune_deployment, prune_group, reopen_after,
};
pub use msgs::{
    AddGroups, CloseDeployment, CloseGroup, CreateDeployment, PauseGroup, ReopenGroup, StartGroup,
    UpdateDeployment,
};
pub use query::routes;

use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::types::{Address, Denom, DeploymentId, GroupId, Hash, LeaseId};
use spec::GroupSpec;

/// Whether a deployment runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// It has groups that are not closed.
    Active,
    /// For good.
    Closed,
}

/// How the winner's rate is found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Auction {
    /// The lowest bid is paid its own rate.
    FirstPrice,
    /// The lowest bid is paid the second's rate.
    SecondPrice,
}

impl Auction {
    /// From protobuf's number.
    pub fn from_proto(number: i32) -> Result<Self, SdkError> {
        match pb::Auction::try_from(number) {
            Ok(pb::Auction::FirstPrice) => Ok(Self::FirstPrice),
            Ok(pb::Auction::SecondPrice) => Ok(Self::SecondPrice),
            Err(_) => Err(SdkError::InvalidRequest(format!("auction {number}; 0 or 1 is allowed"))),
        }
    }

    /// As protobuf has it.
    pub fn to_proto(self) -> pb::Auction {
        match self {
            Self::FirstPrice => pb::Auction::FirstPrice,
            Self::SecondPrice => pb::Auction::SecondPrice,
        }
    }
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// See [`DeploymentState`].
    pub state: DeploymentState,
    /// SHA-256 of the canonical manifest.
    pub version: Hash,
    /// BLAKE3 root of the same bytes.
    pub manifest_root: Hash,
    /// The one denom of groups and deposits.
    pub denom: Denom,
    /// Seconds that its orders stay open.
    pub bid_window: u64,
    /// Of its orders.
    pub auction: Auction,
    /// Of its orders; SECOND_PRICE always is.
    pub sealed: bool,
    /// Whether a lease's end opens a new order by itself.
    pub reopen: bool,
    /// Unix seconds.
    pub created_at: u64,
    /// Block.
    pub created_height: u64,
    /// Unix seconds; 0 while ACTIVE.
    pub closed_at: u64,
    /// Groups so far.
    pub groups: u32,
    /// When it leaves the state; 0 while ACTIVE.
    pub prune_at: u64,
}

/// Whether a group is offered or leased.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// It may have an order or a lease.
    Open,
    /// It has neither, until it is started.
    Paused,
    /// For good.
    Closed,
}

impl GroupState {
    /// As texts and events have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }
}

/// What a group waits for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Current {
    /// Nothing.
    Idle,
    /// The match of this order.
    Order(u32),
    /// The end of this lease.
    Lease(LeaseId),
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// See [`GroupState`].
    pub state: GroupState,
    /// What it asks for.
    pub spec: GroupSpec,
    /// Orders so far.
    pub orders: u32,
    /// Its open order or live lease.
    pub current: Current,
    /// Providers kept out because a lease ended there. Oldest first.
    pub excluded: Vec<Address>,
    /// Day (since 1970) of the last reopening, and how many there were on it.
    pub reopened: (u64, u32),
    /// When it leaves the state; 0 while not CLOSED.
    pub prune_at: u64,
}

/// The bounds in force.
pub fn params(ctx: &Ctx<'_>) -> Params {
    ctx.get(&keys::params()).unwrap_or_default()
}

/// The deployment.
pub fn get(ctx: &Ctx<'_>, id: DeploymentId) -> Option<Deployment> {
    ctx.get(&keys::deployment(id))
}

/// The group.
pub fn group(ctx: &Ctx<'_>, id: GroupId) -> Option<Group> {
    ctx.get(&keys::group(id)).or_else(|| ctx.get(&keys::closed_group(id)))
}

/// Writes the group; one that is CLOSED leaves the others.
fn put_group(ctx: &mut Ctx<'_>, id: GroupId, group: &Group) {
    if group.state == GroupState::Closed {
        ctx.remove(keys::group(id));
        ctx.put(keys::closed_group(id), group);
    } else {
        ctx.put(keys::group(id), group);
    }
}

/// The deployment's groups that are not CLOSED, by number.
pub fn groups(ctx: &Ctx<'_>, id: DeploymentId) -> Vec<(GroupId, Group)> {
    let entries = ctx.prefix(&keys::groups_of(id));
    let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
        Some((keys::group_id(&key)?, crate::state::decode(&key, &value)))
    };
    entries.filter_map(parse).collect()
}

/// All deployments.
pub fn all<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (DeploymentId, Deployment)> + 'a {
    ctx.prefix(&keys::deployments()).filter_map(|(key, value)| {
        Some((keys::deployment_id(&key)?, crate::state::decode(&key, &value)))
    })
}

/// All groups: those that are CLOSED come last.
pub fn all_groups<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (GroupId, Group)> + 'a {
    let entries = ctx.prefix(&keys::groups()).chain(ctx.prefix(&keys::closed_groups()));
    entries.filter_map(|(key, value)| {
        Some((keys::group_id(&key)?, crate::state::decode(&key, &value)))
    })
}

/// Says what a group waits for. Market's orders and leases do.
pub fn set_current(ctx: &mut Ctx<'_>, id: GroupId, current: Current) {
    if let Some(mut record) = group(ctx, id) {
        record.current = current;
        put_group(ctx, id, &record);
    }
}
