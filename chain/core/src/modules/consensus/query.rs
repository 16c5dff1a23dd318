//! Cosmos' query about the engine's parameters.

use stoa_proto::consensus::v1 as pb;

use super::params;
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::query::Router;

/// Mounts it.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.consensus.v1.Query/Params", query_params);
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}
