//! A chain on which nothing happens. The leases come by the view.

use async_trait::async_trait;
use stoa_client::keys::PublicKey;
use stoa_client::proto::audit::v1::SignedAttributes;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::deployment::v1::Deployment;
use stoa_client::proto::escrow::v1::Account;
use stoa_client::proto::market::v1::{Bid, Lease, Order};
use stoa_client::proto::provider::v1::{Provider, QueryProviderResponse};
use stoa_client::proto::types::v1::{BidId, DeploymentId, OrderId};
use stoa_client::{Error, Result};
use stoa_provider::chain::{ChainReads, Tip};

pub struct Still;

fn unreachable<T>() -> Result<T> {
    Err(Error::Unreachable { what: "node".into(), cause: "there is none".into() })
}

#[async_trait]
impl ChainReads for Still {
    async fn tip(&self) -> Result<Tip> {
        unreachable()
    }

    async fn open_orders(&self) -> Result<Vec<Order>> {
        unreachable()
    }

    async fn order(&self, _id: &OrderId) -> Result<Order> {
        unreachable()
    }

    async fn own_bids(&self) -> Result<Vec<Bid>> {
        unreachable()
    }

    async fn own_leases(&self) -> Result<Vec<Lease>> {
        unreachable()
    }

    async fn leases_of(&self, _id: &DeploymentId) -> Result<Vec<Lease>> {
        self.own_leases().await
    }

    async fn other_provider(&self, address: &str) -> Result<Provider> {
        Err(Error::NotFound(format!("provider {address}")))
    }

    async fn lease(&self, _id: &BidId) -> Result<Lease> {
        unreachable()
    }

    async fn escrow(&self, _: &DeploymentId) -> Result<Account> {
        unreachable()
    }

    async fn balances(&self) -> Result<Vec<Coin>> {
        unreachable()
    }

    async fn deployment(&self, _id: &DeploymentId) -> Result<Deployment> {
        unreachable()
    }

    async fn is_valid_certificate(&self, _owner: &str, _der: &[u8]) -> Result<bool> {
        unreachable()
    }

    async fn account_key(&self, _address: &str) -> Result<Option<PublicKey>> {
        unreachable()
    }

    async fn provider(&self) -> Result<QueryProviderResponse> {
        unreachable()
    }

    async fn audits(&self) -> Result<Vec<SignedAttributes>> {
        unreachable()
    }
}
