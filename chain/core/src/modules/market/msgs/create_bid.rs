//! Bidding.

use stoa_proto::market::v1 as pb;

use super::{biddable, check_rate, gpus_from, rate_from};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::modules::bank;
use crate::modules::market::book::{self, Leaving};
use crate::modules::market::{
    bid, eligibility, index, params, Bid, BidState, GpuOffer, MarketError, Order,
};
use crate::tx::Message;
use crate::types::{Address, Coin, Denom, LeaseId, OrderId, Rate};

/// Places a bid on an open order, or replaces one's own by a lower one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateBid {
    id: LeaseId,
    denom: Denom,
    rate: Rate,
    gpus: Vec<GpuOffer>,
}

impl TryFrom<pb::MsgCreateBid> for CreateBid {
    type Error = Failure;

    fn try_from(msg: pb::MsgCreateBid) -> Result<Self, Failure> {
        let (denom, rate) = rate_from(msg.rate)?;
        let id = OrderId::try_from(msg.order)?.lease(msg.provider.parse()?);
        Ok(Self { id, denom, rate, gpus: gpus_from(msg.gpus)? })
    }
}

impl Message for CreateBid {
    type Proto = pb::MsgCreateBid;
    type Response = pb::MsgCreateBidResponse;

    fn signer(&self) -> Address {
        self.id.provider
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { id, denom, rate, gpus } = self;
        let (order, group) = biddable(ctx, id.order)?;
        if order.sealed {
            return Err(MarketError::Sealed(id.order).into());
        }
        check_rate(&order, &denom, rate)?;
        eligibility::check(ctx, id, &order, &group.spec, &gpus)?;
        let step = params(ctx).bid_step;
        let deposit = match bid(ctx, id) {
            Some(own) => {
                replace(ctx, id, own, rate, gpus, step)?;
                Coin::new(denom.clone(), crate::types::Amount::ZERO)
            }
            None => place(ctx, id, &order, rate, gpus, step)?,
        };
        ctx.emit(event!(pb::EventBidPlaced {
            order: id.order,
            provider: id.provider,
            rate: format!("{rate}{denom}")
        }));
        Ok(pb::MsgCreateBidResponse { deposit: Some(deposit.into()) })
    }
}

/// A bid under the lowest is lower by at least the step.
fn check_step(ctx: &Ctx<'_>, order: OrderId, rate: Rate, step: u32) -> Result<(), MarketError> {
    let Some(lowest) = book::lowest(ctx, order) else { return Ok(()) };
    let most = book::a_step_below(lowest, step);
    if rate < lowest && rate > most {
        return Err(MarketError::StepTooSmall { rate, lowest, most });
    }
    Ok(())
}

/// A replacement is lower than one's own by at least the step, keeps the
/// deposit, and takes a new place in time.
fn replace(
    ctx: &mut Ctx<'_>,
    id: LeaseId,
    own: Bid,
    rate: Rate,
    gpus: Vec<GpuOffer>,
    step: u32,
) -> Result<(), MarketError> {
    let standing = own.rate.unwrap_or_default();
    let most = book::a_step_below(standing, step);
    if rate > most {
        return Err(MarketError::ReplacementTooHigh { rate, own: standing, most });
    }
    check_step(ctx, id.order, rate, step)?;
    let new = Bid { rate: Some(rate), place: ctx.place(), gpus, ..own.clone() };
    book::change(ctx, id, &own, &new);
    Ok(())
}

fn place(
    ctx: &mut Ctx<'_>,
    id: LeaseId,
    order: &Order,
    rate: Rate,
    gpus: Vec<GpuOffer>,
    step: u32,
) -> Result<Coin, Failure> {
    check_step(ctx, id.order, rate, step)?;
    make_room(ctx, id.order, rate)?;
    let deposit = Coin::new(order.denom.clone(), order.bid_deposit);
    bank::take(ctx, &id.provider, &deposit)?;
    let bid = Bid {
        state: BidState::Open,
        rate: Some(rate),
        deposit: order.bid_deposit,
        denom: order.denom.clone(),
        place: ctx.place(),
        gpus,
        commitment: None,
    };
    book::enter(ctx, id, &bid);
    Ok(deposit)
}

/// A full book takes a lower bid and puts out the highest, among equals the
/// last placed, with its deposit.
fn make_room(ctx: &mut Ctx<'_>, id: OrderId, rate: Rate) -> Result<(), MarketError> {
    let max = params(ctx).max_bids_per_order;
    if index::bid_count(ctx, id) < max {
        return Ok(());
    }
    let full = |hint: String| MarketError::BookFull { id, max, hint };
    let (highest, provider) = book::highest(ctx, id).ok_or_else(|| full(String::new()))?;
    if rate >= highest {
        return Err(full(format!("; a rate under {highest} takes the highest one's place")));
    }
    book::leave(ctx, id.lease(provider), Leaving::Evicted);
    Ok(())
}
