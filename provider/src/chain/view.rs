//! The chain's state as far as it concerns this provider, at one look.

use std::collections::{BTreeMap, HashMap};

use stoa_client::ids::{deployment_of, order_of, TextId};
use stoa_client::proto::audit::v1::SignedAttributes;
use stoa_client::proto::deployment::v1::Deployment;
use stoa_client::proto::market::v1::{Bid, Lease, LeaseState, Order};
use stoa_client::proto::provider::v1::Provider;
use stoa_client::proto::types::v1::{BidId, GroupSpec};
use stoa_client::{Error, Result};

use super::reads::{ChainReads, Tip};

/// What the chain says of the provider itself.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub provider: Provider,
    /// 0 to 10,000.
    pub reputation: u32,
    pub audits: Vec<SignedAttributes>,
}

/// A live lease with what it is about.
#[derive(Debug, Clone)]
pub struct LeaseView {
    pub id: BidId,
    /// The id as text.
    pub name: String,
    pub lease: Lease,
    /// The group as its order stated it: never changes.
    pub spec: GroupSpec,
    pub deployment: Deployment,
}

impl LeaseView {
    pub fn is_pending(&self) -> bool {
        self.lease.state() == LeaseState::Pending
    }

    /// The manifest's version that the chain wants, in hex.
    pub fn version(&self) -> String {
        crate::store::hex_of(&self.deployment.version)
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct View {
    pub height: u64,
    /// Unix seconds of the newest block.
    pub time: u64,
    pub orders: Vec<Order>,
    /// By order, as text.
    pub bids: BTreeMap<String, Bid>,
    /// Live ones, by lease id as text.
    pub leases: BTreeMap<String, LeaseView>,
    pub standing: Standing,
}

/// What never changes and need not be asked twice: the specs of orders that
/// were matched.
pub(super) type Specs = HashMap<String, GroupSpec>;

impl View {
    /// Reads all. Orders come before bids and bids before leases, so that a
    /// bid which wins meanwhile is seen twice rather than not at all.
    pub(super) async fn read(reads: &dyn ChainReads, tip: Tip, specs: &mut Specs) -> Result<Self> {
        let orders = reads.open_orders().await?;
        let bids = reads.own_bids().await?;
        let leases = reads.own_leases().await?;
        let (answer, audits) = tokio::try_join!(reads.provider(), reads.audits())?;
        let standing = Standing {
            provider: answer.provider.unwrap_or_default(),
            reputation: answer.reputation,
            audits,
        };
        let bids = bids
            .into_iter()
            .filter_map(|bid| Some((order_of(bid.id.as_ref()?).text(), bid)))
            .collect();
        let leases = read_leases(reads, leases, specs).await?;
        confirm_gone(reads, &leases, specs).await?;
        *specs = leases.iter().map(|(name, view)| (name.clone(), view.spec.clone())).collect();
        Ok(Self { height: tip.height, time: tip.time, orders, bids, leases, standing })
    }
}

/// A lease that was live and is not told of any more must be over by the word
/// of all endpoints, or the view is none.
async fn confirm_gone(
    reads: &dyn ChainReads,
    leases: &BTreeMap<String, LeaseView>,
    before: &Specs,
) -> Result<()> {
    for name in before.keys().filter(|name| !leases.contains_key(*name)) {
        match reads.lease_agreed(&BidId::parse(name)?).await {
            Ok(lease) if lease.state() != LeaseState::Closed => {
                return Err(Error::BadAnswer(format!(
                    "lease {name} is left out of a list, and is live"
                )))
            }
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read_leases(
    reads: &dyn ChainReads,
    leases: Vec<Lease>,
    specs: &Specs,
) -> Result<BTreeMap<String, LeaseView>> {
    let mut deployments: HashMap<String, Deployment> = HashMap::new();
    let mut views = BTreeMap::new();
    for lease in leases {
        let id = lease.id.clone().ok_or_else(|| Error::BadAnswer("a lease without id".into()))?;
        let name = id.text();
        let of = deployment_of(&id);
        let deployment = match deployments.get(&of.text()) {
            Some(known) => known.clone(),
            None => reads.deployment(&of).await?,
        };
        deployments.insert(of.text(), deployment.clone());
        let spec = match specs.get(&name) {
            Some(known) => known.clone(),
            None => spec_of(reads, &id).await?,
        };
        views.insert(name.clone(), LeaseView { id, name, lease, spec, deployment });
    }
    Ok(views)
}

/// The group as the lease's order stated it.
pub(crate) async fn spec_of(reads: &dyn ChainReads, lease: &BidId) -> Result<GroupSpec> {
    let order = reads.order(&order_of(lease)).await?;
    order.spec.ok_or_else(|| Error::BadAnswer(format!("the order of {} is empty", lease.text())))
}
