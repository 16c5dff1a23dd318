//! Cosmos' queries about balances and supply.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;
use cosmos_sdk_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use cosmos_sdk_proto::cosmos::base::v1beta1 as base;

use super::params::MAX_SEND_ENABLED;
use super::{balance, keys, metadata, params, spendable, supply, Metadata, SendEnabled};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::auth;
use crate::page;
use crate::query::Router;
use crate::types::{Address, Amount, Coin, Denom};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.bank.v1beta1.Query/Balance", query_balance);
    router.mount("/cosmos.bank.v1beta1.Query/AllBalances", query_all);
    router.mount("/cosmos.bank.v1beta1.Query/SpendableBalances", query_spendable);
    router.mount("/cosmos.bank.v1beta1.Query/SpendableBalanceByDenom", query_spendable_by_denom);
    router.mount("/cosmos.bank.v1beta1.Query/SupplyOf", query_supply_of);
    router.mount("/cosmos.bank.v1beta1.Query/TotalSupply", query_total);
    router.mount("/cosmos.bank.v1beta1.Query/Params", query_params);
    router.mount("/cosmos.bank.v1beta1.Query/SendEnabled", query_send_enabled);
    router.mount("/cosmos.bank.v1beta1.Query/DenomMetadata", query_metadata);
    router.mount("/cosmos.bank.v1beta1.Query/DenomMetadataByQueryString", query_metadata_by_query);
    router.mount("/cosmos.bank.v1beta1.Query/DenomsMetadata", query_all_metadata);
    router.mount("/cosmos.bank.v1beta1.Query/DenomOwners", query_owners);
    router.mount("/cosmos.bank.v1beta1.Query/DenomOwnersByQuery", query_owners_by_query);
}

fn query_balance(
    ctx: &Ctx<'_>,
    request: pb::QueryBalanceRequest,
) -> Result<pb::QueryBalanceResponse, Failure> {
    let address: Address = request.address.parse()?;
    let denom = Denom::try_from(request.denom)?;
    let amount = balance(ctx, &address, &denom);
    Ok(pb::QueryBalanceResponse { balance: Some(Coin::new(denom, amount).into()) })
}

/// Some amount of each denom that the account has. They are at most as many as
/// an account may list, so that all are on the first page.
fn amounts(
    ctx: &Ctx<'_>,
    address: &str,
    of: impl Fn(&auth::Account, &Denom) -> Amount,
) -> Result<(Vec<base::Coin>, PageResponse), Failure> {
    let address: Address = address.parse()?;
    let account = auth::account(ctx, &address);
    let coins = account.into_iter().flat_map(|account| {
        let denoms: Vec<Denom> = account.balances.iter().map(|coin| coin.denom).collect();
        let coin = |denom: Denom| Coin::new(denom.clone(), of(&account, &denom)).into();
        denoms.into_iter().map(coin).collect::<Vec<base::Coin>>()
    });
    let coins: Vec<base::Coin> = coins.collect();
    let total = u64::try_from(coins.len()).unwrap_or(u64::MAX);
    Ok((coins, PageResponse { next_key: Vec::new(), total }))
}

fn query_all(
    ctx: &Ctx<'_>,
    request: pb::QueryAllBalancesRequest,
) -> Result<pb::QueryAllBalancesResponse, Failure> {
    let (balances, pagination) =
        amounts(ctx, &request.address, |account, denom| account.balances.of(denom))?;
    Ok(pb::QueryAllBalancesResponse { balances, pagination: Some(pagination) })
}

fn query_spendable(
    ctx: &Ctx<'_>,
    request: pb::QuerySpendableBalancesRequest,
) -> Result<pb::QuerySpendableBalancesResponse, Failure> {
    let now = ctx.now();
    let (balances, pagination) =
        amounts(ctx, &request.address, |account, denom| account.spendable(denom, now))?;
    Ok(pb::QuerySpendableBalancesResponse { balances, pagination: Some(pagination) })
}

fn query_spendable_by_denom(
    ctx: &Ctx<'_>,
    request: pb::QuerySpendableBalanceByDenomRequest,
) -> Result<pb::QuerySpendableBalanceByDenomResponse, Failure> {
    let address: Address = request.address.parse()?;
    let denom = Denom::try_from(request.denom)?;
    let amount = spendable(ctx, &address, &denom);
    Ok(pb::QuerySpendableBalanceByDenomResponse { balance: Some(Coin::new(denom, amount).into()) })
}

fn query_supply_of(
    ctx: &Ctx<'_>,
    request: pb::QuerySupplyOfRequest,
) -> Result<pb::QuerySupplyOfResponse, Failure> {
    let denom = Denom::try_from(request.denom)?;
    let amount = supply(ctx, &denom);
    Ok(pb::QuerySupplyOfResponse { amount: Some(Coin::new(denom, amount).into()) })
}

