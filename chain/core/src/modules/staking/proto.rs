//! Staking's records in Cosmos' protobuf.

use cosmos_sdk_proto::cosmos::base::v1beta1::Coin as PbCoin;
use cosmos_sdk_proto::cosmos::crypto::ed25519::PubKey;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use prost::{Message, Name};

use super::{
    Commission, Delegation, Description, Error, Redelegation, RedelegationEntry, Status, Unbonding,
    UnbondingEntry, Validator,
};
use crate::error::{Failure, SdkError};
use crate::types::{timestamp, Address, Amount, Coin, Dec, Denom, ValAddress, STAKE_DENOM};

/// A height or time as protobuf's signed number.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A consensus key.
///
/// # Errors
/// It is missing, of another kind, malformed, or no point of the curve.
pub(super) fn consensus_key(any: Option<Any>) -> Result<[u8; 32], Failure> {
    let any = any.ok_or(Error::NoKey)?;
    if any.type_url != PubKey::type_url() {
        return Err(Error::KeyType(any.type_url.chars().take(100).collect()).into());
    }
    let malformed = |why: &str| SdkError::InvalidPubKey(why.to_owned());
    let key = PubKey::decode(any.value.as_slice()).map_err(|e| malformed(&e.to_string()))?;
    if key.encode_to_vec() != any.value {
        return Err(malformed("the consensus key holds an unknown field").into());
    }
    let key: [u8; 32] =
        key.key.try_into().map_err(|_| malformed("a consensus key has 32 bytes"))?;
    ed25519_dalek::VerifyingKey::from_bytes(&key)
        .map_err(|_| malformed("the consensus key is no point of the curve"))?;
    Ok(key)
}

/// A consensus key as queries carry it.
pub(crate) fn consensus_key_any(key: &[u8; 32]) -> Any {
    Any { type_url: PubKey::type_url(), value: PubKey { key: key.to_vec() }.encode_to_vec() }
}

/// An amount to be staked.
///
/// # Errors
/// It is missing, nothing, or of another denom.
pub(super) fn stake(coin: Option<PbCoin>) -> Result<Amount, Failure> {
    let invalid = |text: String| SdkError::InvalidRequest(text);
    let coin = coin.ok_or_else(|| invalid("the amount is missing".to_owned()))?;
    let coin = Coin::try_from(coin)?;
    if coin.denom != Denom::stake() {
        return Err(invalid(format!("stake is in {STAKE_DENOM}, not in {}", coin.denom)).into());
    }
    if coin.amount.is_zero() {
        return Err(invalid(format!("the amount is 0; name at least 1{STAKE_DENOM}")).into());
    }
    Ok(coin.amount)
}

/// An operator's account.
pub(super) fn operator(text: &str) -> Result<Address, SdkError> {
    Ok(text.parse::<ValAddress>()?.account())
}

/// A decimal of a message.
pub(super) fn dec(name: &str, text: &str) -> Result<Dec, SdkError> {
    Dec::from_wire(text).map_err(|error| SdkError::InvalidRequest(format!("{name}: {error}")))
}

/// So much stake.
pub(super) fn coin(amount: Amount) -> PbCoin {
    Coin::new(Denom::stake(), amount).into()
}

impl From<Validator> for pb::Validator {
    fn from(validator: Validator) -> Self {
        let (unbonding_height, unbonding_time) = match validator.status {
            Status::Unbonding { height, completes_at } => (height, completes_at),
            Status::Unbonded | Status::Bonded => (0, 0),
        };
        Self {
            operator_address: ValAddress::from(validator.operator).to_string(),
            consensus_pubkey: Some(consensus_key_any(&validator.consensus_key)),
            jailed: validator.jailed,
            status: status(validator.status).into(),
            tokens: validator.tokens.to_string(),
            delegator_shares: validator.shares.to_wire(),
            unbonding_height: signed(unbonding_height),
            unbonding_time: Some(timestamp(unbonding_time)),
            description: Some(validator.description.into()),
            commission: Some(validator.commission.into()),
            min_self_delegation: validator.min_self_delegation.to_string(),
            unbonding_on_hold_ref_count: 0,
            unbonding_ids: Vec::new(),
        }
    }
}

/// A status by Cosmos' number.
pub(super) fn status(status: Status) -> pb::BondStatus {
    match status {
        Status::Unbonded => pb::BondStatus::Unbonded,
        Status::Unbonding { .. } => pb::BondStatus::Unbonding,
        Status::Bonded => pb::BondStatus::Bonded,
    }
}

impl From<Commission> for pb::Commission {
    fn from(commission: Commission) -> Self {
        let rates = pb::CommissionRates {
            rate: commission.rate.to_wire(),
            max_rate: commission.max_rate.to_wire(),
            max_change_rate: commission.max_change_rate.to_wire(),
        };
        let update_time = Some(timestamp(commission.updated_at));
        Self { commission_rates: Some(rates), update_time }
    }
}

impl From<Description> for pb::Description {
    fn from(description: Description) -> Self {
        let Description { moniker, identity, website, security_contact, details } = description;
        Self { moniker, identity, website, security_contact, details }
    }
}

impl From<Delegation> for pb::Delegation {
    fn from(delegation: Delegation) -> Self {
        Self {
            delegator_address: delegation.delegator.to_string(),
            validator_address: ValAddress::from(delegation.validator).to_string(),
            shares: delegation.shares.to_wire(),
        }
    }
}

/// Entries have no number of their own (`unbonding_id`): nothing refers to one.
impl From<Unbonding> for pb::UnbondingDelegation {
    fn from(unbonding: Unbonding) -> Self {
        let entry = |entry: UnbondingEntry| pb::UnbondingDelegationEntry {
            creation_height: signed(entry.height),
            completion_time: Some(timestamp(entry.completes_at)),
            initial_balance: entry.initial.to_string(),
            balance: entry.balance.to_string(),
            unbonding_id: 0,
            unbonding_on_hold_ref_count: 0,
        };
        Self {
            delegator_address: unbonding.delegator.to_string(),
            validator_address: ValAddress::from(unbonding.validator).to_string(),
            entries: unbonding.entries.into_iter().map(entry).collect(),
        }
    }
}

/// A redelegation, each entry with what its shares are worth where they are
/// (`to`; nothing where that validator is gone).
pub(super) fn redelegation(
    found: Redelegation,
    to: Option<&Validator>,
) -> pb::RedelegationResponse {
    let entry = |entry: RedelegationEntry| pb::RedelegationEntryResponse {
        balance: to.map_or(Amount::ZERO, |to| to.worth(entry.shares).whole()).to_string(),
        redelegation_entry: Some(pb::RedelegationEntry {
            creation_height: signed(entry.height),
            completion_time: Some(timestamp(entry.completes_at)),
            initial_balance: entry.initial.to_string(),
            shares_dst: entry.shares.to_wire(),
            unbonding_id: 0,
            unbonding_on_hold_ref_count: 0,
        }),
    };
    pb::RedelegationResponse {
        redelegation: Some(pb::Redelegation {
            delegator_address: found.delegator.to_string(),
            validator_src_address: ValAddress::from(found.from).to_string(),
            validator_dst_address: ValAddress::from(found.to).to_string(),
            entries: Vec::new(),
        }),
        entries: found.entries.into_iter().map(entry).collect(),
    }
}
