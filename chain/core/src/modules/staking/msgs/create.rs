//! Becoming a validator.

use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;

use super::describe;
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::staking::book::put_validator;
use crate::modules::staking::delegate::{delegate, Source};
use crate::modules::staking::{
    params, proto, validator, validator_by_consensus, Commission, Description, Error, Status,
    Validator,
};
use crate::modules::{distribution, slashing};
use crate::tx::Message;
use crate::types::{Address, Amount, Coin, ConsAddress, Dec, Denom, ValAddress};

/// A validator with its operator's first delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateValidator {
    operator: Address,
    consensus_key: [u8; 32],
    description: Description,
    /// Not dated yet.
    commission: Commission,
    min_self_delegation: Amount,
    amount: Amount,
}

impl TryFrom<pb::MsgCreateValidator> for CreateValidator {
    type Error = Failure;

    fn try_from(msg: pb::MsgCreateValidator) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::from(SdkError::InvalidRequest(text));
        let operator = proto::operator(&msg.validator_address)?;
        // Deprecated: clients leave it empty, or name the operator's account.
        #[allow(deprecated)]
        let delegator = msg.delegator_address;
        if !delegator.is_empty() && delegator.parse::<Address>()? != operator {
            return Err(invalid(format!("delegator_address is {operator}'s own, or empty")));
        }
        let description = describe::check_description(describe::some(msg.description)?)?;
        if description.moniker.is_empty() {
            return Err(invalid("the moniker is empty; name the validator".to_owned()));
        }
        let rates =
            msg.commission.ok_or_else(|| invalid("the commission is missing".to_owned()))?;
        let commission = Commission {
            rate: proto::dec("commission.rate", &rates.rate)?,
            max_rate: proto::dec("commission.max_rate", &rates.max_rate)?,
            max_change_rate: proto::dec("commission.max_change_rate", &rates.max_change_rate)?,
            updated_at: 0,
        };
        commission.validate()?;
        let least = Amount::try_from(msg.min_self_delegation)
            .map_err(|error| invalid(format!("min_self_delegation: {error}")))?;
        if least.is_zero() {
            return Err(invalid("min_self_delegation is 0; it is at least 1".to_owned()));
        }
        let amount = proto::stake(msg.value)?;
        if amount < least {
            return Err(Error::SelfDelegationTooLow { own: amount, least }.into());
        }
        Ok(Self {
            operator,
            consensus_key: proto::consensus_key(msg.pubkey)?,
            description,
            commission,
            min_self_delegation: least,
            amount,
        })
    }
}

impl Message for CreateValidator {
    type Proto = pb::MsgCreateValidator;
    type Response = pb::MsgCreateValidatorResponse;

    fn signer(&self) -> Address {
        self.operator
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let operator = self.operator;
        describe::check_least(self.commission.rate, params(ctx).min_commission_rate)?;
        if validator(ctx, &operator).is_some() {
            return Err(Error::OperatorExists(operator.into()).into());
        }
        let consensus = ConsAddress::of_key(&self.consensus_key);
        if validator_by_consensus(ctx, &consensus).is_some() {
            return Err(Error::KeyExists(consensus).into());
        }
        if slashing::is_tombstoned(ctx, &consensus) {
            return Err(Error::KeyTombstoned(consensus).into());
        }
        put_validator(ctx, &self.validator(ctx.now()));
        distribution::after_validator_created(ctx, &operator);
        delegate(ctx, &operator, &operator, self.amount, Source::Account)?;
        let event = Event::new("create_validator").with("validator", ValAddress::from(operator));
        ctx.emit(event.with("amount", Coin::new(Denom::stake(), self.amount)));
        Ok(pb::MsgCreateValidatorResponse {})
    }
}

impl CreateValidator {
    /// Before its first delegation.
    fn validator(&self, now: u64) -> Validator {
        Validator {
            operator: self.operator,
            consensus_key: self.consensus_key,
            jailed: false,
            status: Status::Unbonded,
            tokens: Amount::ZERO,
            shares: Dec::ZERO,
            description: self.description.clone(),
            commission: Commission { updated_at: now, ..self.commission.clone() },
            min_self_delegation: self.min_self_delegation,
        }
    }
}
