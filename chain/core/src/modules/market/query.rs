//! Queries about orders, bids and leases.

use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use stoa_proto::deployment::v1::Auction;
use stoa_proto::market::v1 as pb;

use super::counters::{self, Role};
use super::{
    bid, index, keys, lease, order, params, Bid, BidState, CloseReason, GpuOffer, Lease,
    LeaseState, MarketError, Order, OrderState,
};
use crate::ctx::{Ctx, Place};
use crate::error::Failure;
use crate::modules::{deployment, escrow};
use crate::page;
use crate::query::Router;
use crate::state::encode;
use crate::types::{Address, Coin, DeploymentId, LeaseId, OrderId, Rate};
use stoa_proto::types::v1 as types_pb;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/stoa.market.v1.Query/Order", query_order);
    router.mount("/stoa.market.v1.Query/Orders", query_orders);
    router.mount("/stoa.market.v1.Query/Bid", query_bid);
    router.mount("/stoa.market.v1.Query/Bids", query_bids);
    router.mount("/stoa.market.v1.Query/Lease", query_lease);
    router.mount("/stoa.market.v1.Query/Leases", query_leases);
    router.mount("/stoa.market.v1.Query/Counters", query_counters);
    router.mount("/stoa.market.v1.Query/Params", query_params);
}

fn order_state(state: OrderState) -> pb::OrderState {
    match state {
        OrderState::Open => pb::OrderState::Open,
        OrderState::Matched => pb::OrderState::Matched,
        OrderState::Unmatched => pb::OrderState::Unmatched,
        OrderState::Cancelled => pb::OrderState::Cancelled,
    }
}

fn bid_state(state: BidState) -> pb::BidState {
    match state {
        BidState::Open => pb::BidState::Open,
        BidState::Won => pb::BidState::Won,
    }
}

fn lease_state(state: LeaseState) -> pb::LeaseState {
    match state {
        LeaseState::Pending => pb::LeaseState::Pending,
        LeaseState::Active => pb::LeaseState::Active,
        LeaseState::Reclaiming => pb::LeaseState::Reclaiming,
        LeaseState::Closed => pb::LeaseState::Closed,
    }
}

fn close_reason(reason: CloseReason) -> pb::CloseReason {
    match reason {
        CloseReason::ByTenant => pb::CloseReason::ByTenant,
        CloseReason::ByProvider => pb::CloseReason::ByProvider,
        CloseReason::NotStarted => pb::CloseReason::NotStarted,
        CloseReason::Expired => pb::CloseReason::Expired,
        CloseReason::DeploymentClosed => pb::CloseReason::DeploymentClosed,
        CloseReason::Paused => pb::CloseReason::Paused,
        CloseReason::FundsExhausted => pb::CloseReason::FundsExhausted,
        CloseReason::ProviderJailed => pb::CloseReason::ProviderJailed,
    }
}

fn order_to_proto(ctx: &Ctx<'_>, id: OrderId, order: &Order) -> pb::Order {
    let denom = &order.denom;
    let spec = deployment::group(ctx, id.group).map(|group| group.spec.to_proto(denom));
    let auction = if order.second_price { Auction::SecondPrice } else { Auction::FirstPrice };
    pb::Order {
        id: Some(id.into()),
        state: order_state(order.state).into(),
        spec,
        max_rate: Some(order.max_rate.to_dec_coin(denom)),
        opened_at: order.opened_at,
        closes_at: order.closes_at,
        match_at: order.match_at,
        auction: auction.into(),
        sealed: order.sealed,
        bid_deposit: Some(Coin::new(denom.clone(), order.bid_deposit).into()),
        bids: index::bid_count(ctx, id),
        excluded_providers: order.excluded.iter().map(ToString::to_string).collect(),
        unmatched_reason: match order.state {
            OrderState::Unmatched => order.reason.clone(),
            _ => String::new(),
        },
    }
}

fn gpus_to_proto(gpus: &[GpuOffer]) -> Vec<pb::GpuOffer> {
    let offer = |gpu: &GpuOffer| pb::GpuOffer { unit: gpu.unit, model: gpu.model.clone() };
    gpus.iter().map(offer).collect()
}

fn bid_to_proto(id: LeaseId, bid: &Bid) -> pb::Bid {
    pb::Bid {
        id: Some(id.into()),
        state: bid_state(bid.state).into(),
        rate: Some(bid.rate.unwrap_or(Rate::ZERO).to_dec_coin(&bid.denom)),
        deposit: Some(Coin::new(bid.denom.clone(), bid.deposit).into()),
        placed_height: bid.place.height,
        placed_tx: bid.place.tx,
        placed_msg: bid.place.msg,
        gpus: gpus_to_proto(&bid.gpus),
        commitment: bid.commitment.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default(),
        revealed: bid.commitment.is_some() && bid.rate.is_some(),
    }
}

