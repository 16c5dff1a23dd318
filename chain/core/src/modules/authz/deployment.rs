//! `stoa.deployment.v1.DeploymentAuthorization`: a key, a workload's own for
//! one, manages its granter's deployments within limits on what it spends, at
//! what price and at what size it opens groups, and which groups it touches.
//!
//! What the groups run (the manifest that a deployment names) is not limited.
//! Limits are checked on what a message has done, not on what it says: what it
//! took from the granter's account, and each group that has a new order. Only
//! a group that is to open again when its lease's reclamation ends is looked
//! at beforehand; its limits cannot change while it is leased.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use prost::Name;
use serde::{Deserialize, Serialize};
use stoa_proto::deployment::v1::DeploymentAuthorization;

use super::action::Action;
use super::authorization::check_list;
use super::AuthzError;
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::auth;
use crate::modules::deployment::spec::{GroupSpec, MAX_NAME_BYTES};
use crate::modules::deployment::{self, DeploymentError};
use crate::types::{bounded, Address, Coin, Coins, Denom, DeploymentId, GroupId, Rate};

/// What a delegated key may do with deployments.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// What may still be taken from the granter's account; empty: nothing.
    pub spend_limit: Coins,
    /// Most that one group may be offered at; none: no group may be opened.
    pub max_rate: Option<MaxRate>,
    /// Names of groups, or their beginnings before a `*`; empty: any.
    pub allowed_groups: Vec<String>,
    /// Most instances of one group, its resources' counts together.
    pub max_replicas: u32,
    /// Unix seconds from which on it allows nothing; none: no end.
    pub expiration: Option<u64>,
}

/// A rate with its denom.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxRate {
    /// A deployment of another is not managed.
    pub denom: Denom,
    /// A second.
    pub rate: Rate,
}

impl Limits {
    /// The type URL by which a grant of it is named.
    pub fn url() -> String {
        DeploymentAuthorization::type_url()
    }

    /// What must hold of any.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), Failure> {
        check_list("allowed_groups", &self.allowed_groups)?;
        for pattern in &self.allowed_groups {
            let pattern = bounded("an allowed group's name", pattern.clone(), MAX_NAME_BYTES)?;
            let name = pattern.strip_suffix('*').unwrap_or(&pattern);
            if pattern.is_empty() || name.contains('*') {
                let text =
                    format!("{pattern:?} is no group's name; a * may stand at its end alone");
                return Err(SdkError::InvalidRequest(text).into());
            }
        }
        Ok(())
    }

    fn allows_name(&self, name: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        self.allowed_groups.is_empty() || self.allowed_groups.iter().any(matches)
    }

    fn check_name(&self, name: &str) -> Result<(), AuthzError> {
        if self.allows_name(name) {
            return Ok(());
        }
        let (group, allowed) = (name.to_owned(), self.allowed_groups.clone());
        Err(AuthzError::GroupNotAllowed { group, allowed })
    }

    /// A group that is offered to the market.
    fn check_opened(&self, spec: &GroupSpec, denom: &Denom) -> Result<(), AuthzError> {
        self.check_name(&spec.name)?;
        let (group, rate) = (spec.name.clone(), spec.max_rate());
        let most = self.max_rate.as_ref();
        if most.is_none_or(|most| most.denom != *denom || rate > most.rate) {
            let most = most.map(|most| format!("{}{}/s", most.rate, most.denom));
            let most = most.unwrap_or_else(|| "nothing".to_owned());
            return Err(AuthzError::MaxRate { group, rate, denom: denom.clone(), most });
        }
        let counts = spec.resources.iter().map(|resource| u64::from(resource.count));
        let count = counts.fold(0u64, u64::saturating_add);
        if count > u64::from(self.max_replicas) {
            return Err(AuthzError::MaxReplicas { group, count, most: self.max_replicas });
        }
        Ok(())
    }
}

/// How things stood before a message.
pub struct Before {
    granter: Address,
    id: DeploymentId,
    balances: Coins,
    /// How many orders each group has had.
    orders: BTreeMap<GroupId, u32>,
}

/// Looks at the deployment and its owner's account before a message.
///
/// # Errors
/// The message may not touch that.
pub fn before(
    ctx: &Ctx<'_>,
    limits: &Limits,
    granter: Address,
    action: &Action,
) -> Result<Before, Failure> {
    let Action::Deployment { id, group, reopen } = action else {
        let text = "the authorization is for messages about deployments".to_owned();
        return Err(SdkError::Unauthorized(text).into());
    };
    if id.owner != granter {
        return Err(AuthzError::NotTheGranters { deployment: *id, granter }.into());
    }
    if let Some(group) = group {
        let missing = DeploymentError::GroupNotFound(*group);
        let spec = deployment::group(ctx, *group).ok_or(missing)?.spec;
        limits.check_name(&spec.name)?;
        if *reopen {
            limits.check_opened(&spec, &denom_of(ctx, *id)?)?;
        }
    }
    let orders = deployment::groups(ctx, *id).into_iter();
    let orders = orders.map(|(id, group)| (id, group.orders)).collect();
    Ok(Before { granter, id: *id, balances: balances(ctx, &granter), orders })
}

/// Holds what a message has done against the limits, and lowers what may
/// still be spent. Answers whether it is less.
///
/// # Errors
/// The limit that the message was over.
pub fn after(ctx: &Ctx<'_>, limits: &mut Limits, before: &Before) -> Result<bool, Failure> {
    let denom = denom_of(ctx, before.id)?;
    for (id, group) in deployment::groups(ctx, before.id) {
        let orders = before.orders.get(&id).copied().unwrap_or_default();
        if group.orders > orders {
            limits.check_opened(&group.spec, &denom)?;
        }
    }
    let taken = taken(&before.balances, &balances(ctx, &before.granter));
    if taken.is_empty() {
        return Ok(false);
    }
    let left = limits.spend_limit.clone();
    limits.spend_limit.checked_sub_all(&taken).ok_or_else(|| {
        let granter = before.granter;
        Failure::from(AuthzError::SpendLimit { granter, taken, left })
    })?;
    Ok(true)
}

fn denom_of(ctx: &Ctx<'_>, id: DeploymentId) -> Result<Denom, DeploymentError> {
    let found = deployment::get(ctx, id).ok_or(DeploymentError::NotFound(id));
    found.map(|deployment| deployment.denom)
}

fn balances(ctx: &Ctx<'_>, address: &Address) -> Coins {
    auth::account(ctx, address).map(|account| account.balances).unwrap_or_default()
}

/// What there is less of now.
fn taken(before: &Coins, now: &Coins) -> Coins {
    let less = |coin: Coin| {
        let amount = coin.amount.saturating_sub(now.of(&coin.denom));
        Coin::new(coin.denom, amount)
    };
    before.iter().map(less).collect()
}
