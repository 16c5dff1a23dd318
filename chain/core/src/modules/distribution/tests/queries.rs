//! What queries answer.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use cosmos_sdk_proto::cosmos::distribution::v1beta1 as pb;
use prost::Message;

use super::*;
use crate::error::Failure;
use crate::query::Router;
use crate::store::MemoryStore;
use crate::types::ValAddress;

/// Answers the committed state of a context.
struct Node {
    store: MemoryStore,
    block: crate::ctx::Block,
}

impl Node {
    fn new(ctx: Ctx<'static>) -> Self {
        let block = ctx.block().clone();
        let mut store = MemoryStore::default();
        store.apply(&ctx.into_changes());
        Self { store, block }
    }

    fn ask<R: Message + Default>(&self, method: &str, request: &impl Message) -> R {
        self.try_ask(method, request).unwrap()
    }

    fn try_ask<R: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<R, Failure> {
        let path = format!("/cosmos.distribution.v1beta1.Query/{method}");
        let router = Router::new();
        let bytes =
            router.answer(&self.store, self.block.clone(), &path, &request.encode_to_vec())?;
        Ok(R::decode(bytes.as_slice()).unwrap())
    }
}

fn operator(validator: Address) -> String {
    ValAddress::from(validator).to_string()
}

/// After 1000 were earned by the first validator.
fn node() -> Node {
    let mut ctx = stage();
    earn(&mut ctx, 1_000);
    Node::new(ctx)
}

/// Less a 10^-18 that is rounded off.
fn just_under(units: u128) -> String {
    (units * ONE - 1).to_string()
}

fn wire(units: u128) -> String {
    (units * ONE).to_string()
}

#[test]
fn a_validators_rewards_and_commission_are_told() {
    let node = node();
    let validator_address = operator(V1);
    let request = pb::QueryValidatorOutstandingRewardsRequest {
        validator_address: validator_address.clone(),
    };
    let answer: pb::QueryValidatorOutstandingRewardsResponse =
        node.ask("ValidatorOutstandingRewards", &request);
    assert_eq!(answer.rewards.unwrap().rewards[0].amount, wire(980));
    let request =
        pb::QueryValidatorCommissionRequest { validator_address: validator_address.clone() };
    let answer: pb::QueryValidatorCommissionResponse = node.ask("ValidatorCommission", &request);
    assert_eq!(answer.commission.unwrap().commission[0].amount, wire(98));
    let request = pb::QueryValidatorDistributionInfoRequest { validator_address };
    let answer: pb::QueryValidatorDistributionInfoResponse =
        node.ask("ValidatorDistributionInfo", &request);
    assert_eq!(answer.operator_address, V1.to_string());
    assert_eq!(answer.self_bond_rewards[0].amount, just_under(294));
    assert_eq!(answer.commission[0].amount, wire(98));
    for method in
        ["ValidatorOutstandingRewards", "ValidatorCommission", "ValidatorDistributionInfo"]
    {
        let request = pb::QueryValidatorCommissionRequest { validator_address: operator(D1) };
        let refused = node.try_ask::<pb::QueryParamsResponse>(method, &request).unwrap_err();
        assert_eq!((refused.codespace, refused.code), ("distribution", 12));
    }
}

#[test]
fn a_delegators_rewards_are_told_one_by_one_and_in_all() {
    let node = node();
    let request = pb::QueryDelegationRewardsRequest {
        delegator_address: D1.to_string(),
        validator_address: operator(V1),
    };
    let answer: pb::QueryDelegationRewardsResponse = node.ask("DelegationRewards", &request);
    assert_eq!(answer.rewards[0].amount, just_under(588));
    let request = pb::QueryDelegationTotalRewardsRequest { delegator_address: D1.to_string() };
    let total: pb::QueryDelegationTotalRewardsResponse =
        node.ask("DelegationTotalRewards", &request);
    assert_eq!(total.rewards.len(), 1);
    assert_eq!(total.rewards[0].validator_address, operator(V1));
    assert_eq!(total.rewards[0].reward, answer.rewards);
    assert_eq!(total.total, answer.rewards);
    let request = pb::QueryDelegatorValidatorsRequest { delegator_address: D1.to_string() };
    let answer: pb::QueryDelegatorValidatorsResponse = node.ask("DelegatorValidators", &request);
    assert_eq!(answer.validators, [operator(V1)]);
    let request = pb::QueryDelegationRewardsRequest {
        delegator_address: D2.to_string(),
        validator_address: operator(V1),
    };
    let refused = node
        .try_ask::<pb::QueryDelegationRewardsResponse>("DelegationRewards", &request)
        .unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("distribution", 13));
}

#[test]
fn slashes_are_told_between_heights_and_by_pages() {
    let mut ctx = stage();
    for percent in 1..=4 {
        before_validator_slashed(&mut ctx, &V1, Dec::percent(percent));
        ctx = testing::later(ctx, 5);
    }
    let node = Node::new(ctx);
    let ask = |from, to, page| {
        let request = pb::QueryValidatorSlashesRequest {
            validator_address: operator(V1),
            starting_height: from,
            ending_height: to,
            pagination: page,
        };
        node.ask::<pb::QueryValidatorSlashesResponse>("ValidatorSlashes", &request)
    };
    let fractions = |answer: &pb::QueryValidatorSlashesResponse| -> Vec<String> {
        answer.slashes.iter().map(|slash| slash.fraction.clone()).collect()
    };
    let percents = |list: &[u128]| -> Vec<String> {
        list.iter().map(|percent| Dec::percent(*percent).to_wire()).collect()
    };
    assert_eq!(fractions(&ask(2, 3, None)), percents(&[2, 3]));
    let first = ask(1, 9, Some(PageRequest { limit: 3, ..PageRequest::default() }));
    assert_eq!(fractions(&first), percents(&[1, 2, 3]));
    assert_eq!(first.slashes[2].validator_period, 3);
    let key = first.pagination.unwrap().next_key;
    let second = ask(1, 9, Some(PageRequest { key, ..PageRequest::default() }));
    assert_eq!(fractions(&second), percents(&[4]));
}

#[test]
fn parameters_pool_and_withdraw_addresses_are_told() {
    let node = node();
    let answer: pb::QueryParamsResponse = node.ask("Params", &pb::QueryParamsRequest {});
    let wanted = pb::Params {
        community_tax: "20000000000000000".to_owned(),
        base_proposer_reward: "0".to_owned(),
        bonus_proposer_reward: "0".to_owned(),
        withdraw_addr_enabled: true,
    };
    assert_eq!(answer.params, Some(wanted));
    let answer: pb::QueryCommunityPoolResponse =
        node.ask("CommunityPool", &pb::QueryCommunityPoolRequest {});
    assert_eq!(answer.pool[0].amount, wire(20));
    let request = pb::QueryDelegatorWithdrawAddressRequest { delegator_address: D1.to_string() };
    let answer: pb::QueryDelegatorWithdrawAddressResponse =
        node.ask("DelegatorWithdrawAddress", &request);
    assert_eq!(answer.withdraw_address, D1.to_string());
}