fn lease_to_proto(ctx: &Ctx<'_>, id: LeaseId, lease: &Lease) -> pb::Lease {
    let denom = &lease.denom;
    let coin = |amount| Some(Coin::new(denom.clone(), amount).into());
    let account = escrow::get(ctx, id.deployment());
    let accrued = account.and_then(|mut account| account.lease_mut(&id).map(|paid| paid.accrued));
    pb::Lease {
        id: Some(id.into()),
        state: lease_state(lease.state).into(),
        rate: Some(lease.rate.to_dec_coin(denom)),
        cost_rate: Some(lease.cost_rate.to_dec_coin(denom)),
        provider_rate: Some(lease.provider_rate.to_dec_coin(denom)),
        bid_deposit: coin(lease.bid_deposit),
        matched_at: lease.matched_at,
        start_deadline: lease.start_deadline,
        started_at: lease.started_at,
        reclaimed_at: lease.reclaimed_at,
        expires_at: lease.expires_at,
        closed_at: lease.closed_at,
        reason: lease.reason.map_or(pb::CloseReason::Unspecified, close_reason).into(),
        withdrawn: coin(lease.withdrawn),
        accrued: Some(accrued.unwrap_or_default().to_dec_coin(denom)),
        gpus: gpus_to_proto(&lease.gpus),
    }
}

fn query_order(
    ctx: &Ctx<'_>,
    request: pb::QueryOrderRequest,
) -> Result<pb::QueryOrderResponse, Failure> {
    let id: OrderId = request.id.try_into()?;
    let order = order(ctx, id).ok_or(MarketError::OrderNotFound(id))?;
    Ok(pb::QueryOrderResponse { order: Some(order_to_proto(ctx, id, &order)) })
}

fn query_orders(
    ctx: &Ctx<'_>,
    request: pb::QueryOrdersRequest,
) -> Result<pb::QueryOrdersResponse, Failure> {
    let open = i32::from(pb::OrderState::Open);
    let (orders, pagination) = if request.owner.is_empty() && request.state == open {
        page::collect(ctx, &keys::open_orders(), request.pagination, |key, _| {
            let id = keys::open_order_id(key)?;
            Some(order_to_proto(ctx, id, &order(ctx, id)?))
        })?
    } else {
        let prefix = match (request.owner.as_str(), request.dseq) {
            ("", _) => keys::orders(),
            (owner, 0) => keys::orders_of(&owner.parse()?),
            (owner, dseq) => keys::orders_in(deployment_id(owner, dseq)?),
        };
        let wanted = request.state;
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            let order: Order = crate::state::decode(key, value);
            let state = i32::from(order_state(order.state));
            (wanted == 0 || wanted == state)
                .then(|| Some(order_to_proto(ctx, keys::order_id(key)?, &order)))
                .flatten()
        })?
    };
    Ok(pb::QueryOrdersResponse { orders, pagination: Some(pagination) })
}

fn deployment_id(owner: &str, dseq: u64) -> Result<DeploymentId, Failure> {
    Ok(types_pb::DeploymentId { owner: owner.to_owned(), dseq }.try_into()?)
}

fn query_bid(ctx: &Ctx<'_>, request: pb::QueryBidRequest) -> Result<pb::QueryBidResponse, Failure> {
    let id: LeaseId = request.id.try_into()?;
    let bid = bid(ctx, id).ok_or(MarketError::BidNotFound(id))?;
    Ok(pb::QueryBidResponse { bid: Some(bid_to_proto(id, &bid)) })
}

fn query_bids(
    ctx: &Ctx<'_>,
    request: pb::QueryBidsRequest,
) -> Result<pb::QueryBidsResponse, Failure> {
    let wanted = request.state;
    let is_wanted = |bid: &Bid| wanted == 0 || wanted == i32::from(bid_state(bid.state));
    let (bids, pagination) = match request.order {
        Some(id) => bids_of_order(ctx, id.try_into()?, request.pagination, is_wanted)?,
        None if request.provider.is_empty() => {
            page::collect(ctx, &keys::bids(), request.pagination, |key, value| {
                let bid: Bid = crate::state::decode(key, value);
                is_wanted(&bid).then(|| Some(bid_to_proto(keys::bid_id(key)?, &bid))).flatten()
            })?
        }
        None => {
            let provider: Address = request.provider.parse()?;
            let prefix = keys::open_bids_of(&provider);
            page::collect(ctx, &prefix, request.pagination, |key, _| {
                let id = keys::open_bid_order(key)?.lease(provider);
                let found = bid(ctx, id).filter(is_wanted)?;
                Some(bid_to_proto(id, &found))
            })?
        }
    };
    Ok(pb::QueryBidsResponse { bids, pagination: Some(pagination) })
}