fn query_total(
    ctx: &Ctx<'_>,
    request: pb::QueryTotalSupplyRequest,
) -> Result<pb::QueryTotalSupplyResponse, Failure> {
    let (supply, pagination) =
        page::collect(ctx, &keys::supplies(), request.pagination, |key, value| {
            let denom = keys::supply_denom(key)?;
            Some(Coin::new(denom, crate::state::decode(key, value)).into())
        })?;
    Ok(pb::QueryTotalSupplyResponse { supply, pagination: Some(pagination) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    let default_send_enabled = params(ctx).default_send_enabled;
    let params = pb::Params { default_send_enabled, ..pb::Params::default() };
    Ok(pb::QueryParamsResponse { params: Some(params) })
}

fn query_send_enabled(
    ctx: &Ctx<'_>,
    request: pb::QuerySendEnabledRequest,
) -> Result<pb::QuerySendEnabledResponse, Failure> {
    let params = params(ctx);
    // Denoms that are asked for are answered; else all that are listed.
    let send_enabled: Vec<pb::SendEnabled> = if request.denoms.is_empty() {
        params.send_enabled.into_iter().map(Into::into).collect()
    } else {
        if request.denoms.len() > MAX_SEND_ENABLED {
            let text = format!("at most {MAX_SEND_ENABLED} denoms can be asked for at a time");
            return Err(SdkError::InvalidRequest(text).into());
        }
        let denoms = request.denoms.into_iter().map(Denom::try_from);
        let denoms = denoms.collect::<Result<Vec<_>, _>>()?;
        let listed = |denom: Denom| SendEnabled { enabled: params.may_send(&denom), denom };
        denoms.into_iter().map(|denom| listed(denom).into()).collect()
    };
    let total = u64::try_from(send_enabled.len()).unwrap_or(u64::MAX);
    let pagination = Some(PageResponse { next_key: Vec::new(), total });
    Ok(pb::QuerySendEnabledResponse { send_enabled, pagination })
}

fn find_metadata(ctx: &Ctx<'_>, denom: String) -> Result<Option<pb::Metadata>, Failure> {
    let denom = Denom::try_from(denom)?;
    let missing = || SdkError::NotFound(format!("client metadata for denom {denom}"));
    let found = metadata(ctx, &denom).ok_or_else(missing)?;
    Ok(Some(found.into()))
}

fn query_metadata(
    ctx: &Ctx<'_>,
    request: pb::QueryDenomMetadataRequest,
) -> Result<pb::QueryDenomMetadataResponse, Failure> {
    Ok(pb::QueryDenomMetadataResponse { metadata: find_metadata(ctx, request.denom)? })
}

fn query_metadata_by_query(
    ctx: &Ctx<'_>,
    request: pb::QueryDenomMetadataByQueryStringRequest,
) -> Result<pb::QueryDenomMetadataByQueryStringResponse, Failure> {
    let metadata = find_metadata(ctx, request.denom)?;
    Ok(pb::QueryDenomMetadataByQueryStringResponse { metadata })
}

fn query_all_metadata(
    ctx: &Ctx<'_>,
    request: pb::QueryDenomsMetadataRequest,
) -> Result<pb::QueryDenomsMetadataResponse, Failure> {
    let (metadatas, pagination) =
        page::collect(ctx, &keys::all_metadata(), request.pagination, |key, value| {
            Some(crate::state::decode::<Metadata>(key, value).into())
        })?;
    Ok(pb::QueryDenomsMetadataResponse { metadatas, pagination: Some(pagination) })
}

fn owners(
    ctx: &Ctx<'_>,
    denom: String,
    page: Option<PageRequest>,
) -> Result<(Vec<pb::DenomOwner>, Option<PageResponse>), Failure> {
    let denom = Denom::try_from(denom)?;
    let (owners, pagination) = auth::pages(ctx, page, |address, account| {
        let amount = account.balances.of(&denom);
        let balance = Some(Coin::new(denom.clone(), amount).into());
        let owner = pb::DenomOwner { address: address.to_string(), balance };
        (!amount.is_zero()).then_some(owner)
    })?;
    Ok((owners, Some(pagination)))
}

fn query_owners(
    ctx: &Ctx<'_>,
    request: pb::QueryDenomOwnersRequest,
) -> Result<pb::QueryDenomOwnersResponse, Failure> {
    let (denom_owners, pagination) = owners(ctx, request.denom, request.pagination)?;
    Ok(pb::QueryDenomOwnersResponse { denom_owners, pagination })
}

fn query_owners_by_query(
    ctx: &Ctx<'_>,
    request: pb::QueryDenomOwnersByQueryRequest,
) -> Result<pb::QueryDenomOwnersByQueryResponse, Failure> {
    let (denom_owners, pagination) = owners(ctx, request.denom, request.pagination)?;
    Ok(pb::QueryDenomOwnersByQueryResponse { denom_owners, pagination })
}
