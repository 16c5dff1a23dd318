//! Sealed bids: committed in the window, revealed after it.

use sha2::{Digest, Sha256};
use stoa_proto::market::v1 as pb;

use super::{biddable, check_rate, gpus_from, open_order, rate_from};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::event;
use crate::modules::bank;
use crate::modules::market::{
    bid, book, eligibility, index, params, Bid, BidState, GpuOffer, MarketError,
};
use crate::tx::Message;
use crate::types::{Address, Coin, Denom, Hash, LeaseId, OrderId, Rate};

/// Bytes of a salt.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// SHA-256("stoa/bid/1" ‖ order id ‖ provider ‖ rate ‖ salt): order id and
/// provider as text, the rate as the decimal integer of 10^-18 units, each
/// preceded by its length in one byte (all are under 256 bytes); then the raw
/// salt, whose length nothing follows to confuse.
pub fn commitment(id: LeaseId, rate: Rate, salt: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"stoa/bid/1");
    for text in [id.order.to_string(), id.provider.to_string(), rate.raw().to_string()] {
        hasher.update([u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        hasher.update(text);
    }
    hasher.update(salt);
    Hash::new(hasher.finalize().into())
}

/// Commits to a bid on a sealed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitBid {
    id: LeaseId,
    commitment: Hash,
    gpus: Vec<GpuOffer>,
}

impl TryFrom<pb::MsgCommitBid> for CommitBid {
    type Error = Failure;

    fn try_from(msg: pb::MsgCommitBid) -> Result<Self, Failure> {
        Ok(Self {
            id: OrderId::try_from(msg.order)?.lease(msg.provider.parse()?),
            commitment: Hash::from_field("commitment", &msg.commitment)?,
            gpus: gpus_from(msg.gpus)?,
        })
    }
}

impl Message for CommitBid {
    type Proto = pb::MsgCommitBid;
    type Response = pb::MsgCommitBidResponse;

    fn signer(&self) -> Address {
        self.id.provider
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { id, commitment, gpus } = self;
        let (order, group) = biddable(ctx, id.order)?;
        if !order.sealed {
            return Err(MarketError::NotSealed(id.order).into());
        }
        eligibility::check(ctx, id, &order, &group.spec, &gpus)?;
        if bid(ctx, id).is_some() {
            return Err(MarketError::AlreadyCommitted(id).into());
        }
        // Rates are unknown, so a full sealed book takes no more.
        let max = params(ctx).max_bids_per_order;
        if index::bid_count(ctx, id.order) >= max {
            return Err(MarketError::BookFull { id: id.order, max, hint: String::new() }.into());
        }
        let deposit = Coin::new(order.denom.clone(), order.bid_deposit);
        bank::take(ctx, &id.provider, &deposit)?;
        let bid = Bid {
            state: BidState::Open,
            rate: None,
            deposit: order.bid_deposit,
            denom: order.denom,
            place: ctx.place(),
            gpus,
            commitment: Some(commitment),
        };
        book::enter(ctx, id, &bid);
        ctx.emit(event!(pb::EventBidPlaced {
            order: id.order,
            provider: id.provider,
            rate: "sealed"
        }));
        Ok(pb::MsgCommitBidResponse { deposit: Some(deposit.into()) })
    }
}

/// Opens a commitment in the reveal window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevealBid {
    id: LeaseId,
    denom: Denom,
    rate: Rate,
    salt: Vec<u8>,
}

impl TryFrom<pb::MsgRevealBid> for RevealBid {
    type Error = Failure;

    fn try_from(msg: pb::MsgRevealBid) -> Result<Self, Failure> {
        let (denom, rate) = rate_from(msg.rate)?;
        if !SALT_BYTES.contains(&msg.salt.len()) {
            let text = format!("the salt has {} bytes; 16 to 64 are allowed", msg.salt.len());
            return Err(SdkError::InvalidRequest(text).into());
        }
        let id = OrderId::try_from(msg.order)?.lease(msg.provider.parse()?);
        Ok(Self { id, denom, rate, salt: msg.salt })
    }
}

impl Message for RevealBid {
    type Proto = pb::MsgRevealBid;
    type Response = pb::MsgRevealBidResponse;

    fn signer(&self) -> Address {
        self.id.provider
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { id, denom, rate, salt } = self;
        let order = open_order(ctx, id.order)?;
        if !order.sealed {
            return Err(MarketError::NotSealed(id.order).into());
        }
        let (from, until, now) = (order.closes_at, order.match_at, ctx.now());
        if now < from || now >= until {
            return Err(MarketError::NotRevealing { id: id.order, from, until, now }.into());
        }
        let own = bid(ctx, id).ok_or(MarketError::BidNotFound(id))?;
        if own.rate.is_some() {
            return Err(MarketError::AlreadyRevealed(id).into());
        }
        if own.commitment != Some(commitment(id, rate, &salt)) {
            return Err(MarketError::WrongReveal(id).into());
        }
        check_rate(&order, &denom, rate)?;
        let new = Bid { rate: Some(rate), ..own.clone() };
        book::change(ctx, id, &own, &new);
        ctx.emit(event!(pb::EventBidPlaced {
            order: id.order,
            provider: id.provider,
            rate: format!("{rate}{denom}")
        }));
        Ok(pb::MsgRevealBidResponse {})
    }
}
