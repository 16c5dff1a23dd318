//! Cosmos' queries about allowances.

use cosmos_sdk_proto::cosmos::feegrant::v1beta1 as pb;

use super::{find, keys, msgs, Allowance};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::page;
use crate::query::Router;
use crate::types::Address;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.feegrant.v1beta1.Query/Allowance", query_allowance);
    router.mount("/cosmos.feegrant.v1beta1.Query/Allowances", query_allowances);
    router.mount("/cosmos.feegrant.v1beta1.Query/AllowancesByGranter", query_by_granter);
}

fn to_proto(granter: &Address, grantee: &Address, allowance: &Allowance) -> pb::Grant {
    pb::Grant {
        granter: granter.to_string(),
        grantee: grantee.to_string(),
        allowance: Some(allowance.to_any()),
    }
}

fn query_allowance(
    ctx: &Ctx<'_>,
    request: pb::QueryAllowanceRequest,
) -> Result<pb::QueryAllowanceResponse, Failure> {
    let (granter, grantee) = (request.granter.parse()?, request.grantee.parse()?);
    let found = find(ctx, &granter, &grantee).ok_or_else(|| msgs::none(&granter, &grantee))?;
    Ok(pb::QueryAllowanceResponse { allowance: Some(to_proto(&granter, &grantee, &found)) })
}

fn query_allowances(
    ctx: &Ctx<'_>,
    request: pb::QueryAllowancesRequest,
) -> Result<pb::QueryAllowancesResponse, Failure> {
    let prefix = keys::allowances_of(&request.grantee.parse()?);
    let (allowances, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            let (granter, grantee) = keys::allowance_parties(key)?;
            Some(to_proto(&granter, &grantee, &crate::state::decode(key, value)))
        })?;
    Ok(pb::QueryAllowancesResponse { allowances, pagination: Some(pagination) })
}

fn query_by_granter(
    ctx: &Ctx<'_>,
    request: pb::QueryAllowancesByGranterRequest,
) -> Result<pb::QueryAllowancesByGranterResponse, Failure> {
    let prefix = keys::by_granter_of(&request.granter.parse()?);
    let (allowances, pagination) = page::collect(ctx, &prefix, request.pagination, |key, _| {
        let (granter, grantee) = keys::by_granter_parties(key)?;
        Some(to_proto(&granter, &grantee, &find(ctx, &granter, &grantee)?))
    })?;
    Ok(pb::QueryAllowancesByGranterResponse { allowances, pagination: Some(pagination) })
}
