//! Cosmos' queries about balances and supply.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;
use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageResponse;

use super::{balance, keys, supply};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::auth;
use crate::page;
use crate::query::Router;
use crate::types::{Address, Coin, Denom};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.bank.v1beta1.Query/Balance", query_balance);
    router.mount("/cosmos.bank.v1beta1.Query/AllBalances", query_all);
    router.mount("/cosmos.bank.v1beta1.Query/SpendableBalances", query_spendable);
    router.mount("/cosmos.bank.v1beta1.Query/SupplyOf", query_supply_of);
    router.mount("/cosmos.bank.v1beta1.Query/TotalSupply", query_total);
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

fn balances_of(
    ctx: &Ctx<'_>,
    address: &str,
) -> Result<(Vec<cosmos_sdk_proto::cosmos::base::v1beta1::Coin>, PageResponse), Failure> {
    let address: Address = address.parse()?;
    let balances =
        auth::account(ctx, &address).map(|account| account.balances.to_proto()).unwrap_or_default();
    let total = u64::try_from(balances.len()).unwrap_or(u64::MAX);
    Ok((balances, PageResponse { next_key: Vec::new(), total }))
}

fn query_all(
    ctx: &Ctx<'_>,
    request: pb::QueryAllBalancesRequest,
) -> Result<pb::QueryAllBalancesResponse, Failure> {
    let (balances, pagination) = balances_of(ctx, &request.address)?;
    Ok(pb::QueryAllBalancesResponse { balances, pagination: Some(pagination) })
}

fn query_spendable(
    ctx: &Ctx<'_>,
    request: pb::QuerySpendableBalancesRequest,
) -> Result<pb::QuerySpendableBalancesResponse, Failure> {
    let (balances, pagination) = balances_of(ctx, &request.address)?;
    Ok(pb::QuerySpendableBalancesResponse { balances, pagination: Some(pagination) })
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
