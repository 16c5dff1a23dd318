//! What the bookkeeper asks of the chain, as traits: it is tested on a chain
//! that is a few lists.

use async_trait::async_trait;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::market::v1::{Lease, WatchMarketResponse};
use stoa_client::proto::types::v1::BidId;
use stoa_client::Result;

/// The market, block by block.
#[async_trait]
pub trait Follow: Send {
    /// The next block with events, or word of how far it is. Nothing is lost
    /// where this is dropped.
    ///
    /// # Errors
    /// It cannot go on from here: blocks are kept no more.
    async fn next(&mut self) -> Result<WatchMarketResponse>;
}

/// The chain's past and sums.
#[async_trait]
pub trait History: Send + Sync {
    /// The market from a height on.
    fn follow(&self, from: u64) -> Box<dyn Follow>;
    /// The newest height, and the first whose events are kept.
    async fn kept(&self) -> Result<(u64, u64)>;
    /// Of each payment to this provider in a block, in order, the transaction
    /// that it was in (upper-case hex; empty: the block's end paid).
    async fn payers(&self, height: u64) -> Result<Vec<String>>;
    /// The provider's leases that the chain still has.
    async fn leases(&self) -> Result<Vec<BidId>>;
    /// A lease, and at which height it was so. None: the chain has none.
    async fn lease_at(&self, id: &BidId) -> Result<Option<(u64, Lease)>>;
    /// All that the provider was ever paid, and at which height.
    async fn paid_at(&self) -> Result<(u64, Vec<Coin>)>;
}
