//! Cosmos' queries about staking.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageResponse;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use super::{
    bonded_tokens, delegation, keys, not_bonded_tokens, params, proto, redelegation, unbonding,
    validator, Delegation, Error, Redelegation, Validator,
};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::page;
use crate::query::Router;
use crate::types::{Address, ValAddress};

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/cosmos.staking.v1beta1.Query/Validators", validators);
    router.mount("/cosmos.staking.v1beta1.Query/Validator", one_validator);
    router.mount("/cosmos.staking.v1beta1.Query/ValidatorDelegations", validator_delegations);
    router.mount("/cosmos.staking.v1beta1.Query/ValidatorUnbondingDelegations", unbonding_from);
    router.mount("/cosmos.staking.v1beta1.Query/Delegation", one_delegation);
    router.mount("/cosmos.staking.v1beta1.Query/UnbondingDelegation", one_unbonding);
    router.mount("/cosmos.staking.v1beta1.Query/DelegatorDelegations", delegator_delegations);
    router.mount("/cosmos.staking.v1beta1.Query/DelegatorUnbondingDelegations", unbonding_of);
    router.mount("/cosmos.staking.v1beta1.Query/Redelegations", redelegations);
    router.mount("/cosmos.staking.v1beta1.Query/DelegatorValidators", delegator_validators);
    router.mount("/cosmos.staking.v1beta1.Query/DelegatorValidator", delegator_validator);
    router.mount("/cosmos.staking.v1beta1.Query/HistoricalInfo", historical_info);
    router.mount("/cosmos.staking.v1beta1.Query/Pool", pool);
    router.mount("/cosmos.staking.v1beta1.Query/Params", query_params);
}

fn validators(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorsRequest,
) -> Result<pb::QueryValidatorsResponse, Failure> {
    let wanted = match request.status.as_str() {
        "" => None,
        name => Some(pb::BondStatus::from_str_name(name).ok_or_else(|| {
            SdkError::InvalidRequest(format!(
                "{name:?} is no status; they are BOND_STATUS_UNBONDED, BOND_STATUS_UNBONDING and \
                 BOND_STATUS_BONDED"
            ))
        })?),
    };
    let wanted = wanted.filter(|status| *status != pb::BondStatus::Unspecified);
    let (validators, pagination) =
        page::collect(ctx, &keys::validators(), request.pagination, |key, value| {
            let found: Validator = crate::state::decode(key, value);
            let fits = wanted.is_none_or(|status| status == proto::status(found.status));
            fits.then(|| pb::Validator::from(found))
        })?;
    Ok(pb::QueryValidatorsResponse { validators, pagination: Some(pagination) })
}

fn one_validator(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorRequest,
) -> Result<pb::QueryValidatorResponse, Failure> {
    let operator = proto::operator(&request.validator_addr)?;
    let found = known(ctx, &operator)?;
    Ok(pb::QueryValidatorResponse { validator: Some(found.into()) })
}

fn known(ctx: &Ctx<'_>, operator: &Address) -> Result<Validator, SdkError> {
    let missing = || SdkError::NotFound(format!("validator {}", ValAddress::from(*operator)));
    validator(ctx, operator).ok_or_else(missing)
}

/// A delegation with what it is worth.
fn with_worth(ctx: &Ctx<'_>, found: Delegation) -> Option<pb::DelegationResponse> {
    let worth = validator(ctx, &found.validator)?.worth(found.shares).whole();
    let balance = Some(proto::coin(worth));
    Some(pb::DelegationResponse { delegation: Some(found.into()), balance })
}

fn validator_delegations(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorDelegationsRequest,
) -> Result<pb::QueryValidatorDelegationsResponse, Failure> {
    let operator = proto::operator(&request.validator_addr)?;
    let prefix = keys::delegators_of(&operator);
    let (delegation_responses, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, _| {
            let [to, delegator] = keys::validator_and_delegator(key)?;
            with_worth(ctx, delegation(ctx, &delegator, &to)?)
        })?;
    let pagination = Some(pagination);
    Ok(pb::QueryValidatorDelegationsResponse { delegation_responses, pagination })
}

fn unbonding_from(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorUnbondingDelegationsRequest,
) -> Result<pb::QueryValidatorUnbondingDelegationsResponse, Failure> {
    let operator = proto::operator(&request.validator_addr)?;
    let prefix = keys::unbondings_from(&operator);
    let (unbonding_responses, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, _| {
            let [from, delegator] = keys::validator_and_delegator(key)?;
            unbonding(ctx, &delegator, &from).map(pb::UnbondingDelegation::from)
        })?;
    let pagination = Some(pagination);
    Ok(pb::QueryValidatorUnbondingDelegationsResponse { unbonding_responses, pagination })
}

fn one_delegation(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegationRequest,
) -> Result<pb::QueryDelegationResponse, Failure> {
    let delegator: Address = request.delegator_addr.parse()?;
    let operator = proto::operator(&request.validator_addr)?;
    let found = delegation(ctx, &delegator, &operator);
    let found = found.and_then(|found| with_worth(ctx, found)).ok_or_else(|| {
        let to = ValAddress::from(operator);
        SdkError::NotFound(format!("delegation with delegator {delegator} for validator {to}"))
    })?;
    Ok(pb::QueryDelegationResponse { delegation_response: Some(found) })
}

