//! Bank with vesting accounts, its parameters and its queries.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;
use cosmos_sdk_proto::cosmos::vesting::v1beta1::ContinuousVestingAccount;
use prost::{Message as _, Name as _};

use super::*;
use crate::genesis::Genesis as Whole;
use crate::modules::auth::{Schedule, Vesting};
use crate::query::Router;
use crate::store::MemoryStore;
use crate::testing::{self, address, coin, ctx_from, refusal, send, ustoa, NOW};

/// Accounts 1 and 2 with 1,000 ustoa each; of the first, 600 vest over 100
/// seconds.
fn genesis() -> Whole {
    let mut genesis = testing::genesis_with(&[(address(1), 1_000), (address(2), 1_000)]);
    let original = [coin(600)].into_iter().collect();
    let schedule = Schedule::Continuous { start: NOW, end: NOW + 100 };
    genesis.auth.accounts[0].account.vesting = Some(Vesting::new(original, schedule));
    genesis.bank.metadata = vec![Metadata::stoa()];
    genesis
}

fn transfer(amount: u128) -> pb::MsgSend {
    pb::MsgSend {
        from_address: address(1).to_string(),
        to_address: address(2).to_string(),
        amount: vec![coin(amount).into()],
    }
}

fn spendable_now(ctx: &Ctx<'_>) -> u128 {
    spendable(ctx, &address(1), &ustoa()).raw()
}

#[test]
fn what_vests_cannot_be_sent_before_its_time() {
    let mut ctx = ctx_from(&genesis());
    assert_eq!(spendable_now(&ctx), 400);
    assert_eq!(refusal::<Send>(&mut ctx, transfer(401), "sdk"), 5);
    send::<Send>(&mut ctx, transfer(400)).unwrap();
    assert_eq!(spendable_now(&ctx), 0);
    assert!(collect_fee(&mut ctx, &address(1), &[coin(1)].into_iter().collect()).is_err());
    let mut ctx = testing::later(ctx, 50);
    assert_eq!(spendable_now(&ctx), 300);
    send::<Send>(&mut ctx, transfer(300)).unwrap();
    let mut ctx = testing::later(ctx, 50);
    send::<Send>(&mut ctx, transfer(300)).unwrap();
    assert_eq!(testing::balance(&ctx, &address(1)), 0);
}

#[test]
fn what_vests_can_be_delegated_and_comes_back_locked() {
    let mut ctx = ctx_from(&genesis());
    delegate(&mut ctx, &address(1), &coin(800)).unwrap();
    // 600 of it were locked, so that nothing of the rest is.
    assert_eq!(spendable_now(&ctx), 200);
    assert!(delegate(&mut ctx, &address(1), &coin(201)).is_err());
    undelegate(&mut ctx, &address(1), &coin(200));
    assert_eq!(spendable_now(&ctx), 400);
    undelegate(&mut ctx, &address(1), &coin(600));
    assert_eq!(spendable_now(&ctx), 400);
    assert_eq!(testing::balance(&ctx, &address(1)), 1_000);
}

#[test]
fn vesting_parameters_and_metadata_are_exported_whole() {
    let mut ctx = ctx_from(&genesis());
    let mut other = Params::default();
    other.set_send_enabled(ustoa(), Some(false));
    set_params(&mut ctx, &other);
    delegate(&mut ctx, &address(1), &coin(700)).unwrap();
    undelegate(&mut ctx, &address(1), &coin(700));
    delegate(&mut ctx, &address(2), &coin(0)).unwrap();
    testing::assert_export_is_whole(ctx);
}

#[test]
fn what_governance_stops_cannot_be_sent() {
    let mut ctx = ctx_from(&genesis());
    let mut other = Params::default();
    other.set_send_enabled(ustoa(), Some(false));
    set_params(&mut ctx, &other);
    assert_eq!(refusal::<Send>(&mut ctx, transfer(1), "bank"), 5);
    // Fees and deposits still move.
    take(&mut ctx, &address(1), &coin(1)).unwrap();
}

#[test]
fn nothing_is_sent_to_an_address_that_nobody_has_the_key_of() {
    let mut ctx = ctx_from(&genesis());
    let to_address = crate::modules::gov::authority().to_string();
    let msg = pb::MsgSend { to_address, ..transfer(1) };
    assert_eq!(refusal::<Send>(&mut ctx, msg, "sdk"), 4);
}

