//! Cosmos' queries about grants.

use cosmos_sdk_proto::cosmos::authz::v1beta1 as pb;

use super::keys::Subject;
use super::{find, keys, msgs, Grant};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::page;
use crate::query::Router;
use crate::types::{timestamp, Address};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.authz.v1beta1.Query/Grants", query_grants);
    router.mount("/cosmos.authz.v1beta1.Query/GranterGrants", query_by_granter);
    router.mount("/cosmos.authz.v1beta1.Query/GranteeGrants", query_by_grantee);
}

fn to_proto(grant: &Grant) -> pb::Grant {
    pb::Grant {
        authorization: Some(grant.authorization.to_any()),
        expiration: grant.expiration.map(timestamp),
    }
}

fn with_parties(subject: &Subject, grant: &Grant) -> pb::GrantAuthorization {
    let pb::Grant { authorization, expiration } = to_proto(grant);
    let (granter, grantee) = (subject.granter.to_string(), subject.grantee.to_string());
    pb::GrantAuthorization { granter, grantee, authorization, expiration }
}

fn query_grants(
    ctx: &Ctx<'_>,
    request: pb::QueryGrantsRequest,
) -> Result<pb::QueryGrantsResponse, Failure> {
    let granter: Address = request.granter.parse()?;
    let grantee: Address = request.grantee.parse()?;
    if !request.msg_type_url.is_empty() {
        let subject = Subject { granter, grantee, url: request.msg_type_url };
        let grant = find(ctx, &subject).ok_or_else(|| msgs::none(&subject))?;
        return Ok(pb::QueryGrantsResponse { grants: vec![to_proto(&grant)], pagination: None });
    }
    let prefix = keys::grants_between(&granter, &grantee);
    let (grants, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        Some(to_proto(&crate::state::decode(key, value)))
    })?;
    Ok(pb::QueryGrantsResponse { grants, pagination: Some(pagination) })
}

fn query_by_granter(
    ctx: &Ctx<'_>,
    request: pb::QueryGranterGrantsRequest,
) -> Result<pb::QueryGranterGrantsResponse, Failure> {
    let prefix = keys::grants_from(&request.granter.parse()?);
    let (grants, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        Some(with_parties(&keys::grant_subject(key)?, &crate::state::decode(key, value)))
    })?;
    Ok(pb::QueryGranterGrantsResponse { grants, pagination: Some(pagination) })
}

fn query_by_grantee(
    ctx: &Ctx<'_>,
    request: pb::QueryGranteeGrantsRequest,
) -> Result<pb::QueryGranteeGrantsResponse, Failure> {
    let prefix = keys::by_grantee_of(&request.grantee.parse()?);
    let (grants, pagination) = page::collect(ctx, &prefix, request.pagination, |key, _| {
        let subject = keys::by_grantee_subject(key)?;
        Some(with_parties(&subject, &find(ctx, &subject)?))
    })?;
    Ok(pb::QueryGranteeGrantsResponse { grants, pagination: Some(pagination) })
}