fn one_unbonding(
    ctx: &Ctx<'_>,
    request: pb::QueryUnbondingDelegationRequest,
) -> Result<pb::QueryUnbondingDelegationResponse, Failure> {
    let delegator: Address = request.delegator_addr.parse()?;
    let operator = proto::operator(&request.validator_addr)?;
    let found = unbonding(ctx, &delegator, &operator).ok_or_else(|| {
        let from = ValAddress::from(operator);
        SdkError::NotFound(format!("unbonding of delegator {delegator} from validator {from}"))
    })?;
    Ok(pb::QueryUnbondingDelegationResponse { unbond: Some(found.into()) })
}

fn delegator_delegations(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegatorDelegationsRequest,
) -> Result<pb::QueryDelegatorDelegationsResponse, Failure> {
    let delegator: Address = request.delegator_addr.parse()?;
    let prefix = keys::delegations_of(&delegator);
    let (delegation_responses, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            with_worth(ctx, crate::state::decode(key, value))
        })?;
    let pagination = Some(pagination);
    Ok(pb::QueryDelegatorDelegationsResponse { delegation_responses, pagination })
}

fn unbonding_of(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegatorUnbondingDelegationsRequest,
) -> Result<pb::QueryDelegatorUnbondingDelegationsResponse, Failure> {
    let delegator: Address = request.delegator_addr.parse()?;
    let prefix = keys::unbondings_of(&delegator);
    let (unbonding_responses, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            let found: super::Unbonding = crate::state::decode(key, value);
            Some(pb::UnbondingDelegation::from(found))
        })?;
    let pagination = Some(pagination);
    Ok(pb::QueryDelegatorUnbondingDelegationsResponse { unbonding_responses, pagination })
}

/// Of one delegator, from one source, or both; to one destination or any.
fn redelegations(
    ctx: &Ctx<'_>,
    request: pb::QueryRedelegationsRequest,
) -> Result<pb::QueryRedelegationsResponse, Failure> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let delegator =
        given(request.delegator_addr).map(|text| text.parse::<Address>()).transpose()?;
    let operator = |text: String| given(text).map(|text| proto::operator(&text)).transpose();
    let from = operator(request.src_validator_addr)?;
    let to = operator(request.dst_validator_addr)?;
    let fits = |found: &Redelegation| {
        from.is_none_or(|from| from == found.from) && to.is_none_or(|to| to == found.to)
    };
    let answer = |found: Redelegation| {
        let destination = validator(ctx, &found.to);
        proto::redelegation(found, destination.as_ref())
    };
    let (redelegation_responses, pagination) = match (delegator, from) {
        (Some(delegator), _) => {
            let prefix = keys::redelegations_of(&delegator);
            page::collect(ctx, &prefix, request.pagination, |key, value| {
                let found: Redelegation = crate::state::decode(key, value);
                fits(&found).then(|| answer(found))
            })?
        }
        (None, Some(from)) => {
            let prefix = keys::redelegations_from(&from);
            page::collect(ctx, &prefix, request.pagination, |key, _| {
                let [from, delegator, to] = keys::redelegation_from_parts(key)?;
                redelegation(ctx, &delegator, &from, &to).filter(&fits).map(answer)
            })?
        }
        (None, None) => {
            let text = "name delegator_addr or src_validator_addr".to_owned();
            return Err(SdkError::InvalidRequest(text).into());
        }
    };
    let pagination: Option<PageResponse> = Some(pagination);
    Ok(pb::QueryRedelegationsResponse { redelegation_responses, pagination })
}

fn delegator_validators(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegatorValidatorsRequest,
) -> Result<pb::QueryDelegatorValidatorsResponse, Failure> {
    let delegator: Address = request.delegator_addr.parse()?;
    let prefix = keys::delegations_of(&delegator);
    let (validators, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            let found: Delegation = crate::state::decode(key, value);
            validator(ctx, &found.validator).map(pb::Validator::from)
        })?;
    Ok(pb::QueryDelegatorValidatorsResponse { validators, pagination: Some(pagination) })
}

fn delegator_validator(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegatorValidatorRequest,
) -> Result<pb::QueryDelegatorValidatorResponse, Failure> {
    let delegator: Address = request.delegator_addr.parse()?;
    let operator = proto::operator(&request.validator_addr)?;
    delegation(ctx, &delegator, &operator)
        .ok_or(Error::NoDelegation(delegator, operator.into()))?;
    let found = known(ctx, &operator)?;
    Ok(pb::QueryDelegatorValidatorResponse { validator: Some(found.into()) })
}

/// The chain keeps no headers in its state (`historical_entries` is 0): the
/// node's block queries have them.
fn historical_info(
    _ctx: &Ctx<'_>,
    request: pb::QueryHistoricalInfoRequest,
) -> Result<pb::QueryHistoricalInfoResponse, Failure> {
    Err(SdkError::NotFound(format!("historical info for height {}", request.height)).into())
}

fn pool(ctx: &Ctx<'_>, _request: pb::QueryPoolRequest) -> Result<pb::QueryPoolResponse, Failure> {
    let pool = pb::Pool {
        not_bonded_tokens: not_bonded_tokens(ctx).to_string(),
        bonded_tokens: bonded_tokens(ctx).to_string(),
    };
    Ok(pb::QueryPoolResponse { pool: Some(pool) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _request: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}
