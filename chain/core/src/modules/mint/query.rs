//! Cosmos' queries about inflation.

use cosmos_sdk_proto::cosmos::mint::v1beta1 as pb;

use super::{minter, params};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::bank;
use crate::query::Router;
use crate::types::Denom;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.mint.v1beta1.Query/Params", query_params);
    router.mount("/cosmos.mint.v1beta1.Query/Inflation", query_inflation);
    router.mount("/cosmos.mint.v1beta1.Query/AnnualProvisions", query_provisions);
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}

/// The bytes are the digits of the 10^18-fold, as of decimals in text fields.
fn query_inflation(
    ctx: &Ctx<'_>,
    _: pb::QueryInflationRequest,
) -> Result<pb::QueryInflationResponse, Failure> {
    let inflation = minter(ctx).inflation.to_wire().into_bytes();
    Ok(pb::QueryInflationResponse { inflation })
}

fn query_provisions(
    ctx: &Ctx<'_>,
    _: pb::QueryAnnualProvisionsRequest,
) -> Result<pb::QueryAnnualProvisionsResponse, Failure> {
    let supply = bank::supply(ctx, &Denom::stake());
    let annual_provisions = minter(ctx).annual_provisions(supply).raw().to_string().into_bytes();
    Ok(pb::QueryAnnualProvisionsResponse { annual_provisions })
}
