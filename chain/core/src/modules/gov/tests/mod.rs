//! Governance's rules one by one.

mod counts;
mod deposits;
mod execution;
mod legacy;
mod model;
mod params;
mod queries;
mod refusals;

use cosmos_sdk_proto::cosmos::bank::v1beta1::MsgSend;
use cosmos_sdk_proto::cosmos::gov::v1 as pb;
use cosmos_sdk_proto::Any;
use prost::{Message as _, Name};

use super::*;
use crate::modules::{provider, staking};
use crate::testing::{
    address, assert_export_is_whole, balance, coin, ctx_from, end_block, genesis_with, later,
    refusal, send,
};
use crate::types::{Amount, Coins, Dec, Fine, ONE};

/// What each account begins with: 1,000 STOA.
const FUNDS: u128 = 1_000_000_000;
/// The deposit that a proposal needs.
const DEPOSIT: u128 = 10_000_000;
/// Seconds of voting, and of waiting for a deposit.
const PERIOD: u64 = 2 * 86_400;
/// Seconds of voting on an expedited proposal.
const EXPEDITED: u64 = 86_400;
/// One STOA.
const STOA: u128 = 1_000_000;

fn validator(number: u8, stoa: u128) -> staking::Validator {
    staking::Validator {
        operator: address(number),
        consensus_key: ed25519_dalek::SigningKey::from_bytes(&[number; 32])
            .verifying_key()
            .to_bytes(),
        jailed: false,
        status: staking::Status::Bonded,
        tokens: Amount::from_raw(stoa * STOA),
        shares: Dec::from_raw(stoa * STOA * ONE),
        description: staking::Description::default(),
        commission: staking::Commission {
            rate: Dec::ZERO,
            max_rate: Dec::ONE,
            max_change_rate: Dec::ONE,
            updated_at: 0,
        },
        min_self_delegation: Amount::from_raw(1),
    }
}

/// Accounts 1 to 12; validators 11 and 12 with delegations of (who, to whom,
/// STOA) to them; each sums up to what its validator has.
fn document(delegations: &[(u8, u8, u128)]) -> crate::genesis::Genesis {
    let accounts: Vec<_> = (1..=12).map(|number| (address(number), FUNDS)).collect();
    let mut document = genesis_with(&accounts);
    let mut delegations = delegations.to_vec();
    delegations.sort_unstable();
    for number in [11, 12] {
        let to = delegations.iter().filter(|(_, to, _)| *to == number);
        let stoa: u128 = to.map(|(_, _, stoa)| stoa).sum();
        if stoa > 0 {
            document.staking.validators.push(validator(number, stoa));
        }
    }
    for (who, to, stoa) in &delegations {
        document.staking.delegations.push(staking::Delegation {
            delegator: address(*who),
            validator: address(*to),
            shares: Dec::from_raw(stoa * STOA * ONE),
        });
    }
    let staked: u128 = delegations.iter().map(|(_, _, stoa)| stoa * STOA).sum();
    document.bank.supply = [coin(12 * FUNDS + staked)].into_iter().collect();
    document
}

/// 500 STOA are bonded: 300 with validator 11, of which 50 are 1's and 150
/// are 2's, and 200 with validator 12, of which 100 are 3's.
fn chain() -> Ctx<'static> {
    ctx_from(&document(&[(11, 11, 100), (1, 11, 50), (2, 11, 150), (12, 12, 100), (3, 12, 100)]))
}

fn any<M: prost::Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// Coins from governance's own account.
fn pays(to: u8, amount: u128) -> Any {
    any(&MsgSend {
        from_address: authority().to_string(),
        to_address: address(to).to_string(),
        amount: vec![coin(amount).into()],
    })
}

fn submit_msg(messages: Vec<Any>, deposit: u128) -> pb::MsgSubmitProposal {
    pb::MsgSubmitProposal {
        messages,
        initial_deposit: vec![coin(deposit).into()],
        proposer: address(5).to_string(),
        metadata: "ipfs://more".to_owned(),
        title: "A proposal".to_owned(),
        summary: "What it is for,\nin two lines".to_owned(),
        expedited: false,
    }
}

/// 5 proposes with the whole deposit. Answers the id.
fn submit(ctx: &mut Ctx<'_>, messages: Vec<Any>) -> u64 {
    send::<SubmitProposal>(ctx, submit_msg(messages, DEPOSIT)).unwrap().proposal_id
}

fn vote_msg(id: u64, voter: u8, option: pb::VoteOption) -> pb::MsgVote {
    pb::MsgVote {
        proposal_id: id,
        voter: address(voter).to_string(),
        option: option.into(),
        metadata: String::new(),
    }
}

fn vote_for(ctx: &mut Ctx<'_>, id: u64, voter: u8, option: pb::VoteOption) {
    send::<VoteOne>(ctx, vote_msg(id, voter, option)).unwrap();
}

fn status(ctx: &Ctx<'_>, id: u64) -> Status {
    proposal(ctx, id).unwrap().status
}

/// The end of the block in which the voting is over.
fn over(ctx: Ctx<'static>) -> Ctx<'static> {
    let mut ctx = later(ctx, PERIOD);
    end_block(&mut ctx);
    ctx
}

fn register(ctx: &mut Ctx<'_>, number: u8, stoa: u128) {
    provider::tests::register(ctx, address(number));
    provider::tests::stake(ctx, address(number), stoa * STOA);
}

/// Whole STOA of yes, abstain, no and veto.
fn counted(ctx: &Ctx<'_>, id: u64) -> [u128; 4] {
    let Sums { yes, abstain, no, no_with_veto } = proposal(ctx, id).unwrap().tally;
    [yes, abstain, no, no_with_veto].map(|sum| sum.whole().raw() / STOA)
}

/// Texts of the named attribute of events of a kind.
fn told(ctx: &mut Ctx<'_>, kind: &str, name: &str) -> Vec<String> {
    let events = ctx.take_events().into_iter().filter(|event| event.kind == kind);
    events
        .flat_map(|event| event.attributes)
        .filter(|(attribute, _)| attribute == name)
        .map(|(_, value)| value)
        .collect()
}
