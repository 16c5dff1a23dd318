//! Taking a bid back.

use stoa_proto::market::v1 as pb;

use super::biddable;
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::modules::market::book::{self, Leaving};
use crate::modules::market::{bid, MarketError};
use crate::tx::Message;
use crate::types::{Address, LeaseId, OrderId};

/// Takes an open bid back, in the first half of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawBid {
    id: LeaseId,
}

impl TryFrom<pb::MsgWithdrawBid> for WithdrawBid {
    type Error = Failure;

    fn try_from(msg: pb::MsgWithdrawBid) -> Result<Self, Failure> {
        Ok(Self { id: OrderId::try_from(msg.order)?.lease(msg.provider.parse()?) })
    }
}

impl Message for WithdrawBid {
    type Proto = pb::MsgWithdrawBid;
    type Response = pb::MsgWithdrawBidResponse;

    fn signer(&self) -> Address {
        self.id.provider
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let id = self.id;
        let (order, _) = biddable(ctx, id.order)?;
        bid(ctx, id).ok_or(MarketError::BidNotFound(id))?;
        let window = order.closes_at.saturating_sub(order.opened_at);
        let until = order.opened_at.saturating_add(window.div_ceil(2));
        if ctx.now() >= until {
            let now = ctx.now();
            return Err(MarketError::TooLateToWithdraw { id: id.order, until, now }.into());
        }
        book::leave(ctx, id, Leaving::Withdrawn);
        Ok(pb::MsgWithdrawBidResponse {})
    }
}
