//! Cosmos' queries about slashing.

use cosmos_sdk_proto::cosmos::slashing::v1beta1 as pb;

use super::{keys, params, signing_info, SigningInfo};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::staking::signed;
use crate::page;
use crate::query::Router;
use crate::types::{timestamp, ConsAddress};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.slashing.v1beta1.Query/Params", query_params);
    router.mount("/cosmos.slashing.v1beta1.Query/SigningInfo", one);
    router.mount("/cosmos.slashing.v1beta1.Query/SigningInfos", all);
}

fn query_params(
    ctx: &Ctx<'_>,
    _request: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}

fn one(
    ctx: &Ctx<'_>,
    request: pb::QuerySigningInfoRequest,
) -> Result<pb::QuerySigningInfoResponse, Failure> {
    let validator: ConsAddress = request.cons_address.parse()?;
    let missing = || SdkError::NotFound(format!("SigningInfo for validator {validator}"));
    let info = signing_info(ctx, &validator).ok_or_else(missing)?;
    Ok(pb::QuerySigningInfoResponse { val_signing_info: Some(told(ctx, validator, &info)) })
}

fn all(
    ctx: &Ctx<'_>,
    request: pb::QuerySigningInfosRequest,
) -> Result<pb::QuerySigningInfosResponse, Failure> {
    let prefix = keys::signing_infos();
    let (info, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        let validator = keys::signing_info_validator(key)?;
        let info: SigningInfo = crate::state::decode(key, value);
        Some(told(ctx, validator, &info))
    })?;
    Ok(pb::QuerySigningInfosResponse { info, pagination: Some(pagination) })
}

/// `index_offset` is how many blocks have passed since votes are counted.
fn told(ctx: &Ctx<'_>, validator: ConsAddress, info: &SigningInfo) -> pb::ValidatorSigningInfo {
    pb::ValidatorSigningInfo {
        address: validator.to_string(),
        start_height: signed(info.start_height),
        index_offset: signed(ctx.height().saturating_sub(info.start_height)),
        jailed_until: Some(timestamp(info.jailed_until)),
        tombstoned: info.tombstoned,
        missed_blocks_counter: signed(info.missed),
    }
}
