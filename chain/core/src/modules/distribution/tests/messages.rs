//! Each message: what it does, and why it is refused.

use cosmos_sdk_proto::cosmos::base::v1beta1::Coin as ProtoCoin;
use cosmos_sdk_proto::cosmos::distribution::v1beta1 as pb;

use super::*;
use crate::testing::{refusal, send};
use crate::types::ValAddress;

fn operator(validator: Address) -> String {
    ValAddress::from(validator).to_string()
}

fn coins(amount: u128) -> Vec<ProtoCoin> {
    vec![coin(amount).into()]
}

fn withdraw_msg(delegator: Address, validator: Address) -> pb::MsgWithdrawDelegatorReward {
    pb::MsgWithdrawDelegatorReward {
        delegator_address: delegator.to_string(),
        validator_address: operator(validator),
    }
}

fn set_address(delegator: Address, address: Address) -> pb::MsgSetWithdrawAddress {
    pb::MsgSetWithdrawAddress {
        delegator_address: delegator.to_string(),
        withdraw_address: address.to_string(),
    }
}

#[test]
fn a_delegator_withdraws_what_it_has_earned_once() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    earn(&mut ctx, 1_000);
    ctx.take_events();
    let before = balance(&ctx, &D1);
    // 600, but for a 10^-18 that is rounded off.
    let paid = send::<WithdrawDelegatorReward>(&mut ctx, withdraw_msg(D1, V1)).unwrap();
    assert_eq!(paid.amount, coins(599));
    assert_eq!(balance(&ctx, &D1), before + 599);
    let events = ctx.take_events();
    let event = events.iter().find(|event| event.kind == "withdraw_rewards").unwrap();
    let wanted = [
        ("amount".to_owned(), "599ustoa".to_owned()),
        ("validator".to_owned(), operator(V1)),
        ("delegator".to_owned(), D1.to_string()),
    ];
    assert_eq!(event.attributes, wanted);
    let again = send::<WithdrawDelegatorReward>(&mut ctx, withdraw_msg(D1, V1)).unwrap();
    assert!(again.amount.is_empty());
    assert_sound(&ctx);
    let code = refusal::<WithdrawDelegatorReward>(&mut ctx, withdraw_msg(D2, V1), "distribution");
    assert_eq!(code, 13);
}

#[test]
fn rewards_and_commission_go_where_the_account_says() {
    let mut ctx = stage();
    no_tax(&mut ctx);
    earn(&mut ctx, 1_000);
    let to = address(77);
    send::<SetWithdrawAddress>(&mut ctx, set_address(D1, to)).unwrap();
    send::<WithdrawDelegatorReward>(&mut ctx, withdraw_msg(D1, V1)).unwrap();
    assert_eq!(balance(&ctx, &to), 599);
    send::<SetWithdrawAddress>(&mut ctx, set_address(V1, to)).unwrap();
    let commission = pb::MsgWithdrawValidatorCommission { validator_address: operator(V1) };
    let paid = send::<WithdrawValidatorCommission>(&mut ctx, commission.clone()).unwrap();
    assert_eq!(paid.amount, coins(100));
    assert_eq!(balance(&ctx, &to), 699);
    let code = refusal::<WithdrawValidatorCommission>(&mut ctx, commission, "distribution");
    assert_eq!(code, 7);
    // One's own address is what holds where none is set.
    send::<SetWithdrawAddress>(&mut ctx, set_address(D1, D1)).unwrap();
    send::<SetWithdrawAddress>(&mut ctx, set_address(D2, D2)).unwrap();
    assert_eq!(withdraw_addresses(&ctx).count(), 1);
    assert_sound(&ctx);
}

#[test]
fn a_modules_own_account_gets_nothing() {
    let mut ctx = stage();
    let gov = crate::modules::gov::authority();
    assert_eq!(refusal::<SetWithdrawAddress>(&mut ctx, set_address(D1, gov), "sdk"), 4);
    let spend = pb::MsgCommunityPoolSpend {
        authority: gov.to_string(),
        recipient: gov.to_string(),
        amount: coins(1),
    };
    assert_eq!(refusal::<CommunityPoolSpend>(&mut ctx, spend, "sdk"), 4);
}

