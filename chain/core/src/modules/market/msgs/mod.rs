//! Transactions of providers on bids, and of both sides on leases.

mod close;
mod create_bid;
mod sealed;
mod start_lease;
mod withdraw_bid;
mod withdraw_lease;

pub use close::{CloseBid, CloseLease};
pub use create_bid::CreateBid;
pub use sealed::{commitment, CommitBid, RevealBid};
pub use start_lease::StartLease;
pub use withdraw_bid::WithdrawBid;
pub use withdraw_lease::WithdrawLease;

use super::{order, GpuOffer, MarketError, Order, OrderState};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::modules::deployment::{self, DeploymentError, Group};
use crate::types::{bounded, Address, Denom, LeaseId, OrderId, Rate};
use cosmos_sdk_proto::cosmos::base::v1beta1::DecCoin;
use stoa_proto::market::v1 as pb;

/// Most GPU offers of one bid, whatever the order asks for.
const MAX_OFFERS: usize = 64;

fn rate_from(coin: Option<DecCoin>) -> Result<(Denom, Rate), SdkError> {
    let missing = || SdkError::InvalidRequest("the rate is missing".to_owned());
    Rate::from_dec_coin(coin.ok_or_else(missing)?)
}

fn gpus_from(offers: Vec<pb::GpuOffer>) -> Result<Vec<GpuOffer>, SdkError> {
    if offers.len() > MAX_OFFERS {
        let text = format!("{} GPU offers; at most {MAX_OFFERS} are allowed", offers.len());
        return Err(SdkError::InvalidRequest(text));
    }
    let parse = |offer: pb::GpuOffer| {
        let max = deployment::spec::MAX_NAME_BYTES;
        Ok(GpuOffer { unit: offer.unit, model: bounded("a GPU's model", offer.model, max)? })
    };
    offers.into_iter().map(parse).collect()
}

/// The order and its group, where bids on it are still taken.
fn biddable(ctx: &Ctx<'_>, id: OrderId) -> Result<(Order, Group), Failure> {
    let order = open_order(ctx, id)?;
    if ctx.now() >= order.closes_at {
        let (closes_at, now) = (order.closes_at, ctx.now());
        return Err(MarketError::WindowOver { id, closes_at, now }.into());
    }
    let group = deployment::group(ctx, id.group);
    let group = group.ok_or(DeploymentError::GroupNotFound(id.group))?;
    Ok((order, group))
}

fn open_order(ctx: &Ctx<'_>, id: OrderId) -> Result<Order, MarketError> {
    let order = order(ctx, id).ok_or(MarketError::OrderNotFound(id))?;
    if order.state != OrderState::Open {
        return Err(MarketError::OrderEnded { id, state: order.state.name() });
    }
    Ok(order)
}

/// A rate that may be bid on the order.
fn check_rate(order: &Order, denom: &Denom, rate: Rate) -> Result<(), MarketError> {
    if *denom != order.denom {
        let (given, denom) = (denom.clone(), order.denom.clone());
        return Err(MarketError::OtherDenom { given, denom });
    }
    let (max, denom) = (order.max_rate, order.denom.clone());
    if rate.is_zero() {
        return Err(MarketError::RateZero { max, denom });
    }
    if rate > max {
        return Err(MarketError::RateOverMax { rate, max, denom });
    }
    Ok(())
}

/// Whether `signer` is the lease's provider.
fn check_provider(lease: LeaseId, signer: Address) -> Result<(), MarketError> {
    if lease.provider == signer {
        Ok(())
    } else {
        Err(MarketError::NotParty { lease, signer })
    }
}