/// Asks the router, as clients do.
fn ask<R: prost::Message + Default>(ctx: &Ctx<'_>, path: &str, request: &impl prost::Message) -> R {
    let mut store = MemoryStore::default();
    let genesis = crate::genesis::export(ctx);
    let block = ctx.block().clone();
    store.apply(&crate::app::init_chain(&genesis, block.clone()).unwrap().changes);
    let answer = Router::new().answer(&store, block, path, &request.encode_to_vec()).unwrap();
    R::decode(answer.as_slice()).unwrap()
}

#[test]
fn queries_tell_balances_from_what_is_spendable() {
    let ctx = ctx_from(&genesis());
    let of = address(1).to_string();
    let spendable: pb::QuerySpendableBalancesResponse = ask(
        &ctx,
        "/cosmos.bank.v1beta1.Query/SpendableBalances",
        &pb::QuerySpendableBalancesRequest { address: of.clone(), pagination: None },
    );
    assert_eq!(spendable.balances, [coin(400).into()]);
    let all: pb::QueryAllBalancesResponse = ask(
        &ctx,
        "/cosmos.bank.v1beta1.Query/AllBalances",
        &pb::QueryAllBalancesRequest { address: of.clone(), ..Default::default() },
    );
    assert_eq!(all.balances, [coin(1_000).into()]);
    let request =
        pb::QuerySpendableBalanceByDenomRequest { address: of, denom: "ustoa".to_owned() };
    let one: pb::QuerySpendableBalanceByDenomResponse =
        ask(&ctx, "/cosmos.bank.v1beta1.Query/SpendableBalanceByDenom", &request);
    assert_eq!(one.balance, Some(coin(400).into()));
}

#[test]
fn queries_tell_names_owners_and_what_may_be_sent() {
    let ctx = ctx_from(&genesis());
    let denom = "ustoa".to_owned();
    let named: pb::QueryDenomMetadataResponse = ask(
        &ctx,
        "/cosmos.bank.v1beta1.Query/DenomMetadata",
        &pb::QueryDenomMetadataRequest { denom: denom.clone() },
    );
    let named = named.metadata.unwrap();
    assert_eq!((named.symbol.as_str(), named.denom_units[1].exponent), ("STOA", 6));
    let owners: pb::QueryDenomOwnersResponse = ask(
        &ctx,
        "/cosmos.bank.v1beta1.Query/DenomOwners",
        &pb::QueryDenomOwnersRequest { denom: denom.clone(), pagination: None },
    );
    assert_eq!(owners.denom_owners.len(), 2);
    let enabled: pb::QuerySendEnabledResponse = ask(
        &ctx,
        "/cosmos.bank.v1beta1.Query/SendEnabled",
        &pb::QuerySendEnabledRequest { denoms: vec![denom], pagination: None },
    );
    assert!(enabled.send_enabled[0].enabled);
}

#[test]
fn a_vesting_account_answers_as_its_own_type() {
    use cosmos_sdk_proto::cosmos::auth::v1beta1 as auth_pb;
    let ctx = ctx_from(&genesis());
    let account = |of: u8| {
        let request = auth_pb::QueryAccountRequest { address: address(of).to_string() };
        let found: auth_pb::QueryAccountResponse =
            ask(&ctx, "/cosmos.auth.v1beta1.Query/Account", &request);
        found.account.unwrap()
    };
    let vesting = account(1);
    assert_eq!(vesting.type_url, ContinuousVestingAccount::type_url());
    let vesting = ContinuousVestingAccount::decode(vesting.value.as_slice()).unwrap();
    let base = vesting.base_vesting_account.unwrap();
    assert_eq!(base.original_vesting, [coin(600).into()]);
    assert_eq!(base.end_time, i64::try_from(NOW + 100).unwrap());
    assert_eq!(account(2).type_url, auth_pb::BaseAccount::type_url());
    let by_number: auth_pb::QueryAccountAddressByIdResponse = ask(
        &ctx,
        "/cosmos.auth.v1beta1.Query/AccountAddressByID",
        &auth_pb::QueryAccountAddressByIdRequest { account_id: 1, ..Default::default() },
    );
    assert_eq!(by_number.account_address, address(2).to_string());
    let gov: auth_pb::QueryModuleAccountByNameResponse = ask(
        &ctx,
        "/cosmos.auth.v1beta1.Query/ModuleAccountByName",
        &auth_pb::QueryModuleAccountByNameRequest { name: "gov".to_owned() },
    );
    let gov = auth_pb::ModuleAccount::decode(gov.account.unwrap().value.as_slice()).unwrap();
    let authority = crate::modules::gov::authority().to_string();
    assert_eq!(gov.base_account.unwrap().address, authority);
}
