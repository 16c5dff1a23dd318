//! Depositing.

use stoa_proto::escrow::v1 as pb;

use super::account::Depositor;
use super::{flow, params, EscrowError};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event;
use crate::modules::bank;
use crate::tx::Message;
use crate::types::{Address, Coin, DeploymentId};

/// Adds to a deployment's escrow; anyone may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    depositor: Address,
    id: DeploymentId,
    coin: Coin,
}

impl TryFrom<pb::MsgDepositDeployment> for Deposit {
    type Error = Failure;

    fn try_from(msg: pb::MsgDepositDeployment) -> Result<Self, Failure> {
        let missing = || SdkError::InvalidRequest("the amount is missing".to_owned());
        let coin = Coin::try_from(msg.amount.ok_or_else(missing)?)?;
        if coin.amount.is_zero() {
            return Err(EscrowError::NothingDeposited.into());
        }
        Ok(Self { depositor: msg.depositor.parse()?, id: msg.id.try_into()?, coin })
    }
}

impl Message for Deposit {
    type Proto = pb::MsgDepositDeployment;
    type Response = pb::MsgDepositDeploymentResponse;

    fn signer(&self) -> Address {
        self.depositor
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { depositor, id, coin } = self;
        let mut account = flow::depositable(ctx, id)?;
        if coin.denom != account.denom {
            let (given, denom) = (coin.denom, account.denom);
            return Err(EscrowError::OtherDenom { id, given, denom }.into());
        }
        bank::take(ctx, &depositor, &coin)?;
        let money = coin.amount.to_fine();
        match account.depositors.iter_mut().find(|entry| entry.address == depositor) {
            Some(entry) => entry.balance = entry.balance.saturating_add(money),
            None => {
                let max = params(ctx).max_depositors;
                if account.depositors.len() >= usize::try_from(max).unwrap_or(usize::MAX) {
                    return Err(EscrowError::TooManyDepositors { id, max }.into());
                }
                account.depositors.push(Depositor { address: depositor, balance: money });
            }
        }
        ctx.emit(event!(pb::EventDeposited { deployment: id, depositor: depositor, amount: coin }));
        flow::add_deposit(ctx, id, account);
        Ok(pb::MsgDepositDeploymentResponse {})
    }
}
