//! Queries about providers.

use stoa_proto::provider::v1 as pb;

use super::pending as market;
use super::{keys, params, unbondings_of, Error, Provider, Unbonding};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::page;
use crate::query::Router;
use crate::types::Address;

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
    let provider = super::provider(ctx, &owner).ok_or(Error::UnknownProvider(owner))?;
    Ok(pb::QueryProviderResponse {
        reputation: market::reputation(ctx, &owner, provider.stake),
        unbondings: unbondings_of(ctx, &owner).map(Into::into).collect(),
        provider: Some(to_proto(ctx, provider)),
    })
}

fn query_providers(
    ctx: &Ctx<'_>,
    request: pb::QueryProvidersRequest,
) -> Result<pb::QueryProvidersResponse, Failure> {
    let (providers, pagination) =
        page::collect(ctx, &keys::providers(), request.pagination, |key, value| {
            Some(to_proto(ctx, crate::state::decode(key, value)))
        })?;
    Ok(pb::QueryProvidersResponse { providers, pagination: Some(pagination) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    let params = params(ctx);
    let params = pb::Params {
        root_overlap: params.root_overlap,
        unbonding: params.unbonding,
        max_certificate_bytes: params.max_certificate_bytes,
        max_attributes: params.max_attributes,
        max_unbondings: params.max_unbondings,
    };
    Ok(pb::QueryParamsResponse { params: Some(params) })
}

fn to_proto(ctx: &Ctx<'_>, provider: Provider) -> pb::Provider {
    let earlier = provider.earlier_root.filter(|earlier| earlier.is_valid_at(ctx.now()));
    let (earlier_root, earlier_root_until) =
        earlier.map(|earlier| (earlier.der, earlier.until)).unwrap_or_default();
    pb::Provider {
        live_leases: market::live_leases(ctx, &provider.owner),
        open_bids: market::open_bids(ctx, &provider.owner),
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
