//! The reads themselves, as a trait: the daemon's parts are tested on a chain
//! that is a few maps.

use async_trait::async_trait;
use stoa_client::keys::PublicKey;
use stoa_client::proto::audit::v1::SignedAttributes;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::deployment::v1::Deployment;
use stoa_client::proto::escrow::v1::Account;
use stoa_client::proto::market::v1::{Bid, Lease, Order};
use stoa_client::proto::provider::v1::{Provider, QueryProviderResponse};
use stoa_client::proto::types::v1::{BidId, DeploymentId, OrderId};
use stoa_client::Result;

/// The newest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    pub height: u64,
    /// Unix seconds: the market's clock.
    pub time: u64,
    /// The node itself is behind: what it says is old.
    pub catching_up: bool,
}

/// What one provider's daemon asks of the chain.
#[async_trait]
pub trait ChainReads: Send + Sync {
    /// The endpoints in use are no good: those next in line are asked from
    /// now on.
    fn use_next_endpoints(&self) {}

    async fn tip(&self) -> Result<Tip>;
    /// Orders that take bids, by closing time.
    async fn open_orders(&self) -> Result<Vec<Order>>;
    async fn order(&self, id: &OrderId) -> Result<Order>;
    /// The provider's own bids that stand: open or won.
    async fn own_bids(&self) -> Result<Vec<Bid>>;
    /// The provider's live leases: PENDING, ACTIVE or RECLAIMING.
    async fn own_leases(&self) -> Result<Vec<Lease>>;
    /// The live leases of a deployment, at whichever providers.
    async fn leases_of(&self, id: &DeploymentId) -> Result<Vec<Lease>>;
    /// All leases of a deployment, closed ones too.
    async fn all_leases_of(&self, id: &DeploymentId) -> Result<Vec<Lease>> {
        self.leases_of(id).await
    }
    async fn lease(&self, id: &BidId) -> Result<Lease>;
    /// The same, by the word of every endpoint that is configured: where they
    /// disagree nothing is known. To be asked before anything is taken away.
    async fn lease_agreed(&self, id: &BidId) -> Result<Lease> {
        self.lease(id).await
    }
    /// A deployment's money.
    async fn escrow(&self, id: &DeploymentId) -> Result<Account>;
    /// All that the provider's account holds.
    async fn balances(&self) -> Result<Vec<Coin>>;
    async fn deployment(&self, id: &DeploymentId) -> Result<Deployment>;
    /// Whether exactly this certificate is a valid one of the owner's.
    async fn is_valid_certificate(&self, owner: &str, der: &[u8]) -> Result<bool>;
    /// The public key of an account; none before its first transaction.
    async fn account_key(&self, address: &str) -> Result<Option<PublicKey>>;
    /// The provider's own record.
    async fn provider(&self) -> Result<QueryProviderResponse>;
    /// Another provider's record.
    async fn other_provider(&self, address: &str) -> Result<Provider>;
    /// What auditors say of the provider.
    async fn audits(&self) -> Result<Vec<SignedAttributes>>;
}
