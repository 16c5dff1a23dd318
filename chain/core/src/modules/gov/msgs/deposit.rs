//! Depositing.

use cosmos_sdk_proto::cosmos::gov::{v1 as pb, v1beta1 as legacy};

use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::gov::life;
use crate::tx::Message;
use crate::types::{Address, Coins};

macro_rules! deposit {
    ($(#[$doc:meta])* $name:ident = $pb:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            proposal: u64,
            depositor: Address,
            coins: Coins,
        }

        impl TryFrom<$pb::MsgDeposit> for $name {
            type Error = Failure;

            fn try_from(msg: $pb::MsgDeposit) -> Result<Self, Failure> {
                Ok(Self {
                    proposal: msg.proposal_id,
                    depositor: msg.depositor.parse()?,
                    coins: Coins::from_proto(msg.amount)?,
                })
            }
        }

        impl Message for $name {
            type Proto = $pb::MsgDeposit;
            type Response = $pb::MsgDepositResponse;

            fn signer(&self) -> Address {
                self.depositor
            }

            fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
                life::add_deposit(ctx, self.proposal, &self.depositor, &self.coins)?;
                Ok($pb::MsgDepositResponse {})
            }
        }
    };
}

deposit! {
    /// Adds to a proposal's deposit; anyone may.
    Deposit = pb
}
deposit! {
    /// The same by v1beta1.
    LegacyDeposit = legacy
}
