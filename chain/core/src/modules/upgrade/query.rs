//! Cosmos' queries about upgrades.

use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as pb;

use super::{applied_height, plan, state_version, Error};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov;
use crate::query::Router;

/// The modules whose state is versioned: all of them, with one number.
const MODULES: [&str; 17] = [
    "audit",
    "auth",
    "authz",
    "bank",
    "cert",
    "consensus",
    "deployment",
    "distribution",
    "escrow",
    "feegrant",
    "gov",
    "market",
    "mint",
    "provider",
    "slashing",
    "staking",
    "upgrade",
];

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.upgrade.v1beta1.Query/CurrentPlan", query_plan);
    router.mount("/cosmos.upgrade.v1beta1.Query/AppliedPlan", query_applied);
    router.mount("/cosmos.upgrade.v1beta1.Query/ModuleVersions", query_versions);
    router.mount("/cosmos.upgrade.v1beta1.Query/Authority", query_authority);
}

fn query_plan(
    ctx: &Ctx<'_>,
    _: pb::QueryCurrentPlanRequest,
) -> Result<pb::QueryCurrentPlanResponse, Failure> {
    Ok(pb::QueryCurrentPlanResponse { plan: plan(ctx).map(Into::into) })
}

/// Height 0: it was not applied, as in the Cosmos SDK.
fn query_applied(
    ctx: &Ctx<'_>,
    request: pb::QueryAppliedPlanRequest,
) -> Result<pb::QueryAppliedPlanResponse, Failure> {
    let height = applied_height(ctx, &request.name).unwrap_or_default();
    Ok(pb::QueryAppliedPlanResponse { height: i64::try_from(height).unwrap_or(i64::MAX) })
}

fn query_versions(
    ctx: &Ctx<'_>,
    request: pb::QueryModuleVersionsRequest,
) -> Result<pb::QueryModuleVersionsResponse, Failure> {
    let wanted = request.module_name;
    let named = MODULES.into_iter().filter(|name| wanted.is_empty() || wanted == *name);
    let version = state_version(ctx);
    let module_versions: Vec<_> =
        named.map(|name| pb::ModuleVersion { name: name.to_owned(), version }).collect();
    if module_versions.is_empty() {
        return Err(Error::UnknownModule(wanted.chars().take(100).collect()).into());
    }
    Ok(pb::QueryModuleVersionsResponse { module_versions })
}

fn query_authority(
    _: &Ctx<'_>,
    _: pb::QueryAuthorityRequest,
) -> Result<pb::QueryAuthorityResponse, Failure> {
    Ok(pb::QueryAuthorityResponse { address: gov::authority().to_string() })
}
