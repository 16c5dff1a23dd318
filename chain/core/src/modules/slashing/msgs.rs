//! Slashing's messages.

use cosmos_sdk_proto::cosmos::slashing::v1beta1 as pb;

use super::liveness::start_over;
use super::records::put_info;
use super::{keys, signing_info, Error, Params};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::staking;
use crate::modules::update_params::update_params;
use crate::tx::Message;
use crate::types::{rfc3339, Address, ValAddress};

/// Lets one's own validator compete for the active set again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unjail {
    operator: ValAddress,
}

impl TryFrom<pb::MsgUnjail> for Unjail {
    type Error = Failure;

    fn try_from(msg: pb::MsgUnjail) -> Result<Self, Failure> {
        Ok(Self { operator: msg.validator_addr.parse()? })
    }
}

impl Message for Unjail {
    type Proto = pb::MsgUnjail;
    type Response = pb::MsgUnjailResponse;

    fn signer(&self) -> Address {
        self.operator.account()
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let whose = self.operator;
        let operator = whose.account();
        let validator = staking::validator(ctx, &operator).ok_or(Error::UnknownValidator(whose))?;
        staking::delegation(ctx, &operator, &operator).ok_or(Error::NoSelfDelegation(whose))?;
        let own = staking::self_delegation(ctx, &validator);
        let least = validator.min_self_delegation;
        if own < least {
            return Err(Error::SelfDelegationTooLow { own, least }.into());
        }
        if !validator.jailed {
            return Err(Error::NotJailed(whose).into());
        }
        let consensus = validator.consensus();
        // There is none where it never voted: only its operator's undelegating
        // has jailed it then.
        let info = signing_info(ctx, &consensus).unwrap_or_default();
        if info.tombstoned {
            return Err(Error::Tombstoned(whose).into());
        }
        if ctx.now() < info.jailed_until {
            return Err(Error::StillJailed(whose, rfc3339(info.jailed_until)).into());
        }
        staking::unjail(ctx, &consensus);
        // It may vote still, where nobody else could: its votes count from now.
        if let Some(mut info) = signing_info(ctx, &consensus) {
            start_over(ctx, &consensus, &mut info);
            put_info(ctx, &consensus, &info);
        }
        Ok(pb::MsgUnjailResponse {})
    }
}

update_params! {
    /// New parameters of slashing. A window of another length is counted anew,
    /// each validator's at its next miss.
    pb, Params, keys::params
}
