//! Authorizations as protobuf has them, each under its own type.

use cosmos_sdk_proto::cosmos::authz::v1beta1::GenericAuthorization;
use cosmos_sdk_proto::cosmos::bank::v1beta1::SendAuthorization;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking_pb;
use cosmos_sdk_proto::{Any, Timestamp};
use prost::Name;
use staking_pb::stake_authorization::{Policy, Validators as PbValidators};
use staking_pb::{AuthorizationType, StakeAuthorization};
use stoa_proto::deployment::v1::DeploymentAuthorization;

use super::authorization::{SendLimits, StakeKind, StakeLimits, Validators};
use super::deployment::{Limits, MaxRate};
use super::{Authorization, AuthzError};
use crate::error::{Failure, SdkError};
use crate::tx::unpack;
use crate::types::{seconds_of, timestamp, Address, Coin, Coins, Rate, ValAddress};

impl Authorization {
    /// From a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_any(any: &Any) -> Result<Self, Failure> {
        let url = any.type_url.as_str();
        let authorization = if url == GenericAuthorization::type_url() {
            Self::Generic(unpack::<GenericAuthorization>(any)?.msg)
        } else if url == SendAuthorization::type_url() {
            Self::Send(send(unpack(any)?)?)
        } else if url == StakeAuthorization::type_url() {
            Self::Stake(stake(unpack(any)?)?)
        } else if url == DeploymentAuthorization::type_url() {
            Self::Deployment(deployment(unpack(any)?)?)
        } else {
            let url: String = url.chars().take(100).collect();
            return Err(AuthzError::UnknownType(url).into());
        };
        authorization.check()?;
        Ok(authorization)
    }

    /// As protobuf has it.
    pub fn to_any(&self) -> Any {
        match self {
            Self::Generic(url) => pack(&GenericAuthorization { msg: url.clone() }),
            Self::Send(limits) => pack(&SendAuthorization {
                spend_limit: limits.spend_limit.to_proto(),
                allow_list: limits.allow_list.iter().map(ToString::to_string).collect(),
            }),
            Self::Stake(limits) => pack(&stake_to_proto(limits)),
            Self::Deployment(limits) => pack(&DeploymentAuthorization {
                spend_limit: limits.spend_limit.to_proto(),
                max_rate: limits.max_rate.as_ref().map(|most| most.rate.to_dec_coin(&most.denom)),
                allowed_groups: limits.allowed_groups.clone(),
                max_replicas: limits.max_replicas,
                expiration: limits.expiration.map(timestamp),
            }),
        }
    }
}

/// A time that has an end after 1970.
///
/// # Errors
/// It has none.
pub(super) fn end(given: Option<Timestamp>) -> Result<Option<u64>, AuthzError> {
    let Some(given) = given else { return Ok(None) };
    let wrong = || AuthzError::InvalidExpiration { given: given.seconds, now: 0 };
    seconds_of(&given).map(Some).ok_or_else(wrong)
}

fn send(proto: SendAuthorization) -> Result<SendLimits, Failure> {
    let allow_list: Result<Vec<Address>, _> =
        proto.allow_list.iter().map(|text| text.parse()).collect();
    Ok(SendLimits { spend_limit: Coins::from_proto(proto.spend_limit)?, allow_list: allow_list? })
}

fn stake(proto: StakeAuthorization) -> Result<StakeLimits, Failure> {
    let kind = match proto.authorization_type() {
        AuthorizationType::Delegate => StakeKind::Delegate,
        AuthorizationType::Undelegate => StakeKind::Undelegate,
        AuthorizationType::Redelegate => StakeKind::Redelegate,
        AuthorizationType::CancelUnbondingDelegation => StakeKind::CancelUnbonding,
        AuthorizationType::Unspecified => {
            let text = format!("staking by type {}; 1 to 4 are known", proto.authorization_type);
            return Err(AuthzError::UnknownType(text).into());
        }
    };
    let operators = |list: PbValidators| -> Result<Vec<Address>, SdkError> {
        let parse = |text: &String| text.parse().map(|operator: ValAddress| operator.account());
        list.address.iter().map(parse).collect()
    };
    let validators = match proto.validators {
        None => None,
        Some(Policy::AllowList(list)) => Some(Validators::Allow(operators(list)?)),
        Some(Policy::DenyList(list)) => Some(Validators::Deny(operators(list)?)),
    };
    let max_tokens = proto.max_tokens.map(Coin::try_from).transpose()?;
    Ok(StakeLimits { kind, max_tokens, validators })
}

fn stake_to_proto(limits: &StakeLimits) -> StakeAuthorization {
    let kind = match limits.kind {
        StakeKind::Delegate => AuthorizationType::Delegate,
        StakeKind::Undelegate => AuthorizationType::Undelegate,
        StakeKind::Redelegate => AuthorizationType::Redelegate,
        StakeKind::CancelUnbonding => AuthorizationType::CancelUnbondingDelegation,
    };
    let texts = |list: &[Address]| PbValidators {
        address: list.iter().map(|operator| ValAddress::from(*operator).to_string()).collect(),
    };
    let validators = limits.validators.as_ref().map(|validators| match validators {
        Validators::Allow(list) => Policy::AllowList(texts(list)),
        Validators::Deny(list) => Policy::DenyList(texts(list)),
    });
    StakeAuthorization {
        max_tokens: limits.max_tokens.clone().map(Into::into),
        authorization_type: kind.into(),
        validators,
    }
}

fn deployment(proto: DeploymentAuthorization) -> Result<Limits, Failure> {
    let max_rate = proto.max_rate.map(Rate::from_dec_coin).transpose()?;
    Ok(Limits {
        spend_limit: Coins::from_proto(proto.spend_limit)?,
        max_rate: max_rate.map(|(denom, rate)| MaxRate { denom, rate }),
        allowed_groups: proto.allowed_groups,
        max_replicas: proto.max_replicas,
        expiration: end(proto.expiration)?,
    })
}

fn pack<M: prost::Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
