//! A chain that is a few maps, for tests. Every read can be made to fail, as
//! an unreachable node would.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::keys::PublicKey;
use stoa_client::proto::audit::v1::SignedAttributes;
use stoa_client::proto::cosmos::base::v1beta1::Coin;
use stoa_client::proto::deployment::v1::Deployment;
use stoa_client::proto::escrow::v1::Account;
use stoa_client::proto::market::v1::{Bid, Lease, LeaseState, Order, OrderState};
use stoa_client::proto::provider::v1::{Provider, QueryProviderResponse};
use stoa_client::proto::types::v1::{BidId, DeploymentId, OrderId};
use stoa_client::{Error, Result};

use super::reads::{ChainReads, Tip};

/// The maps.
#[derive(Debug, Default)]
pub struct FakeState {
    pub height: u64,
    pub time: u64,
    pub catching_up: bool,
    /// By id as text, as all maps here.
    pub orders: HashMap<String, Order>,
    pub bids: Vec<Bid>,
    pub leases: HashMap<String, Lease>,
    /// At other providers.
    pub other_leases: Vec<Lease>,
    pub deployments: HashMap<String, Deployment>,
    /// Owner and DER of valid certificates.
    pub certificates: Vec<(String, Vec<u8>)>,
    /// Public keys by address.
    pub keys: HashMap<String, PublicKey>,
    pub provider: Provider,
    /// Others', by address.
    pub other_providers: HashMap<String, Provider>,
    pub audits: Vec<SignedAttributes>,
    /// By deployment.
    pub escrows: HashMap<String, Account>,
    pub balances: Vec<Coin>,
    /// The endpoints say different things of leases.
    pub disagree: bool,
}

/// A chain that is a few maps.
#[derive(Debug, Default)]
pub struct FakeChain {
    state: Mutex<FakeState>,
    unreachable: AtomicBool,
    turns: AtomicUsize,
}

impl FakeChain {
    pub fn change(&self, change: impl FnOnce(&mut FakeState)) {
        change(&mut self.state.lock().expect("no test panics while holding it"));
    }

    /// From now on nothing can be observed, or everything again.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.unreachable.store(unreachable, Ordering::SeqCst);
    }

    /// How often other endpoints were asked for.
    pub fn turns(&self) -> usize {
        self.turns.load(Ordering::SeqCst)
    }

    fn look(&self) -> Result<MutexGuard<'_, FakeState>> {
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(Error::Unreachable { what: "node".into(), cause: "cut".into() });
        }
        Ok(self.state.lock().expect("no test panics while holding it"))
    }
}

fn known<T: Clone>(map: &HashMap<String, T>, id: &str) -> Result<T> {
    map.get(id).cloned().ok_or_else(|| Error::NotFound(format!("there is no {id}")))
}

#[async_trait]
impl ChainReads for FakeChain {
    fn use_next_endpoints(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }

    async fn tip(&self) -> Result<Tip> {
        let state = self.look()?;
        Ok(Tip { height: state.height, time: state.time, catching_up: state.catching_up })
    }

    async fn open_orders(&self) -> Result<Vec<Order>> {
        let state = self.look()?;
        let open = state.orders.values().filter(|order| order.state() == OrderState::Open);
        Ok(open.cloned().collect())
    }

    async fn order(&self, id: &OrderId) -> Result<Order> {
        known(&self.look()?.orders, &id.text())
    }

    async fn own_bids(&self) -> Result<Vec<Bid>> {
        Ok(self.look()?.bids.clone())
    }

    async fn own_leases(&self) -> Result<Vec<Lease>> {
        let state = self.look()?;
        let live = state.leases.values().filter(|lease| lease.state() != LeaseState::Closed);
        Ok(live.cloned().collect())
    }

    async fn leases_of(&self, id: &DeploymentId) -> Result<Vec<Lease>> {
        let state = self.look()?;
        let all = state.leases.values().chain(&state.other_leases);
        let live = all.filter(|lease| lease.state() != LeaseState::Closed);
        let of_it = |lease: &&Lease| lease.id.as_ref().is_some_and(|l| deployment_of(l) == *id);
        Ok(live.filter(of_it).cloned().collect())
    }

    async fn all_leases_of(&self, id: &DeploymentId) -> Result<Vec<Lease>> {
        let state = self.look()?;
        let all = state.leases.values().chain(&state.other_leases);
        let of_it = |lease: &&Lease| lease.id.as_ref().is_some_and(|l| deployment_of(l) == *id);
        Ok(all.filter(of_it).cloned().collect())
    }

    async fn lease(&self, id: &BidId) -> Result<Lease> {
        known(&self.look()?.leases, &id.text())
    }

    async fn lease_agreed(&self, id: &BidId) -> Result<Lease> {
        if self.look()?.disagree {
            return Err(Error::BadAnswer("endpoints disagree".into()));
        }
        self.lease(id).await
    }

    async fn escrow(&self, id: &DeploymentId) -> Result<Account> {
        known(&self.look()?.escrows, &id.text())
    }

    async fn balances(&self) -> Result<Vec<Coin>> {
        Ok(self.look()?.balances.clone())
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<Deployment> {
        known(&self.look()?.deployments, &id.text())
    }

    async fn is_valid_certificate(&self, owner: &str, der: &[u8]) -> Result<bool> {
        let state = self.look()?;
        Ok(state.certificates.iter().any(|(of, known)| of == owner && known == der))
    }

    async fn account_key(&self, address: &str) -> Result<Option<PublicKey>> {
        Ok(self.look()?.keys.get(address).copied())
    }

    async fn provider(&self) -> Result<QueryProviderResponse> {
        let provider = Some(self.look()?.provider.clone());
        Ok(QueryProviderResponse { provider, ..QueryProviderResponse::default() })
    }

    async fn other_provider(&self, address: &str) -> Result<Provider> {
        known(&self.look()?.other_providers, address)
    }

    async fn audits(&self) -> Result<Vec<SignedAttributes>> {
        Ok(self.look()?.audits.clone())
    }
}