/// An order's bids, best first; those without a rate come last. An order has
/// few enough for one page.
fn bids_of_order(
    ctx: &Ctx<'_>,
    order: OrderId,
    request: Option<PageRequest>,
    is_wanted: impl Fn(&Bid) -> bool,
) -> Result<(Vec<pb::Bid>, cosmos_sdk_proto::cosmos::base::query::v1beta1::PageResponse), Failure> {
    let request = PageRequest { limit: page::MAX_LIMIT, ..request.unwrap_or_default() };
    let item = |key: &[u8], value: &[u8]| {
        let bid: Bid = crate::state::decode(key, value);
        let id = keys::bid_id(key)?;
        is_wanted(&bid).then_some((bid.rate.is_none(), bid.rate, bid.place, id, bid))
    };
    let size = |(.., bid): &(bool, Option<Rate>, Place, LeaseId, Bid)| encode(bid).len();
    let (mut bids, pagination) =
        page::collect_sized(ctx, &keys::bids_on(order), Some(request), item, size)?;
    bids.sort_by_key(|bid| (bid.0, bid.1, bid.2));
    let bids = bids.into_iter().map(|(_, _, _, id, bid)| bid_to_proto(id, &bid)).collect();
    Ok((bids, pagination))
}

fn query_lease(
    ctx: &Ctx<'_>,
    request: pb::QueryLeaseRequest,
) -> Result<pb::QueryLeaseResponse, Failure> {
    let id: LeaseId = request.id.try_into()?;
    let lease = lease(ctx, id).ok_or(MarketError::LeaseNotFound(id))?;
    Ok(pb::QueryLeaseResponse { lease: Some(lease_to_proto(ctx, id, &lease)) })
}

fn query_leases(
    ctx: &Ctx<'_>,
    request: pb::QueryLeasesRequest,
) -> Result<pb::QueryLeasesResponse, Failure> {
    let (wanted, live) = (request.state, request.live);
    let show = |id: LeaseId, lease: &Lease| {
        let state = wanted == 0 || wanted == i32::from(lease_state(lease.state));
        (state && (!live || lease.is_live())).then(|| lease_to_proto(ctx, id, lease))
    };
    let (leases, pagination) = if request.provider.is_empty() {
        let prefix = match (request.owner.as_str(), request.dseq) {
            ("", _) => keys::leases(),
            (owner, 0) => keys::leases_of(&owner.parse()?),
            (owner, dseq) => keys::leases_in(deployment_id(owner, dseq)?),
        };
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            show(keys::lease_id(key)?, &crate::state::decode(key, value))
        })?
    } else {
        let provider: Address = request.provider.parse()?;
        let prefix = if live {
            keys::live_leases_of(&provider)
        } else {
            keys::provider_leases_of(&provider)
        };
        let owner = match request.owner.as_str() {
            "" => None,
            owner => Some(owner.parse::<Address>()?),
        };
        let dseq = request.dseq;
        page::collect(ctx, &prefix, request.pagination, |key, _| {
            let id = keys::lease_by_provider(key)?;
            let ours = owner.is_none_or(|owner| id.owner() == owner)
                && (dseq == 0 || id.deployment().dseq == dseq);
            if !ours {
                return None;
            }
            show(id, &lease(ctx, id)?)
        })?
    };
    Ok(pb::QueryLeasesResponse { leases, pagination: Some(pagination) })
}

fn query_counters(
    ctx: &Ctx<'_>,
    request: pb::QueryCountersRequest,
) -> Result<pb::QueryCountersResponse, Failure> {
    let address: Address = request.address.parse()?;
    let role = if request.provider { Role::Provider } else { Role::Tenant };
    let counters = counters::get(ctx, role, &address);
    let counters = pb::Counters {
        address: address.to_string(),
        leases_won: counters.won,
        leases_started: counters.started,
        leases_not_started: counters.not_started,
        closed_by_tenant: counters.closed_by_tenant,
        closed_by_provider: counters.closed_by_provider,
        closed_otherwise: counters.closed_otherwise,
        seconds_served: counters.seconds_served,
        amounts: counters.amounts.to_proto(),
    };
    Ok(pb::QueryCountersResponse { counters: Some(counters) })
}

fn query_params(
    ctx: &Ctx<'_>,
    _: pb::QueryParamsRequest,
) -> Result<pb::QueryParamsResponse, Failure> {
    Ok(pb::QueryParamsResponse { params: Some(params(ctx).into()) })
}
