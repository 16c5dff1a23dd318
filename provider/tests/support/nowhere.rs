//! A chain that nobody can observe.

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

pub struct Nowhere;

fn unseen<T>() -> Result<T> {
    Err(Error::Unreachable { what: "node".into(), cause: "there is none".into() })
}

#[async_trait]
impl ChainReads for Nowhere {
    async fn tip(&self) -> Result<Tip> {
        unseen()
    }
    async fn open_orders(&self) -> Result<Vec<Order>> {
        unseen()
    }
    async fn order(&self, _: &OrderId) -> Result<Order> {
        unseen()
    }
    async fn own_bids(&self) -> Result<Vec<Bid>> {
        unseen()
    }
    async fn own_leases(&self) -> Result<Vec<Lease>> {
        unseen()
    }
    async fn leases_of(&self, _: &DeploymentId) -> Result<Vec<Lease>> {
        unseen()
    }
    async fn lease(&self, _: &BidId) -> Result<Lease> {
        unseen()
    }
    async fn escrow(&self, _: &DeploymentId) -> Result<Account> {
        unseen()
    }
    async fn balances(&self) -> Result<Vec<Coin>> {
        unseen()
    }
    async fn deployment(&self, _: &DeploymentId) -> Result<Deployment> {
        unseen()
    }
    async fn is_valid_certificate(&self, _: &str, _: &[u8]) -> Result<bool> {
        unseen()
    }
    async fn account_key(&self, _: &str) -> Result<Option<PublicKey>> {
        unseen()
    }
    async fn provider(&self) -> Result<QueryProviderResponse> {
        unseen()
    }
    async fn other_provider(&self, _: &str) -> Result<Provider> {
        unseen()
    }
    async fn audits(&self) -> Result<Vec<SignedAttributes>> {
        unseen()
    }
}
