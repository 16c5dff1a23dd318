//! Cosmos' queries about accounts.

use cosmos_sdk_proto::cosmos::auth::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use prost::Message;

use super::{account, params, Account};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::page;
use crate::query::Router;
use crate::types::Address;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.auth.v1beta1.Query/Account", query_account);
    router.mount("/cosmos.auth.v1beta1.Query/Accounts", query_accounts);
    router.mount("/cosmos.auth.v1beta1.Query/AccountInfo", query_info);
    router.mount("/cosmos.auth.v1beta1.Query/Params", query_params);
    router.mount("/cosmos.auth.v1beta1.Query/Bech32Prefix", query_prefix);
}

fn base(address: &Address, account: &Account) -> pb::BaseAccount {
    pb::BaseAccount {
        address: address.to_string(),
        pub_key: account.public_key.map(super::PublicKey::to_any),
        account_number: account.number,
        sequence: account.sequence,
    }
}

fn as_any(address: &Address, account: &Account) -> Any {
    Any {
        type_url: "/cosmos.auth.v1beta1.BaseAccount".to_owned(),
        value: base(address, account).encode_to_vec(),
    }
}

fn find(ctx: &Ctx<'_>, address: &str) -> Result<(Address, Account), Failure> {
    let address: Address = address.parse()?;
    let found = account(ctx, &address);
    // CosmJS looks for these words.
    let missing = || {
        SdkError::NotFound(format!(
            "rpc error: code = NotFound desc = account {address} not found: key"
        ))
    };
    Ok((address, found.ok_or_else(missing)?))
}

fn query_account(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountRequest,
) -> Result<pb::QueryAccountResponse, Failure> {
    let (address, account) = find(ctx, &request.address)?;
    Ok(pb::QueryAccountResponse { account: Some(as_any(&address, &account)) })
}

fn query_info(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountInfoRequest,
) -> Result<pb::QueryAccountInfoResponse, Failure> {
    let (address, account) = find(ctx, &request.address)?;
    Ok(pb::QueryAccountInfoResponse { info: Some(base(&address, &account)) })
}

fn query_accounts(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountsRequest,
) -> Result<pb::QueryAccountsResponse, Failure> {
    let (accounts, pagination) =
        page::collect(ctx, &super::keys::accounts(), request.pagination, |key, value| {
            let address = super::keys::account_address(key)?;
            Some(as_any(&address, &crate::state::decode(key, value)))
        })?;
    Ok(pb::QueryAccountsResponse { accounts, pagination: Some(pagination) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    let params = params(ctx);
    let params = pb::Params {
        max_memo_characters: u64::from(params.max_memo_bytes),
        tx_sig_limit: u64::from(params.max_signers),
        tx_size_cost_per_byte: crate::gas::TX_BYTE,
        sig_verify_cost_ed25519: crate::gas::VERIFY_ED25519,
        sig_verify_cost_secp256k1: crate::gas::VERIFY_SECP256K1,
    };
    Ok(pb::QueryParamsResponse { params: Some(params) })
}

fn query_prefix(
    _: &Ctx<'_>,
    _: pb::Bech32PrefixRequest,
) -> Result<pb::Bech32PrefixResponse, Failure> {
    Ok(pb::Bech32PrefixResponse { bech32_prefix: crate::types::PREFIX.to_owned() })
}
