//! Transactions on deployments and their groups.

mod add_groups;
mod create;
mod group;
mod whole;

pub use add_groups::AddGroups;
pub use create::CreateDeployment;
pub use group::{CloseGroup, PauseGroup, ReopenGroup, StartGroup};
pub use whole::{CloseDeployment, UpdateDeployment};

use super::spec::GroupSpec;
use super::{params, Deployment, DeploymentError, DeploymentState};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::escrow::{self, AccountState, EscrowError};
use crate::modules::market;
use crate::types::{Address, Denom, DeploymentId};
use stoa_proto::types::v1 as types_pb;

/// A deployment's id from a message's fields.
fn deployment_id(owner: &str, dseq: u64) -> Result<DeploymentId, SdkError> {
    types_pb::DeploymentId { owner: owner.to_owned(), dseq }.try_into()
}

/// Groups of a message, with the denom of their rates.
fn parse_groups(groups: Vec<types_pb::GroupSpec>) -> Result<Vec<(GroupSpec, Denom)>, Failure> {
    if groups.is_empty() {
        return Err(SdkError::InvalidRequest("no groups are given".to_owned()).into());
    }
    let parsed: Result<Vec<_>, _> = groups.into_iter().map(GroupSpec::from_proto).collect();
    Ok(parsed?)
}

/// The deployment, where it is ACTIVE.
fn active(ctx: &Ctx<'_>, id: DeploymentId) -> Result<Deployment, DeploymentError> {
    let deployment = super::get(ctx, id).ok_or(DeploymentError::NotFound(id))?;
    match deployment.state {
        DeploymentState::Active => Ok(deployment),
        DeploymentState::Closed => Err(DeploymentError::Closed(id)),
    }
}

/// Settles, then refuses what an OVERDRAWN account cannot take on.
fn check_funded(ctx: &mut Ctx<'_>, id: DeploymentId, denom: &Denom) -> Result<(), EscrowError> {
    escrow::touch(ctx, id, ctx.now());
    match escrow::get(ctx, id).map(|account| account.state) {
        Some(AccountState::Open) => Ok(()),
        Some(AccountState::Closed) => Err(EscrowError::Closed(id)),
        Some(AccountState::Overdrawn) => {
            let least = super::min_deposit(ctx, id, denom);
            Err(EscrowError::Overdrawn { id, least, denom: denom.clone() })
        }
        None => Err(EscrowError::NotFound(id)),
    }
}

/// Checks new groups against the parameters, and against each other and the
/// names that are taken.
fn check_groups(
    ctx: &Ctx<'_>,
    denom: &Denom,
    taken: &[String],
    groups: &[(GroupSpec, Denom)],
) -> Result<(), DeploymentError> {
    let bounds = params(ctx);
    let market = market::params(ctx);
    let number = taken.len().saturating_add(groups.len());
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let max = u64::from(bounds.max_groups);
    if number > max {
        let what = "groups of the deployment".to_owned();
        return Err(DeploymentError::OutOfBounds { what, number, min: 1, max });
    }
    let mut names = taken.to_vec();
    for (spec, given) in groups {
        if given != denom {
            let (group, given, denom) = (spec.name.clone(), given.clone(), denom.clone());
            return Err(DeploymentError::OtherDenom { group, given, denom });
        }
        if names.contains(&spec.name) {
            return Err(DeploymentError::DuplicateName(spec.name.clone()));
        }
        names.push(spec.name.clone());
        bounds.check(spec)?;
        let (min, max) = (market.min_reclamation, market.max_reclamation);
        if spec.reclamation != 0 && !(min..=max).contains(&spec.reclamation) {
            return Err(DeploymentError::Reclamation { given: spec.reclamation, min, max });
        }
    }
    Ok(())
}

/// Owner and number of a group from a message's fields.
fn group_id(
    owner: &str,
    dseq: u64,
    gseq: u32,
) -> Result<(Address, crate::types::GroupId), Failure> {
    let id: crate::types::GroupId =
        types_pb::GroupId { owner: owner.to_owned(), dseq, gseq }.try_into()?;
    Ok((id.deployment.owner, id))
}
