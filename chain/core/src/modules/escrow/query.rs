//! Queries about escrow.

use stoa_proto::escrow::v1 as pb;

use super::account::{Account, AccountState};
use super::{get, keys, params, pool, EscrowError};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::page;
use crate::query::Router;
use crate::types::{DeploymentId, Fine};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/stoa.escrow.v1.Query/Account", query_account);
    router.mount("/stoa.escrow.v1.Query/Accounts", query_accounts);
    router.mount("/stoa.escrow.v1.Query/Params", query_params);
    router.mount("/stoa.escrow.v1.Query/CommunityPool", query_pool);
}

fn state_to_proto(state: AccountState) -> pb::AccountState {
    match state {
        AccountState::Open => pb::AccountState::Open,
        AccountState::Overdrawn => pb::AccountState::Overdrawn,
        AccountState::Closed => pb::AccountState::Closed,
    }
}

fn to_proto(id: DeploymentId, account: &Account) -> pb::Account {
    let denom = &account.denom;
    let depositors = account.depositors.iter().map(|depositor| pb::Depositor {
        address: depositor.address.to_string(),
        balance: Some(depositor.balance.to_dec_coin(denom)),
    });
    pb::Account {
        id: Some(id.into()),
        state: state_to_proto(account.state).into(),
        balance: Some(account.balance().to_dec_coin(denom)),
        total_rate: Some(account.total_rate(account.settled_at).to_dec_coin(denom)),
        settled_at: account.settled_at,
        depositors: depositors.collect(),
        exhausts_at: account.exhausts_at.unwrap_or_default(),
        overdrawn_until: account.overdrawn_until.unwrap_or_default(),
    }
}

/// The balance as a settlement at `now` would leave it.
fn balance_at(mut account: Account, now: u64) -> Fine {
    if account.state == AccountState::Open {
        account.settle(now);
    }
    account.balance()
}

fn query_account(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountRequest,
) -> Result<pb::QueryAccountResponse, Failure> {
    let id: DeploymentId = request.id.try_into()?;
    let account = get(ctx, id).ok_or(EscrowError::NotFound(id))?;
    let proto = to_proto(id, &account);
    let denom = account.denom.clone();
    let balance_now = balance_at(account, ctx.now()).to_dec_coin(&denom);
    Ok(pb::QueryAccountResponse { account: Some(proto), balance_now: Some(balance_now) })
}

fn query_accounts(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountsRequest,
) -> Result<pb::QueryAccountsResponse, Failure> {
    let wanted = request.state;
    let (accounts, pagination) =
        page::collect(ctx, &keys::accounts(), request.pagination, |key, value| {
            let account: Account = crate::state::decode(key, value);
            let state = i32::from(state_to_proto(account.state));
            (wanted == 0 || wanted == state)
                .then(|| Some(to_proto(keys::account_id(key)?, &account)))
                .flatten()
        })?;
    Ok(pb::QueryAccountsResponse { accounts, pagination: Some(pagination) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}

fn query_pool(
    ctx: &Ctx<'_>,
    _: pb::QueryCommunityPoolRequest,
) -> Result<pb::QueryCommunityPoolResponse, Failure> {
    let pool = pool(ctx).map(|(denom, money)| money.to_dec_coin(&denom)).collect();
    Ok(pb::QueryCommunityPoolResponse { pool })
}
