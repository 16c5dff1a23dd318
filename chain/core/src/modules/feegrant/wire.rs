//! Allowances as protobuf has them, each under its own type.

use cosmos_sdk_proto::cosmos::feegrant::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use prost::Name;

use super::allowance::{Basic, Periodic};
use super::{Allowance, FeegrantError};
use crate::error::{Failure, SdkError};
use crate::tx::unpack;
use crate::types::{duration, seconds_of, timestamp, Coins};

impl Allowance {
    /// From a message. One that lists messages holds a basic or a periodic
    /// one, not another list.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_any(any: &Any) -> Result<Self, Failure> {
        let allowance = if any.type_url == pb::AllowedMsgAllowance::type_url() {
            let proto: pb::AllowedMsgAllowance = unpack(any)?;
            let inner = proto.allowance.ok_or_else(missing)?;
            Self { allowed_messages: Some(proto.allowed_messages), ..spending(&inner)? }
        } else {
            spending(any)?
        };
        allowance.check()?;
        Ok(allowance)
    }

    /// As protobuf has it.
    pub fn to_any(&self) -> Any {
        let basic = pb::BasicAllowance {
            spend_limit: self.basic.spend_limit.to_proto(),
            expiration: self.basic.expiration.map(timestamp),
        };
        let spending = match &self.periodic {
            None => pack(&basic),
            Some(periodic) => pack(&pb::PeriodicAllowance {
                basic: Some(basic),
                period: Some(duration(periodic.period)),
                period_spend_limit: periodic.spend_limit.to_proto(),
                period_can_spend: periodic.can_spend.to_proto(),
                period_reset: Some(timestamp(periodic.reset_at)),
            }),
        };
        match &self.allowed_messages {
            None => spending,
            Some(messages) => pack(&pb::AllowedMsgAllowance {
                allowance: Some(spending),
                allowed_messages: messages.clone(),
            }),
        }
    }
}

/// What an allowance lets spend, without a list of messages.
fn spending(any: &Any) -> Result<Allowance, Failure> {
    let of = |basic, periodic| Allowance { basic, periodic, allowed_messages: None };
    if any.type_url == pb::BasicAllowance::type_url() {
        return Ok(of(basic(unpack(any)?)?, None));
    }
    if any.type_url == pb::PeriodicAllowance::type_url() {
        let proto: pb::PeriodicAllowance = unpack(any)?;
        let whole = basic(proto.basic.unwrap_or_default())?;
        let period = proto.period.filter(|period| period.nanos == 0).map(|period| period.seconds);
        let period = period.and_then(|seconds| u64::try_from(seconds).ok());
        let wrong = || FeegrantError::InvalidDuration("a period is whole seconds".to_owned());
        let periodic = Periodic {
            period: period.ok_or_else(wrong)?,
            spend_limit: Coins::from_proto(proto.period_spend_limit)?,
            can_spend: Coins::from_proto(proto.period_can_spend)?,
            reset_at: time("period_reset", proto.period_reset)?.unwrap_or_default(),
        };
        return Ok(of(whole, Some(periodic)));
    }
    let url: String = any.type_url.chars().take(100).collect();
    Err(SdkError::InvalidRequest(format!(
        "{url:?} is no allowance; a basic, periodic or allowed-message allowance is"
    ))
    .into())
}

fn basic(proto: pb::BasicAllowance) -> Result<Basic, Failure> {
    Ok(Basic {
        spend_limit: Coins::from_proto(proto.spend_limit)?,
        expiration: time("expiration", proto.expiration)?,
    })
}

fn time(
    name: &str,
    given: Option<cosmos_sdk_proto::Timestamp>,
) -> Result<Option<u64>, FeegrantError> {
    let Some(given) = given else { return Ok(None) };
    let wrong = || FeegrantError::InvalidDuration(format!("{name} is not between 1970 and 9999"));
    seconds_of(&given).map(Some).ok_or_else(wrong)
}

fn missing() -> FeegrantError {
    FeegrantError::NoAllowance("give a basic or a periodic one".to_owned())
}

fn pack<M: prost::Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
