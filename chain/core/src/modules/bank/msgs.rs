//! Sending coins.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as pb;

use super::{check_may_send, give, take};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event::Event;
use crate::modules::auth;
use crate::tx::Message;
use crate::types::{Address, Coins};

/// Most receivers of one [`MultiSend`].
pub const MAX_OUTPUTS: usize = 500;

/// Coins from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    from: Address,
    to: Address,
    coins: Coins,
}

impl TryFrom<pb::MsgSend> for Send {
    type Error = Failure;

    fn try_from(msg: pb::MsgSend) -> Result<Self, Failure> {
        Ok(Self {
            from: msg.from_address.parse()?,
            to: msg.to_address.parse()?,
            coins: some_coins(Coins::from_proto(msg.amount)?)?,
        })
    }
}

impl Message for Send {
    type Proto = pb::MsgSend;
    type Response = pb::MsgSendResponse;

    fn signer(&self) -> Address {
        self.from
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        transfer(ctx, &self.from, &self.to, &self.coins)?;
        Ok(pb::MsgSendResponse {})
    }
}

/// Coins from one account to several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiSend {
    from: Address,
    outputs: Vec<(Address, Coins)>,
}

impl TryFrom<pb::MsgMultiSend> for MultiSend {
    type Error = Failure;

    fn try_from(msg: pb::MsgMultiSend) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::from(SdkError::InvalidRequest(text));
        let [input] = <[pb::Input; 1]>::try_from(msg.inputs).map_err(|inputs| {
            invalid(format!("{} inputs; exactly one is allowed", inputs.len()))
        })?;
        if msg.outputs.is_empty() || msg.outputs.len() > MAX_OUTPUTS {
            let text = format!("{} outputs; 1 to {MAX_OUTPUTS} are allowed", msg.outputs.len());
            return Err(invalid(text));
        }
        let total = some_coins(Coins::from_proto(input.coins)?)?;
        let mut sum = Coins::new();
        let mut outputs = Vec::with_capacity(msg.outputs.len());
        for output in msg.outputs {
            let coins = some_coins(Coins::from_proto(output.coins)?)?;
            for coin in coins.iter() {
                let too_much = || invalid(format!("the outputs of {} overflow", coin.denom));
                sum.checked_add(&coin).ok_or_else(too_much)?;
            }
            outputs.push((output.address.parse()?, coins));
        }
        if sum != total {
            return Err(invalid(format!("the outputs sum up to {sum}, the input to {total}")));
        }
        Ok(Self { from: input.address.parse()?, outputs })
    }
}

impl Message for MultiSend {
    type Proto = pb::MsgMultiSend;
    type Response = pb::MsgMultiSendResponse;

    fn signer(&self) -> Address {
        self.from
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        for (to, coins) in &self.outputs {
            transfer(ctx, &self.from, to, coins)?;
        }
        Ok(pb::MsgMultiSendResponse {})
    }
}

fn some_coins(coins: Coins) -> Result<Coins, SdkError> {
    if coins.is_empty() {
        return Err(SdkError::InvalidCoins("none are named".to_owned()));
    }
    Ok(coins)
}

fn transfer(ctx: &mut Ctx<'_>, from: &Address, to: &Address, coins: &Coins) -> Result<(), Failure> {
    if auth::is_module_account(to) {
        let text = format!("{to} is not allowed to receive funds: it is a module's, without a key");
        return Err(SdkError::Unauthorized(text).into());
    }
    for coin in coins.iter() {
        check_may_send(ctx, &coin.denom)?;
        take(ctx, from, &coin)?;
        give(ctx, to, &coin);
    }
    let event = Event::new("transfer");
    ctx.emit(event.with("recipient", to).with("sender", from).with("amount", coins));
    Ok(())
}
