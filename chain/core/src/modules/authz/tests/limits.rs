//! Send and stake authorizations.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking_pb;
use staking_pb::stake_authorization::{Policy, Validators as PbValidators};

use super::super::action::Action;
use super::super::authorization::Left;
use super::*;
use crate::testing::{balance, ctx_with};
use crate::types::ValAddress;

const SEND: &str = "/cosmos.bank.v1beta1.MsgSend";

#[test]
fn a_send_authorization_is_spent_down_and_goes_when_nothing_is_left() {
    let mut ctx = ctx_with(&[(granter(), 1_000), (grantee(), 0)]);
    grant(&mut ctx, send_limits(100, &[]));
    exec(&mut ctx, vec![send_msg(granter(), address(3), 60)]).unwrap();
    assert_eq!(code(exec(&mut ctx, vec![send_msg(granter(), address(3), 41)])), Some(("sdk", 5)));
    exec(&mut ctx, vec![send_msg(granter(), address(3), 40)]).unwrap();
    assert_eq!(granted(&ctx, SEND), None);
    assert_eq!(balance(&ctx, &granter()), 900);
}

#[test]
fn a_send_authorization_sends_to_those_listed_alone() {
    let mut ctx = ctx_with(&[(granter(), 1_000), (grantee(), 0)]);
    grant(&mut ctx, send_limits(100, &[address(3)]));
    let refused = exec(&mut ctx, vec![send_msg(granter(), grantee(), 1)]);
    assert_eq!(code(refused), Some(("sdk", 4)));
    exec(&mut ctx, vec![send_msg(granter(), address(3), 1)]).unwrap();
}

/// Of this type, for so much, with these validators: allowed or denied.
pub fn stake(kind: i32, max: Option<u128>, validators: Option<(bool, &[Address])>) -> Any {
    let operators = |list: &[Address]| PbValidators {
        address: list.iter().map(|operator| ValAddress::from(*operator).to_string()).collect(),
    };
    any(&staking_pb::StakeAuthorization {
        max_tokens: max.map(|amount| coin(amount).into()),
        authorization_type: kind,
        validators: validators.map(|(allowed, list)| {
            if allowed {
                Policy::AllowList(operators(list))
            } else {
                Policy::DenyList(operators(list))
            }
        }),
    })
}

/// The message of each type, about this much at this validator.
fn stake_msg(kind: i32, operator: Address, amount: u128) -> Any {
    let (delegator_address, amount) = (granter().to_string(), Some(coin(amount).into()));
    let validator_address = ValAddress::from(operator).to_string();
    match kind {
        1 => any(&staking_pb::MsgDelegate { delegator_address, validator_address, amount }),
        2 => any(&staking_pb::MsgUndelegate { delegator_address, validator_address, amount }),
        3 => any(&staking_pb::MsgBeginRedelegate {
            delegator_address,
            validator_src_address: ValAddress::from(address(99)).to_string(),
            validator_dst_address: validator_address,
            amount,
        }),
        _ => any(&staking_pb::MsgCancelUnbondingDelegation {
            delegator_address,
            validator_address,
            amount,
            creation_height: 5,
        }),
    }
}

/// What a message leaves of the authorization, or by which code it is refused.
fn accept(authorization: &mut Authorization, msg: &Any) -> Result<&'static str, u32> {
    assert_eq!(authorization.url(), msg.type_url);
    let left = authorization.accept(&Action::of(msg).unwrap());
    match left.map_err(|why| why.code)? {
        Left::Same => Ok("same"),
        Left::Less => Ok("less"),
        Left::Nothing => Ok("nothing"),
    }
}

#[test]
fn each_kind_of_stake_authorization_bounds_tokens_and_validators_of_its_message() {
    let (here, there) = (address(11), address(12));
    for kind in 1..=4 {
        let read = |any: &Any| Authorization::from_any(any).unwrap();
        let mut limited = read(&stake(kind, Some(100), Some((true, &[here]))));
        assert_eq!(accept(&mut limited, &stake_msg(kind, here, 60)), Ok("less"));
        assert_eq!(accept(&mut limited, &stake_msg(kind, here, 41)), Err(5));
        assert_eq!(accept(&mut limited, &stake_msg(kind, there, 1)), Err(4));
        assert_eq!(accept(&mut limited, &stake_msg(kind, here, 40)), Ok("nothing"));
        let mut denied = read(&stake(kind, None, Some((false, &[here]))));
        assert_eq!(accept(&mut denied, &stake_msg(kind, here, 1)), Err(4));
        assert_eq!(accept(&mut denied, &stake_msg(kind, there, 1 << 90)), Ok("same"));
        let mut open = read(&stake(kind, None, None));
        assert_eq!(accept(&mut open, &stake_msg(kind, there, 1)), Ok("same"));
        assert_eq!(read(&open.to_any()), open);
        assert_eq!(read(&denied.to_any()), denied);
    }
}

#[test]
fn a_stake_authorization_says_how_and_how_much() {
    let refused = |any: &Any| Authorization::from_any(any).unwrap_err().code;
    assert_eq!(refused(&stake(0, None, None)), 4);
    assert_eq!(refused(&stake(5, None, None)), 4);
    assert_eq!(refused(&stake(1, Some(0), None)), 12);
    assert_eq!(refused(&stake(1, None, Some((true, &[address(3); 2])))), 18);
}

#[test]
fn a_grantee_stakes_for_its_granter_within_its_authorization() {
    use crate::modules::staking::tests::{chain_of, delegate, undelegate, VOTE};
    // The granter and the grantee each run a validator.
    let mut ctx = chain_of(&[5 * VOTE, 5 * VOTE]);
    let staked = |ctx: &Ctx<'_>| {
        let found = crate::modules::staking::delegation(ctx, &granter(), &grantee());
        found.map_or(0, |found| found.shares.raw() / ONE)
    };
    grant(&mut ctx, stake(1, Some(100), Some((true, &[grantee()]))));
    exec(&mut ctx, vec![any(&delegate(1, 2, 60))]).unwrap();
    assert_eq!(staked(&ctx), 60);
    assert_eq!(code(exec(&mut ctx, vec![any(&delegate(1, 2, 41))])), Some(("sdk", 5)));
    assert_eq!(code(exec(&mut ctx, vec![any(&delegate(1, 1, 1))])), Some(("sdk", 4)));
    assert_eq!(code(exec(&mut ctx, vec![any(&undelegate(1, 2, 1))])), Some(("authz", 2)));
    grant(&mut ctx, stake(2, None, None));
    exec(&mut ctx, vec![any(&delegate(1, 2, 40)), any(&undelegate(1, 2, 100))]).unwrap();
    assert_eq!(staked(&ctx), 0);
    assert_eq!(granted(&ctx, &StakeKind::Delegate.url()), None);
}
