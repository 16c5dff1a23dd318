//! Cosmos' queries about rewards.

use cosmos_sdk_proto::cosmos::distribution::v1beta1 as pb;

use super::{delegations, keys, params, rewards, withdraw_address};
use super::{DistributionError, FineCoins, Slash, ValidatorRewards};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::{escrow, staking};
use crate::page;
use crate::query::Router;
use crate::types::{Address, ValAddress};

/// Most delegations of one account that a query without pages goes through.
const MAX_DELEGATIONS: usize = 1_000;

/// Mounts them.
pub fn routes(router: &mut Router) {
    const QUERY: &str = "/cosmos.distribution.v1beta1.Query";
    let path = |method: &str| format!("{QUERY}/{method}");
    router.mount(&path("Params"), query_params);
    router.mount(&path("ValidatorDistributionInfo"), query_validator_info);
    router.mount(&path("ValidatorOutstandingRewards"), query_outstanding);
    router.mount(&path("ValidatorCommission"), query_commission);
    router.mount(&path("ValidatorSlashes"), query_slashes);
    router.mount(&path("DelegationRewards"), query_delegation);
    router.mount(&path("DelegationTotalRewards"), query_total);
    router.mount(&path("DelegatorValidators"), query_validators);
    router.mount(&path("DelegatorWithdrawAddress"), query_withdraw_address);
    router.mount(&path("CommunityPool"), query_pool);
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}

fn query_validator_info(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorDistributionInfoRequest,
) -> Result<pb::QueryValidatorDistributionInfoResponse, Failure> {
    let (operator, rewards) = known(ctx, &request.validator_address)?;
    let own = delegations::pending(ctx, &operator, &operator).unwrap_or_default();
    Ok(pb::QueryValidatorDistributionInfoResponse {
        operator_address: operator.to_string(),
        self_bond_rewards: own.to_proto(),
        commission: rewards.commission.to_proto(),
    })
}

fn query_outstanding(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorOutstandingRewardsRequest,
) -> Result<pb::QueryValidatorOutstandingRewardsResponse, Failure> {
    let (_, rewards) = known(ctx, &request.validator_address)?;
    let rewards = pb::ValidatorOutstandingRewards { rewards: rewards.outstanding.to_proto() };
    Ok(pb::QueryValidatorOutstandingRewardsResponse { rewards: Some(rewards) })
}

fn query_commission(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorCommissionRequest,
) -> Result<pb::QueryValidatorCommissionResponse, Failure> {
    let (_, rewards) = known(ctx, &request.validator_address)?;
    let commission = rewards.commission.to_proto();
    let commission = pb::ValidatorAccumulatedCommission { commission };
    Ok(pb::QueryValidatorCommissionResponse { commission: Some(commission) })
}

/// Both heights are included.
fn query_slashes(
    ctx: &Ctx<'_>,
    request: pb::QueryValidatorSlashesRequest,
) -> Result<pb::QueryValidatorSlashesResponse, Failure> {
    let (operator, _) = known(ctx, &request.validator_address)?;
    let (from, to) = (request.starting_height, request.ending_height);
    if to < from {
        let text = format!("starting height {from} is greater than ending height {to}");
        return Err(SdkError::InvalidRequest(text).into());
    }
    let prefix = keys::slashes(&operator);
    let (slashes, pagination) = page::collect(ctx, &prefix, request.pagination, |key, value| {
        let (_, height, validator_period) = keys::slash_parts(key)?;
        let Slash { fraction } = crate::state::decode(key, value);
        let fraction = fraction.to_wire();
        (from..=to)
            .contains(&height)
            .then_some(pb::ValidatorSlashEvent { validator_period, fraction })
    })?;
    Ok(pb::QueryValidatorSlashesResponse { slashes, pagination: Some(pagination) })
}

fn query_delegation(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegationRewardsRequest,
) -> Result<pb::QueryDelegationRewardsResponse, Failure> {
    let delegator: Address = request.delegator_address.parse()?;
    let (operator, _) = known(ctx, &request.validator_address)?;
    let validator = ValAddress::from(operator);
    let rewards = delegations::pending(ctx, &delegator, &operator)
        .ok_or(DistributionError::NoDelegation { delegator, validator })?;
    Ok(pb::QueryDelegationRewardsResponse { rewards: rewards.to_proto() })
}

fn query_total(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegationTotalRewardsRequest,
) -> Result<pb::QueryDelegationTotalRewardsResponse, Failure> {
    let delegator: Address = request.delegator_address.parse()?;
    let mut total = FineCoins::default();
    let mut rewards = Vec::new();
    for validator in validators_of(ctx, &delegator)? {
        let reward = delegations::pending(ctx, &delegator, &validator).unwrap_or_default();
        total.add_all(&reward);
        rewards.push(pb::DelegationDelegatorReward {
            validator_address: ValAddress::from(validator).to_string(),
            reward: reward.to_proto(),
        });
    }
    Ok(pb::QueryDelegationTotalRewardsResponse { rewards, total: total.to_proto() })
}

fn query_validators(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegatorValidatorsRequest,
) -> Result<pb::QueryDelegatorValidatorsResponse, Failure> {
    let validators = validators_of(ctx, &request.delegator_address.parse()?)?;
    let text = |validator: Address| ValAddress::from(validator).to_string();
    let validators = validators.into_iter().map(text).collect();
    Ok(pb::QueryDelegatorValidatorsResponse { validators })
}

fn query_withdraw_address(
    ctx: &Ctx<'_>,
    request: pb::QueryDelegatorWithdrawAddressRequest,
) -> Result<pb::QueryDelegatorWithdrawAddressResponse, Failure> {
    let withdraw_address = withdraw_address(ctx, &request.delegator_address.parse()?).to_string();
    Ok(pb::QueryDelegatorWithdrawAddressResponse { withdraw_address })
}

fn query_pool(
    ctx: &Ctx<'_>,
    _: pb::QueryCommunityPoolRequest,
) -> Result<pb::QueryCommunityPoolResponse, Failure> {
    let pool: FineCoins = escrow::pool(ctx).collect();
    Ok(pb::QueryCommunityPoolResponse { pool: pool.to_proto() })
}

/// A validator's operator and rewards.
fn known(ctx: &Ctx<'_>, validator: &str) -> Result<(Address, ValidatorRewards), Failure> {
    let validator: ValAddress = validator.parse()?;
    let operator = validator.account();
    if staking::validator(ctx, &operator).is_none() {
        return Err(DistributionError::NoValidator(validator).into());
    }
    Ok((operator, rewards(ctx, &operator)))
}

/// With whom an account has delegations.
fn validators_of(ctx: &Ctx<'_>, delegator: &Address) -> Result<Vec<Address>, Failure> {
    let all = staking::delegations_of(ctx, delegator).map(|delegation| delegation.validator);
    let found: Vec<_> = all.take(MAX_DELEGATIONS.saturating_add(1)).collect();
    if found.len() > MAX_DELEGATIONS {
        return Err(SdkError::NotSupported(format!(
            "{delegator} has over {MAX_DELEGATIONS} delegations; ask for them one by one"
        ))
        .into());
    }
    Ok(found)
}
