//! What the queries answer.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;

use super::*;
use crate::error::Failure;
use crate::query::Router;
use crate::store::{MemoryStore, Store};

struct Served {
    store: MemoryStore,
    block: crate::ctx::Block,
    router: Router,
}

impl Served {
    fn new(ctx: Ctx<'static>) -> Self {
        let block = ctx.block().clone();
        let mut store = MemoryStore::default();
        store.apply(&ctx.into_changes());
        Self { store, block, router: Router::new() }
    }

    fn ask<R: prost::Message + Default>(
        &self,
        method: &str,
        request: &impl prost::Message,
    ) -> Result<R, Failure> {
        let path = format!("/cosmos.staking.v1beta1.Query/{method}");
        let store: &dyn Store = &self.store;
        let data = request.encode_to_vec();
        let answer = self.router.answer(store, self.block.clone(), &path, &data)?;
        Ok(R::decode(answer.as_slice()).unwrap())
    }
}

/// Validators 1 (jailed), 2 and 3; 7 delegates, unbonds and redelegates.
fn served() -> Served {
    let mut ctx = chain_of(&[5 * VOTE, 4 * VOTE, 3 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(7, 2, 100)).unwrap();
    send::<Delegate>(&mut ctx, delegate(7, 1, 100)).unwrap();
    send::<Undelegate>(&mut ctx, undelegate(7, 2, 30)).unwrap();
    send::<BeginRedelegate>(&mut ctx, redelegate(7, 2, 3, 20)).unwrap();
    jail(&mut ctx, &consensus(1));
    end(&mut ctx);
    Served::new(ctx)
}

#[test]
fn validators_are_listed_by_status_and_page() {
    let served = served();
    let ask = |status: &str, pagination| {
        let request = pb::QueryValidatorsRequest { status: status.to_owned(), pagination };
        served.ask::<pb::QueryValidatorsResponse>("Validators", &request)
    };
    let of = |status: &str| {
        let found = ask(status, None).unwrap().validators;
        found.into_iter().map(|found| found.operator_address).collect::<Vec<_>>()
    };
    assert_eq!(of(""), [valoper(1), valoper(2), valoper(3)]);
    assert_eq!(of("BOND_STATUS_BONDED"), [valoper(2), valoper(3)]);
    assert_eq!(of("BOND_STATUS_UNBONDING"), [valoper(1)]);
    assert_eq!(of("BOND_STATUS_UNBONDED"), [""; 0]);
    assert_eq!(ask("bonded", None).unwrap_err().code, 18);
    let page = PageRequest { limit: 2, ..Default::default() };
    let first = ask("", Some(page)).unwrap();
    assert_eq!(first.validators.len(), 2);
    let key = first.pagination.unwrap().next_key;
    let rest = ask("", Some(PageRequest { key, ..Default::default() })).unwrap();
    assert_eq!(rest.validators[0].operator_address, valoper(3));
}

#[test]
fn a_validator_is_told_as_cosmos_has_it() {
    let served = served();
    let request = pb::QueryValidatorRequest { validator_addr: valoper(1) };
    let found: pb::QueryValidatorResponse = served.ask("Validator", &request).unwrap();
    let found = found.validator.unwrap();
    assert_eq!(found.tokens, (5 * VOTE + 100).to_string());
    assert_eq!(found.delegator_shares, ((5 * VOTE + 100) * ONE).to_string());
    assert!(found.jailed);
    assert_eq!(found.status, 2);
    assert_eq!(found.commission.unwrap().commission_rates, Some(rates("0.1", "0.2", "0.05")));
    assert_eq!(found.consensus_pubkey, create(1, 1).pubkey);
    let unknown = pb::QueryValidatorRequest { validator_addr: valoper(9) };
    let failure = served.ask::<pb::QueryValidatorResponse>("Validator", &unknown).unwrap_err();
    assert_eq!(failure.code, 38);
}

#[test]
fn delegations_are_found_from_both_sides_with_what_they_are_worth() {
    let served = served();
    let request =
        pb::QueryDelegationRequest { delegator_addr: account(7), validator_addr: valoper(2) };
    let one: pb::QueryDelegationResponse = served.ask("Delegation", &request).unwrap();
    let one = one.delegation_response.unwrap();
    assert_eq!(one.balance, Some(coin(50).into()));
    assert_eq!(one.delegation.as_ref().unwrap().shares, (50 * ONE).to_string());
    let request =
        pb::QueryDelegatorDelegationsRequest { delegator_addr: account(7), pagination: None };
    let all: pb::QueryDelegatorDelegationsResponse =
        served.ask("DelegatorDelegations", &request).unwrap();
    assert_eq!(all.delegation_responses.len(), 3);
    let request =
        pb::QueryValidatorDelegationsRequest { validator_addr: valoper(2), pagination: None };
    let all: pb::QueryValidatorDelegationsResponse =
        served.ask("ValidatorDelegations", &request).unwrap();
    assert!(all.delegation_responses.contains(&one));
    assert_eq!(all.delegation_responses.len(), 2);
    let request =
        pb::QueryDelegatorValidatorsRequest { delegator_addr: account(7), pagination: None };
    let all: pb::QueryDelegatorValidatorsResponse =
        served.ask("DelegatorValidators", &request).unwrap();
    assert_eq!(all.validators.len(), 3);
    let request = |to: u8| pb::QueryDelegatorValidatorRequest {
        delegator_addr: account(7),
        validator_addr: valoper(to),
    };
    let one: pb::QueryDelegatorValidatorResponse =
        served.ask("DelegatorValidator", &request(3)).unwrap();
    assert_eq!(one.validator.unwrap().operator_address, valoper(3));
    let none = served.ask::<pb::QueryDelegatorValidatorResponse>("DelegatorValidator", &request(9));
    assert_eq!(none.unwrap_err().code, 19);
}

#[test]
fn unbondings_and_redelegations_are_found_from_both_sides() {
    let served = served();
    let request = pb::QueryUnbondingDelegationRequest {
        delegator_addr: account(7),
        validator_addr: valoper(2),
    };
    let one: pb::QueryUnbondingDelegationResponse =
        served.ask("UnbondingDelegation", &request).unwrap();
    let one = one.unbond.unwrap();
    assert_eq!(one.entries[0].balance, "30");
    let request = pb::QueryValidatorUnbondingDelegationsRequest {
        validator_addr: valoper(2),
        pagination: None,
    };
    let all: pb::QueryValidatorUnbondingDelegationsResponse =
        served.ask("ValidatorUnbondingDelegations", &request).unwrap();
    assert_eq!(all.unbonding_responses, std::slice::from_ref(&one));
    let request = pb::QueryDelegatorUnbondingDelegationsRequest {
        delegator_addr: account(7),
        pagination: None,
    };
    let all: pb::QueryDelegatorUnbondingDelegationsResponse =
        served.ask("DelegatorUnbondingDelegations", &request).unwrap();
    assert_eq!(all.unbonding_responses, [one]);
    let redelegations = |who: &str, from: &str, to: &str| {
        let request = pb::QueryRedelegationsRequest {
            delegator_addr: who.to_owned(),
            src_validator_addr: from.to_owned(),
            dst_validator_addr: to.to_owned(),
            pagination: None,
        };
        let found = served.ask::<pb::QueryRedelegationsResponse>("Redelegations", &request);
        found.map(|found| found.redelegation_responses)
    };
    let (seven, two, three) = (account(7), valoper(2), valoper(3));
    let found = redelegations(&seven, "", "").unwrap();
    assert_eq!(found[0].entries[0].balance, "20");
    assert_eq!(redelegations("", &two, "").unwrap(), found);
    assert_eq!(redelegations(&seven, &two, &three).unwrap(), found);
    assert_eq!(redelegations(&seven, &three, &two).unwrap(), []);
    assert_eq!(redelegations("", "", &three).unwrap_err().code, 18);
}

#[test]
fn pool_parameters_and_what_is_not_kept() {
    let served = served();
    let pool: pb::QueryPoolResponse = served.ask("Pool", &pb::QueryPoolRequest {}).unwrap();
    let pool = pool.pool.unwrap();
    assert_eq!(pool.bonded_tokens, (7 * VOTE + 70).to_string());
    assert_eq!(pool.not_bonded_tokens, (5 * VOTE + 130).to_string());
    let found: pb::QueryParamsResponse = served.ask("Params", &pb::QueryParamsRequest {}).unwrap();
    let found = found.params.unwrap();
    assert_eq!(found.bond_denom, "ustoa");
    assert_eq!(found.unbonding_time.unwrap().seconds, 1_000);
    let request = pb::QueryHistoricalInfoRequest { height: 3 };
    let failure = served.ask::<pb::QueryHistoricalInfoResponse>("HistoricalInfo", &request);
    assert_eq!(failure.unwrap_err().code, 38);
}
