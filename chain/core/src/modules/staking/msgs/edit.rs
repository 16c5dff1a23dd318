//! Changing what a validator says and promises.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use super::describe;
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::staking::book::put_validator;
use crate::modules::staking::delegate::existing;
use crate::modules::staking::{
    params, proto, self_delegation, Commission, Description, Error, Validator,
};
use crate::tx::Message;
use crate::types::{rfc3339, Address, Amount, Dec};

/// Seconds between two changes of a commission.
const DAY: u64 = 86_400;

/// A validator's new description, commission, promise; what is none stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditValidator {
    operator: Address,
    description: Description,
    commission_rate: Option<Dec>,
    min_self_delegation: Option<Amount>,
}

impl TryFrom<pb::MsgEditValidator> for EditValidator {
    type Error = Failure;

    fn try_from(msg: pb::MsgEditValidator) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::from(SdkError::InvalidRequest(text));
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let commission_rate = given(msg.commission_rate)
            .map(|rate| proto::dec("commission_rate", &rate))
            .transpose()?;
        if let Some(rate) = commission_rate.filter(|rate| *rate > Dec::ONE) {
            return Err(Error::CommissionHuge(rate).into());
        }
        let min_self_delegation = given(msg.min_self_delegation)
            .map(Amount::try_from)
            .transpose()
            .map_err(|error| invalid(format!("min_self_delegation: {error}")))?;
        Ok(Self {
            operator: proto::operator(&msg.validator_address)?,
            description: describe::check_description(describe::some(msg.description)?)?,
            commission_rate,
            min_self_delegation,
        })
    }
}

impl Message for EditValidator {
    type Proto = pb::MsgEditValidator;
    type Response = pb::MsgEditValidatorResponse;

    fn signer(&self) -> Address {
        self.operator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let mut validator = existing(ctx, &self.operator)?;
        let description = describe::edited(validator.description, self.description);
        validator.description = describe::check_description(description)?;
        if validator.description.moniker.is_empty() {
            let text = "the moniker is empty; name the validator".to_owned();
            return Err(SdkError::InvalidRequest(text).into());
        }
        if let Some(rate) = self.commission_rate {
            describe::check_least(rate, params(ctx).min_commission_rate)?;
            change_rate(&mut validator.commission, rate, ctx.now())?;
        }
        if let Some(least) = self.min_self_delegation {
            check_promise(ctx, &validator, least)?;
            validator.min_self_delegation = least;
        }
        put_validator(ctx, &validator);
        let event = Event::new("edit_validator").with("commission_rate", validator.commission.rate);
        ctx.emit(event.with("min_self_delegation", validator.min_self_delegation));
        Ok(pb::MsgEditValidatorResponse {})
    }
}

/// Once a day, within the daily change and the maximum.
fn change_rate(commission: &mut Commission, rate: Dec, now: u64) -> Result<(), Error> {
    let Commission { rate: from, max_rate: max, max_change_rate: most, updated_at } = *commission;
    let free_at = updated_at.saturating_add(DAY);
    if now < free_at {
        return Err(Error::CommissionChangedToday(rfc3339(free_at)));
    }
    if rate > max {
        return Err(Error::CommissionOverMax { rate, max });
    }
    let change = rate.saturating_sub(from).max(from.saturating_sub(rate));
    if change > most {
        return Err(Error::CommissionJump { from, most });
    }
    commission.rate = rate;
    commission.updated_at = now;
    Ok(())
}

/// It rises, at most to what the operator has delegated.
fn check_promise(ctx: &Ctx<'_>, validator: &Validator, least: Amount) -> Result<(), Error> {
    if least <= validator.min_self_delegation {
        return Err(Error::MinSelfDelegationDecreased(validator.min_self_delegation));
    }
    let own = self_delegation(ctx, validator);
    if least > own {
        return Err(Error::SelfDelegationTooLow { own, least });
    }
    Ok(())
}
