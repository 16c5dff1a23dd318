//! Cosmos' queries about accounts.

use cosmos_sdk_proto::cosmos::auth::v1beta1 as pb;
use cosmos_sdk_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use cosmos_sdk_proto::cosmos::vesting::v1beta1 as vesting_pb;
use cosmos_sdk_proto::Any;
use prost::{Message, Name};

use super::{account, keys, module_accounts, params, Account, AccountKey, Schedule, Vesting};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::page;
use crate::query::Router;
use crate::types::{Address, PREFIX};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.auth.v1beta1.Query/Account", query_account);
    router.mount("/cosmos.auth.v1beta1.Query/Accounts", query_accounts);
    router.mount("/cosmos.auth.v1beta1.Query/AccountInfo", query_info);
    router.mount("/cosmos.auth.v1beta1.Query/AccountAddressByID", query_by_number);
    router.mount("/cosmos.auth.v1beta1.Query/Params", query_params);
    router.mount("/cosmos.auth.v1beta1.Query/ModuleAccounts", query_modules);
    router.mount("/cosmos.auth.v1beta1.Query/ModuleAccountByName", query_module);
    router.mount("/cosmos.auth.v1beta1.Query/Bech32Prefix", query_prefix);
    router.mount("/cosmos.auth.v1beta1.Query/AddressBytesToString", query_to_string);
    router.mount("/cosmos.auth.v1beta1.Query/AddressStringToBytes", query_to_bytes);
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn base(address: &Address, account: &Account) -> pb::BaseAccount {
    pb::BaseAccount {
        address: address.to_string(),
        pub_key: account.public_key.as_ref().map(AccountKey::to_any),
        account_number: account.number,
        sequence: account.sequence,
    }
}

/// An account as the type that its kind has in Cosmos.
fn as_any(address: &Address, account: &Account) -> Any {
    let base = base(address, account);
    match &account.vesting {
        None => any(&base),
        Some(vesting) => vesting_any(base, vesting),
    }
}

fn vesting_any(base: pb::BaseAccount, vesting: &Vesting) -> Any {
    let base_vesting_account = Some(vesting_pb::BaseVestingAccount {
        base_account: Some(base),
        original_vesting: vesting.original.to_proto(),
        delegated_free: vesting.delegated_free.to_proto(),
        delegated_vesting: vesting.delegated_vesting.to_proto(),
        end_time: time(vesting.end()),
    });
    match &vesting.schedule {
        Schedule::Continuous { start, .. } => any(&vesting_pb::ContinuousVestingAccount {
            base_vesting_account,
            start_time: time(*start),
        }),
        Schedule::Delayed { .. } => {
            any(&vesting_pb::DelayedVestingAccount { base_vesting_account })
        }
        Schedule::Periodic { start, periods } => {
            let periods = periods.iter().map(|period| vesting_pb::Period {
                length: time(period.length),
                amount: period.amount.to_proto(),
            });
            any(&vesting_pb::PeriodicVestingAccount {
                base_vesting_account,
                start_time: time(*start),
                vesting_periods: periods.collect(),
            })
        }
        Schedule::Locked => any(&vesting_pb::PermanentLockedAccount { base_vesting_account }),
    }
}

fn time(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
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

/// A page of the accounts for which `item` gives something.
///
/// # Errors
/// See [`page::collect`].
pub fn pages<T: Message>(
    ctx: &Ctx<'_>,
    page: Option<PageRequest>,
    item: impl Fn(&Address, &Account) -> Option<T>,
) -> Result<(Vec<T>, PageResponse), SdkError> {
    page::collect(ctx, &keys::accounts(), page, |key, value| {
        item(&keys::account_address(key)?, &crate::state::decode(key, value))
    })
}

fn query_accounts(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountsRequest,
) -> Result<pb::QueryAccountsResponse, Failure> {
    let (accounts, pagination) =
        pages(ctx, request.pagination, |address, account| Some(as_any(address, account)))?;
    Ok(pb::QueryAccountsResponse { accounts, pagination: Some(pagination) })
}

// `id` is what `account_id` replaced; clients of both ages are served.
#[allow(deprecated)]
fn query_by_number(
    ctx: &Ctx<'_>,
    request: pb::QueryAccountAddressByIdRequest,
) -> Result<pb::QueryAccountAddressByIdResponse, Failure> {
    let number = match request.account_id {
        0 => u64::try_from(request.id).unwrap_or_default(),
        number => number,
    };
    let address: Option<Address> = ctx.get(&keys::by_number(number));
    let missing = || SdkError::NotFound(format!("account number {number}"));
    let account_address = address.ok_or_else(missing)?.to_string();
    Ok(pb::QueryAccountAddressByIdResponse { account_address })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<stoa_proto::auth::QueryParamsResponse, Failure> {
    let params = params(ctx);
    let params = stoa_proto::auth::Params {
        max_memo_characters: u64::from(params.max_memo_bytes),
        tx_sig_limit: u64::from(params.max_signers),
        tx_size_cost_per_byte: crate::gas::TX_BYTE,
        sig_verify_cost_ed25519: crate::gas::VERIFY_ED25519,
        sig_verify_cost_secp256k1: crate::gas::VERIFY_SECP256K1,
        max_unordered_seconds: params.max_unordered_seconds,
    };
    Ok(stoa_proto::auth::QueryParamsResponse { params: Some(params) })
}

fn query_modules(
    _: &Ctx<'_>,
    _: pb::QueryModuleAccountsRequest,
) -> Result<pb::QueryModuleAccountsResponse, Failure> {
    let accounts = module_accounts::all().map(|account| any(&account)).collect();
    Ok(pb::QueryModuleAccountsResponse { accounts })
}

fn query_module(
    _: &Ctx<'_>,
    request: pb::QueryModuleAccountByNameRequest,
) -> Result<pb::QueryModuleAccountByNameResponse, Failure> {
    let found = module_accounts::all().find(|account| account.name == request.name);
    let missing = || SdkError::NotFound(format!("account of module {:?}", request.name));
    let account = any(&found.ok_or_else(missing)?);
    Ok(pb::QueryModuleAccountByNameResponse { account: Some(account) })
}

fn query_prefix(
    _: &Ctx<'_>,
    _: pb::Bech32PrefixRequest,
) -> Result<pb::Bech32PrefixResponse, Failure> {
    Ok(pb::Bech32PrefixResponse { bech32_prefix: PREFIX.to_owned() })
}

fn query_to_string(
    _: &Ctx<'_>,
    request: pb::AddressBytesToStringRequest,
) -> Result<pb::AddressBytesToStringResponse, Failure> {
    let length = request.address_bytes.len();
    let bytes = request.address_bytes.try_into();
    let address = bytes.map(Address::new).map_err(|_| {
        SdkError::InvalidAddress(format!("{length} bytes; an address has {}", Address::LEN))
    })?;
    Ok(pb::AddressBytesToStringResponse { address_string: address.to_string() })
}

fn query_to_bytes(
    _: &Ctx<'_>,
    request: pb::AddressStringToBytesRequest,
) -> Result<pb::AddressStringToBytesResponse, Failure> {
    let address: Address = request.address_string.parse()?;
    Ok(pb::AddressStringToBytesResponse { address_bytes: address.as_bytes().to_vec() })
}
