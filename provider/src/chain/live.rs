//! The reads on real nodes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use async_trait::async_trait;
use stoa_client::keys::PublicKey;
use stoa_client::proto::audit::v1::SignedAttributes;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::deployment::v1::Deployment;
use stoa_client::proto::escrow::v1::Account;
use stoa_client::proto::market::v1::{Bid, BidState, Lease, Order, OrderState};
use stoa_client::proto::provider::v1::{Provider, QueryProviderResponse};
use stoa_client::proto::types::v1::{BidId, DeploymentId, OrderId};
use stoa_client::query::{BidsOf, LeaseFilter, QueryClient};
use stoa_client::rpc::RpcClient;
use stoa_client::{Chain, Config, Error, Result};

use super::agree::{Agreement, BlockWitness, LeaseWitness, BETWEEN};
use super::reads::{ChainReads, Tip};

/// A chain as its nodes tell it.
pub struct LiveChain {
    /// The same chain, each with another endpoint first: a node that answers
    /// and stands still would be asked for ever otherwise.
    chains: Vec<Chain>,
    current: AtomicUsize,
    provider: String,
    agreement: Agreement,
}

/// How endpoints are held against each other.
#[derive(Debug, Clone, Copy)]
pub struct Trust {
    /// So many must answer, and agree.
    pub min_answers: usize,
    /// An endpoint so many blocks behind is not asked.
    pub max_lag: u64,
}

impl From<&crate::config::Chain> for Trust {
    fn from(chain: &crate::config::Chain) -> Self {
        Self { min_answers: chain.min_answers, max_lag: chain.max_lag_blocks }
    }
}

struct RpcWitness(String, RpcClient);

#[async_trait]
impl BlockWitness for RpcWitness {
    fn name(&self) -> String {
        self.0.clone()
    }

    async fn height(&self) -> Result<Option<(String, u64)>> {
        let status = self.1.status().await?;
        Ok((!status.catching_up).then_some((status.chain_id, status.latest_height)))
    }

    async fn header(&self, height: u64) -> Result<Option<String>> {
        let asked = serde_json::json!({ "height": height.to_string() });
        let answer: serde_json::Value = self.1.call("header", asked).await?;
        Ok(answer.get("header").filter(|header| !header.is_null()).map(ToString::to_string))
    }
}

/// The provider's address is for a query that any node answers.
struct GrpcWitness(String, QueryClient, String);

#[async_trait]
impl LeaseWitness for GrpcWitness {
    fn name(&self) -> String {
        self.0.clone()
    }

    async fn lease(&self, id: &BidId) -> Result<(u64, Option<Lease>)> {
        match self.1.lease_at(id).await {
            Ok((height, lease)) => Ok((height, Some(lease))),
            // An error has no height with it.
            Err(Error::NotFound(_)) => Ok((self.1.counters_at(&self.2, true).await?.0, None)),
            Err(error) => Err(error),
        }
    }
}

fn agreement(config: &Config, chain_id: &str, provider: &str, trust: Trust) -> Result<Agreement> {
    let blocks = config.rpc.iter().map(|one| {
        let client = RpcClient::new(std::slice::from_ref(one))?;
        Ok(Box::new(RpcWitness(one.clone(), client)) as Box<dyn BlockWitness>)
    });
    let leases = config.grpc.iter().map(|one| {
        let client = QueryClient::new(std::slice::from_ref(one))?;
        Ok(Box::new(GrpcWitness(one.clone(), client, provider.into())) as Box<dyn LeaseWitness>)
    });
    Ok(Agreement {
        chain_id: chain_id.into(),
        blocks: blocks.collect::<Result<_>>()?,
        leases: leases.collect::<Result<_>>()?,
        min_answers: trust.min_answers,
        max_lag: trust.max_lag,
        between: BETWEEN,
        state: Mutex::default(),
    })
}

impl LiveChain {
    /// Asks the endpoints of a configuration about a chain that one of them
    /// was found to be of.
    pub fn new(config: &Config, chain: &Chain, provider: &str, trust: Trust) -> Result<Self> {
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
        let agreement = agreement(config, chain.chain_id(), provider, trust)?;
        Ok(Self { chains, current: AtomicUsize::new(0), provider: provider.into(), agreement })
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
        let best = self.agreement.best_height().await?;
        let behind = status.latest_height.saturating_add(self.agreement.max_lag) < best;
        Ok(Tip {
            height: status.latest_height,
            time: status.latest_time,
            catching_up: status.catching_up || behind,
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

    async fn all_leases_of(&self, id: &DeploymentId) -> Result<Vec<Lease>> {
        let (owner, dseq) = (id.owner.clone(), id.dseq);
        let filter = LeaseFilter { owner, dseq, live: false, ..Default::default() };
        self.chain().query().leases(&filter).await
    }

    async fn leases_of(&self, id: &DeploymentId) -> Result<Vec<Lease>> {
        let (owner, dseq) = (id.owner.clone(), id.dseq);
        let filter = LeaseFilter { owner, dseq, live: true, ..Default::default() };
        self.chain().query().leases(&filter).await
    }

    async fn lease(&self, id: &BidId) -> Result<Lease> {
        self.chain().query().lease(id).await
    }

    async fn lease_agreed(&self, id: &BidId) -> Result<Lease> {
        self.agreement.lease(id).await
    }

    async fn escrow(&self, id: &DeploymentId) -> Result<Account> {
        let answer = self.chain().query().escrow(id).await?;
        let empty = || Error::BadAnswer(format!("the money of {}/{} is empty", id.owner, id.dseq));
        answer.account.ok_or_else(empty)
    }

    async fn balances(&self) -> Result<Vec<Coin>> {
        self.chain().query().balances(&self.provider).await
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

    async fn other_provider(&self, address: &str) -> Result<Provider> {
        let answer = self.chain().query().provider(address).await?;
        let empty = || Error::BadAnswer(format!("the record of provider {address} is empty"));
        answer.provider.ok_or_else(empty)
    }

    async fn audits(&self) -> Result<Vec<SignedAttributes>> {
        self.chain().query().audits(&self.provider, "").await
    }
}
