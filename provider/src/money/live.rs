//! The history as real nodes tell it.

use async_trait::async_trait;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::market::v1::{Lease, WatchMarketResponse};
use stoa_client::proto::types::v1::BidId;
use stoa_client::query::{LeaseFilter, MarketWatch};
use stoa_client::tx::{hash_of, Event};
use stoa_client::{Chain, Error, Result};

use super::history::{Follow, History};

/// The history as real nodes tell it.
pub struct LiveHistory {
    chain: Chain,
    provider: String,
}

impl LiveHistory {
    pub fn new(chain: Chain, provider: &str) -> Self {
        Self { chain, provider: provider.into() }
    }

    fn count(&self, events: &[Event]) -> usize {
        let paid = |event: &&Event| {
            event.name() == "EventLeasePaid" && event.get("provider") == Some(&self.provider)
        };
        events.iter().filter(paid).count()
    }
}

struct Watched(MarketWatch);

#[async_trait]
impl Follow for Watched {
    async fn next(&mut self) -> Result<WatchMarketResponse> {
        self.0.next().await
    }
}

#[async_trait]
impl History for LiveHistory {
    fn follow(&self, from: u64) -> Box<dyn Follow> {
        Box::new(Watched(self.chain.query().watch_market(from)))
    }

    async fn kept(&self) -> Result<(u64, u64)> {
        let status = self.chain.rpc().status().await?;
        Ok((status.latest_height, status.earliest_height))
    }

    async fn payers(&self, height: u64) -> Result<Vec<String>> {
        let gone = || Error::NotFound(format!("block {height} is not at the node"));
        let results = self.chain.rpc().block_results(height).await?.ok_or_else(gone)?;
        let transactions = self.chain.rpc().block_txs(height).await?.ok_or_else(gone)?;
        let mut payers = vec![];
        for (index, events) in results.transactions.iter().enumerate() {
            let paid = self.count(events);
            let hash = transactions.get(index).map(|bytes| hash_of(bytes)).unwrap_or_default();
            payers.extend(std::iter::repeat_n(hash, paid));
        }
        payers.extend(std::iter::repeat_n(String::new(), self.count(&results.block)));
        Ok(payers)
    }

    async fn leases(&self) -> Result<Vec<BidId>> {
        let filter = LeaseFilter { provider: self.provider.clone(), ..LeaseFilter::default() };
        let leases = self.chain.query().leases(&filter).await?;
        Ok(leases.into_iter().filter_map(|lease| lease.id).collect())
    }

    async fn lease_at(&self, id: &BidId) -> Result<Option<(u64, Lease)>> {
        match self.chain.query().lease_at(id).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn paid_at(&self) -> Result<(u64, Vec<Coin>)> {
        let (height, counters) = self.chain.query().counters_at(&self.provider, true).await?;
        Ok((height, counters.amounts))
    }
}
