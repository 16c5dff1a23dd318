//! Queries about providers.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use stoa_proto::provider::v1 as pb;

use super::{keys, params, unbondings_of, Provider, Unbonding};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::market;
use crate::page;
use crate::query::Router;
use crate::types::Address;

/// Most providers on a page: each one's leases and bids are counted.
const MAX_PAGE: u64 = 100;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/stoa.provider.v1.Query/Provider", query_provider);
    router.mount("/stoa.provider.v1.Query/Providers", query_providers);
    router.mount("/stoa.provider.v1.Query/Params", query_params);
}

fn query_provider(
    ctx: &Ctx<'_>,
    request: pb::QueryProviderRequest,
) -> Result<pb::QueryProviderResponse, Failure> {
    let owner: Address = request.owner.parse()?;
    let missing = || SdkError::NotFound(format!("provider {owner}"));
    let provider = super::provider(ctx, &owner).ok_or_else(missing)?;
    Ok(pb::QueryProviderResponse {
        reputation: market::reputation(ctx, &owner),
        unbondings: unbondings_of(ctx, &owner).map(Into::into).collect(),
        provider: Some(to_proto(ctx, provider)),
    })
}

fn query_providers(
    ctx: &Ctx<'_>,
    request: pb::QueryProvidersRequest,
) -> Result<pb::QueryProvidersResponse, Failure> {
    let page =
        request.pagination.map(|page| PageRequest { limit: page.limit.min(MAX_PAGE), ..page });
    let (providers, pagination) = page::collect(ctx, &keys::providers(), page, |key, value| {
        Some(to_proto(ctx, crate::state::decode(key, value)))
    })?;
    Ok(pb::QueryProvidersResponse { providers, pagination: Some(pagination) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}

fn to_proto(ctx: &Ctx<'_>, provider: Provider) -> pb::Provider {
    let earlier = provider.earlier_root.filter(|earlier| earlier.is_valid_at(ctx.now()));
    let (earlier_root, earlier_root_until) =
        earlier.map(|earlier| (earlier.der, earlier.until)).unwrap_or_default();
    let (live_leases, open_bids) = market::engagements(ctx, &provider.owner);
    pb::Provider {
        owner: provider.owner.to_string(),
        host_uri: provider.host_uri,
        attributes: provider.attributes.into_iter().map(Into::into).collect(),
        info: Some(pb::ProviderInfo { email: provider.email, website: provider.website }),
        root_certificate: provider.root_certificate,
        earlier_root,
        earlier_root_until,
        jailed: provider.jailed,
        created_at: provider.created_at,
        stake: provider.stake.to_string(),
        live_leases,
        open_bids,
    }
}

impl From<Unbonding> for pb::Unbonding {
    fn from(unbonding: Unbonding) -> Self {
        Self {
            provider: unbonding.provider.to_string(),
            completes_at: unbonding.completes_at,
            amount: unbonding.amount.to_string(),
        }
    }
}
