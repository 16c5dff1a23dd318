//! Orders, bids, leases, counters.

use stoa_proto::{
    market::v1::{
        query_client::QueryClient as Client, Bid, BidState, Counters, Lease, LeaseState, Order,
        OrderState, Params, QueryBidRequest, QueryBidsRequest, QueryCountersRequest,
        QueryLeaseRequest, QueryLeasesRequest, QueryOrderRequest, QueryOrdersRequest,
        QueryParamsRequest,
    },
    types::v1::{BidId, OrderId},
};

use super::{
    endpoints::{QueryClient, MAX_ANSWER},
    pages,
};
use crate::{ids::TextId, Error, Result};

/// Whose bids.
#[derive(Clone, Debug)]
pub enum BidsOf {
    /// One order's, best first.
    Order(OrderId),
    /// One provider's.
    Provider(String),
}

/// Which leases; the default is all.
#[derive(Clone, Debug, Default)]
pub struct LeaseFilter {
    /// Empty: any.
    pub owner: String,
    /// 0: any.
    pub dseq: u64,
    /// Empty: any.
    pub provider: String,
    /// None: any.
    pub state: Option<LeaseState>,
    /// Only PENDING, ACTIVE or RECLAIMING ones.
    pub live: bool,
}

impl QueryClient {
    /// One order.
    pub async fn order(&self, id: &OrderId) -> Result<Order> {
        let query = QueryOrderRequest { id: Some(id.clone()) };
        let answer = self
            .ask(query, |channel, query| async move { Client::new(channel).order(query).await })
            .await?;
        answer.order.ok_or_else(|| Error::NotFound(format!("there is no order {}", id.text())))
    }

    /// Orders; empty owner, dseq 0 and UNSPECIFIED are any.
    pub async fn orders(&self, owner: &str, dseq: u64, state: OrderState) -> Result<Vec<Order>> {
        pages::all(|page| async move {
            let query = QueryOrdersRequest {
                owner: owner.into(),
                dseq,
                state: state.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Client::new(channel).max_decoding_message_size(MAX_ANSWER).orders(query).await
                })
                .await?;
            Ok((answer.orders, answer.pagination))
        })
        .await
    }

    /// One bid.
    pub async fn bid(&self, id: &BidId) -> Result<Bid> {
        let query = QueryBidRequest { id: Some(id.clone()) };
        let answer = self
            .ask(query, |channel, query| async move { Client::new(channel).bid(query).await })
            .await?;
        answer.bid.ok_or_else(|| Error::NotFound(format!("there is no bid {}", id.text())))
    }

    /// Bids; UNSPECIFIED is any state.
    pub async fn bids(&self, of: &BidsOf, state: BidState) -> Result<Vec<Bid>> {
        let (order, provider) = match of {
            BidsOf::Order(order) => (Some(order), ""),
            BidsOf::Provider(provider) => (None, provider.as_str()),
        };
        pages::all(|page| async move {
            let query = QueryBidsRequest {
                order: order.cloned(),
                provider: provider.into(),
                state: state.into(),
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Client::new(channel).max_decoding_message_size(MAX_ANSWER).bids(query).await
                })
                .await?;
            Ok((answer.bids, answer.pagination))
        })
        .await
    }

    /// One lease.
    pub async fn lease(&self, id: &BidId) -> Result<Lease> {
        let query = QueryLeaseRequest { id: Some(id.clone()) };
        let answer = self
            .ask(query, |channel, query| async move { Client::new(channel).lease(query).await })
            .await?;
        answer.lease.ok_or_else(|| Error::NotFound(format!("there is no lease {}", id.text())))
    }

    /// One lease, and the height at which it was so.
    pub async fn lease_at(&self, id: &BidId) -> Result<(u64, Lease)> {
        let query = QueryLeaseRequest { id: Some(id.clone()) };
        let ask = |channel, query| async move { Client::new(channel).lease(query).await };
        let (height, answer) = self.ask_at(query, ask).await?;
        let missing = || Error::NotFound(format!("there is no lease {}", id.text()));
        Ok((height, answer.lease.ok_or_else(missing)?))
    }

    /// Leases.
    pub async fn leases(&self, filter: &LeaseFilter) -> Result<Vec<Lease>> {
        pages::all(|page| async move {
            let query = QueryLeasesRequest {
                owner: filter.owner.clone(),
                dseq: filter.dseq,
                provider: filter.provider.clone(),
                state: filter.state.unwrap_or(LeaseState::Unspecified).into(),
                live: filter.live,
                pagination: Some(page),
            };
            let answer = self
                .ask(query, |channel, query| async move {
                    Client::new(channel).max_decoding_message_size(MAX_ANSWER).leases(query).await
                })
                .await?;
            Ok((answer.leases, answer.pagination))
        })
        .await
    }

    /// What stays of an account's history, as provider or as tenant.
    pub async fn counters(&self, address: &str, provider: bool) -> Result<Counters> {
        let query = QueryCountersRequest { address: address.into(), provider };
        let answer = self
            .ask(query, |channel, query| async move { Client::new(channel).counters(query).await })
            .await?;
        Ok(answer
            .counters
            .unwrap_or_else(|| Counters { address: address.into(), ..Counters::default() }))
    }

    /// The same, and the height at which it was so.
    pub async fn counters_at(&self, address: &str, provider: bool) -> Result<(u64, Counters)> {
        let query = QueryCountersRequest { address: address.into(), provider };
        let ask = |channel, query| async move { Client::new(channel).counters(query).await };
        let (height, answer) = self.ask_at(query, ask).await?;
        Ok((height, answer.counters.unwrap_or_default()))
    }

    /// The market's parameters.
    pub async fn market_params(&self) -> Result<Params> {
        let answer = self
            .ask(QueryParamsRequest {}, |channel, query| async move {
                Client::new(channel).params(query).await
            })
            .await?;
        answer.params.ok_or_else(|| Error::BadAnswer("the market parameters are empty".into()))
    }
}
