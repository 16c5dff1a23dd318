//! The reads on real nodes.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use stoa_client::keys::PublicKey;
use stoa_client::proto::audit::v1::SignedAttributes;
use stoa_client::proto::deployment::v1::Deployment;
use stoa_client::proto::market::v1::{Bid, BidState, Lease, Order, OrderState};
use stoa_client::proto::provider::v1::QueryProviderResponse;
use stoa_client::proto::types::v1::{BidId, DeploymentId, OrderId};
use stoa_client::query::{BidsOf, LeaseFilter, QueryClient};
use stoa_client::rpc::RpcClient;
use stoa_client::{Chain, Config, Error, Result};

use super::reads::{ChainReads, Tip};

/// A chain as its nodes tell it.
#[derive(Debug)]
pub struct LiveChain {
    /// The same chain, each with another endpoint first: a node that answers
    /// and stands still would be asked for ever otherwise.
    chains: Vec<Chain>,
    current: AtomicUsize,
    provider: String,
}

impl LiveChain {
    /// Asks the endpoints of a configuration about a chain that one of them
    /// was found to be of.
    pub fn new(config: &Config, chain: &Chain, provider: &str) -> Result<Self> {
        let turned = |list: &[String], by: usize| {
            let mut list = list.to_vec();
            let length = list.len().max(1);
            list.rotate_left(by % length);
            list
        };
        let turns = config.rpc.len().max(config.grpc.len()).max(1);
        let chains = (0..turns).map(|by| {
            let rpc = RpcClient::new(&turned(&config.rpc, by))?;
            let query = QueryClient::new(&turned(&config.grpc, by))?;
            Ok(Chain::new(chain.chain_id().into(), rpc, query, chain.gas_price().clone()))
        });
        let chains = chains.collect::<Result<_>>()?;
        Ok(Self { chains, current: AtomicUsize::new(0), provider: provider.into() })
    }

    fn chain(&self) -> &Chain {
        let index = self.current.load(Ordering::Relaxed) % self.chains.len();
        &self.chains[index]
    }
}

#[async_trait]
impl ChainReads for LiveChain {
    fn use_next_endpoints(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    async fn tip(&self) -> Result<Tip> {
        let status = self.chain().rpc().status().await?;
        if status.chain_id != self.chain().chain_id() {
            return Err(Error::BadAnswer(format!(
                "a node is of chain `{}`, not `{}`",
                status.chain_id,
                self.chain().chain_id()
            )));
        }
        Ok(Tip {
            height: status.latest_height,
            time: status.latest_time,
            catching_up: status.catching_up,
        })
    }

    async fn open_orders(&self) -> Result<Vec<Order>> {
        self.chain().query().orders("", 0, OrderState::Open).await
    }

    async fn order(&self, id: &OrderId) -> Result<Order> {
        self.chain().query().order(id).await
    }

    async fn own_bids(&self) -> Result<Vec<Bid>> {
        let of = BidsOf::Provider(self.provider.clone());
        self.chain().query().bids(&of, BidState::Unspecified).await
    }

    async fn own_leases(&self) -> Result<Vec<Lease>> {
        let filter =
            LeaseFilter { provider: self.provider.clone(), live: true, ..Default::default() };
        self.chain().query().leases(&filter).await
    }

    async fn lease(&self, id: &BidId) -> Result<Lease> {
        self.chain().query().lease(id).await
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<Deployment> {
        let answer = self.chain().query().deployment(id).await?;
        let empty = || Error::BadAnswer(format!("deployment {}/{} is empty", id.owner, id.dseq));
        answer.deployment.ok_or_else(empty)
    }

    async fn is_valid_certificate(&self, owner: &str, der: &[u8]) -> Result<bool> {
        self.chain().query().is_valid_certificate(owner, der).await
    }

    async fn account_key(&self, address: &str) -> Result<Option<PublicKey>> {
        self.chain().query().account_key(address).await
    }

    async fn provider(&self) -> Result<QueryProviderResponse> {
        self.chain().query().provider(&self.provider).await
    }

    async fn audits(&self) -> Result<Vec<SignedAttributes>> {
        self.chain().query().audits(&self.provider, "").await
    }
}