#[test]
fn governance_may_switch_withdraw_addresses_off() {
    let mut ctx = stage();
    ctx.put(keys::params(), &Params { withdraw_addr_enabled: false, ..Params::default() });
    let code = refusal::<SetWithdrawAddress>(&mut ctx, set_address(D1, D2), "distribution");
    assert_eq!(code, 8);
}

#[test]
fn anyone_funds_the_community_pool_and_governance_alone_spends_it() {
    let mut ctx = stage();
    let fund = pb::MsgFundCommunityPool { amount: coins(50), depositor: PAYER.to_string() };
    send::<FundCommunityPool>(&mut ctx, fund).unwrap();
    assert_eq!(pool(&ctx), 50 * ONE);
    let spend = |authority: Address, amount| pb::MsgCommunityPoolSpend {
        authority: authority.to_string(),
        recipient: D2.to_string(),
        amount: coins(amount),
    };
    let gov = crate::modules::gov::authority();
    assert_eq!(refusal::<CommunityPoolSpend>(&mut ctx, spend(PAYER, 10), "sdk"), 4);
    assert_eq!(refusal::<CommunityPoolSpend>(&mut ctx, spend(gov, 51), "distribution"), 9);
    send::<CommunityPoolSpend>(&mut ctx, spend(gov, 50)).unwrap();
    assert_eq!((balance(&ctx, &D2), pool(&ctx)), (50, 0));
    let nothing = pb::MsgFundCommunityPool { amount: Vec::new(), depositor: PAYER.to_string() };
    assert_eq!(refusal::<FundCommunityPool>(&mut ctx, nothing, "sdk"), 10);
    let too_much =
        pb::MsgFundCommunityPool { amount: coins(u128::MAX / 2), depositor: PAYER.to_string() };
    assert_eq!(refusal::<FundCommunityPool>(&mut ctx, too_much, "sdk"), 5);
    assert_sound(&ctx);
}

#[test]
fn a_deposit_for_a_validator_is_earned_by_it_and_its_delegators() {
    let mut ctx = stage();
    let deposit = |validator: Address| pb::MsgDepositValidatorRewardsPool {
        depositor: PAYER.to_string(),
        validator_address: operator(validator),
        amount: coins(1_000),
    };
    send::<DepositValidatorRewardsPool>(&mut ctx, deposit(V1)).unwrap();
    assert_eq!(rewards(&ctx, &V1).commission.of(&ustoa()).raw(), 100 * ONE);
    let pending = pending(&ctx, &D1, &V1).unwrap().of(&ustoa()).raw();
    assert_just_under(pending, 600 * ONE, 1);
    let code = refusal::<DepositValidatorRewardsPool>(&mut ctx, deposit(D1), "distribution");
    assert_eq!(code, 12);
    assert_sound(&ctx);
}

#[test]
fn governance_alone_sets_parameters_and_only_sound_ones() {
    let mut ctx = stage();
    let gov = crate::modules::gov::authority();
    let update = |authority: Address, tax: Dec, bonus: &str| pb::MsgUpdateParams {
        authority: authority.to_string(),
        params: Some(pb::Params {
            community_tax: tax.to_wire(),
            base_proposer_reward: String::new(),
            bonus_proposer_reward: bonus.to_owned(),
            withdraw_addr_enabled: false,
        }),
    };
    let good = update(gov, Dec::percent(7), "0");
    send::<UpdateParams>(&mut ctx, good).unwrap();
    let wanted = Params { community_tax: Dec::percent(7), withdraw_addr_enabled: false };
    assert_eq!(params(&ctx), wanted);
    assert_eq!(refusal::<UpdateParams>(&mut ctx, update(D1, Dec::ZERO, "0"), "sdk"), 4);
    assert_eq!(refusal::<UpdateParams>(&mut ctx, update(gov, Dec::percent(101), "0"), "sdk"), 18);
    assert_eq!(refusal::<UpdateParams>(&mut ctx, update(gov, Dec::ZERO, "1"), "sdk"), 18);
    let none = pb::MsgUpdateParams { authority: gov.to_string(), params: None };
    assert_eq!(refusal::<UpdateParams>(&mut ctx, none, "sdk"), 18);
    assert_eq!(params(&ctx), wanted);
}
