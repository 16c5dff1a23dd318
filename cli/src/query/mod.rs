//! `stoa query`: the chain's state, as tables or JSON.

mod account;
mod deployment;
mod gov;
mod market;
mod others;
mod staking;
pub mod tables;

use clap::Subcommand;
pub use deployment::print as print_deployment;
use stoa_proto::types::v1::{BidId, OrderId};

use crate::{context::Context, exit::Failure};

fn order_id(text: &str) -> Result<OrderId, String> {
    stoa_client::ids::TextId::parse(text).map_err(|e: stoa_client::Error| e.to_string())
}

fn bid_id(text: &str) -> Result<BidId, String> {
    stoa_client::ids::TextId::parse(text).map_err(|e: stoa_client::Error| e.to_string())
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum QueryCommand {
    /// An account's number and sequence
    Account {
        /// Address or key name; default: the signer's
        address: Option<String>,
    },
    /// What an account holds
    Balances { address: Option<String> },
    /// One deployment with its groups
    Deployment {
        /// OWNER/DSEQ, or DSEQ of one's own
        id: String,
    },
    /// Deployments
    Deployments {
        #[arg(long)]
        owner: Option<String>,
        /// active or closed
        #[arg(long)]
        state: Option<String>,
    },
    /// One order
    Order {
        #[arg(value_parser = order_id)]
        id: OrderId,
    },
    /// Orders
    Orders {
        #[arg(long)]
        owner: Option<String>,
        #[arg(long, requires = "owner")]
        dseq: Option<u64>,
        /// open, matched, unmatched or cancelled
        #[arg(long)]
        state: Option<String>,
    },
    /// One bid
    Bid {
        #[arg(value_parser = bid_id)]
        id: BidId,
    },
    /// An order's bids, best first, or a provider's
    Bids {
        #[arg(long, value_parser = order_id, conflicts_with = "provider")]
        order: Option<OrderId>,
        #[arg(long)]
        provider: Option<String>,
        /// open or won
        #[arg(long)]
        state: Option<String>,
    },
    /// One lease
    Lease {
        #[arg(value_parser = bid_id)]
        id: BidId,
    },
    /// Leases
    Leases {
        #[arg(long)]
        owner: Option<String>,
        #[arg(long, requires = "owner")]
        dseq: Option<u64>,
        #[arg(long)]
        provider: Option<String>,
        /// pending, active, reclaiming or closed
        #[arg(long)]
        state: Option<String>,
        /// Only pending, active and reclaiming ones
        #[arg(long)]
        live: bool,
    },
    /// A deployment's escrow
    Escrow { id: String },
    /// One provider
    Provider { address: Option<String> },
    /// All providers
    Providers,
    /// What auditors say of a provider
    Audits {
        provider: String,
        #[arg(long)]
        auditor: Option<String>,
    },
    /// A tenant's certificates
    Certs { owner: Option<String> },
    /// The chain's parameters
    Params,
    /// What stays of an account's history
    Counters {
        address: Option<String>,
        /// As provider, not as tenant
        #[arg(long)]
        provider: bool,
    },
    /// The community pool
    Pool,
    /// A transaction by hash
    Tx { hash: String },
    /// What the node says of itself
    Node,
    /// All validators, the strongest first
    Validators,
    /// One validator
    Validator {
        /// stoavaloper1…, its operator's address or key name; default: the signer's
        validator: Option<String>,
    },
    /// What an account delegates, and what is on its way back
    Delegations { address: Option<String> },
    /// What delegations have earned
    Rewards { address: Option<String> },
    /// How much is staked, and inflation
    Staking,
    /// Which blocks validators missed, and who is jailed
    Signing,
    /// Proposals of governance
    Proposals,
    /// One proposal with its votes
    Proposal { id: u64 },
    /// The upgrade that is planned
    Upgrade,
    /// What an account lets others do and pay, and they it
    Grants { address: Option<String> },
}

/// Runs it.
pub async fn run(context: &Context, command: QueryCommand) -> Result<(), Failure> {
    match command {
        QueryCommand::Account { address } => account::account(context, address).await,
        QueryCommand::Balances { address } => account::balances(context, address).await,
        QueryCommand::Deployment { id } => deployment::one(context, &id).await,
        QueryCommand::Deployments { owner, state } => deployment::many(context, owner, state).await,
        QueryCommand::Escrow { id } => deployment::escrow(context, &id).await,
        QueryCommand::Certs { owner } => deployment::certs(context, owner).await,
        QueryCommand::Order { id } => market::order(context, &id).await,
        QueryCommand::Orders { owner, dseq, state } => {
            market::orders(context, owner, dseq, state).await
        }
        QueryCommand::Bid { id } => market::bid(context, &id).await,
        QueryCommand::Bids { order, provider, state } => {
            market::bids(context, order, provider, state).await
        }
        QueryCommand::Lease { id } => market::lease(context, &id).await,
        QueryCommand::Leases { owner, dseq, provider, state, live } => {
            market::leases(context, market::LeaseArgs { owner, dseq, provider, state, live }).await
        }
        QueryCommand::Counters { address, provider } => {
            market::counters(context, address, provider).await
        }
        QueryCommand::Provider { address } => others::provider(context, address).await,
        QueryCommand::Providers => others::providers(context).await,
        QueryCommand::Audits { provider, auditor } => {
            others::audits(context, &provider, auditor).await
        }
        QueryCommand::Params => others::params(context).await,
        QueryCommand::Pool => others::pool(context).await,
        QueryCommand::Tx { hash } => others::tx(context, &hash).await,
        QueryCommand::Node => others::node(context).await,
        QueryCommand::Validators => staking::validators(context).await,
        QueryCommand::Validator { validator } => staking::validator(context, validator).await,
        QueryCommand::Delegations { address } => staking::delegations(context, address).await,
        QueryCommand::Rewards { address } => staking::rewards(context, address).await,
        QueryCommand::Staking => staking::staking(context).await,
        QueryCommand::Signing => staking::signing(context).await,
        QueryCommand::Proposals => gov::proposals(context).await,
        QueryCommand::Proposal { id } => gov::proposal(context, id).await,
        QueryCommand::Upgrade => gov::upgrade(context).await,
        QueryCommand::Grants { address } => gov::grants(context, address).await,
    }
}

/// An enum's value from the last part of its name, such as `open`.
fn state<T: TryFrom<i32>>(
    text: Option<String>,
    prefix: &str,
    named: impl Fn(&str) -> Option<T>,
    unspecified: T,
) -> Result<T, Failure> {
    match text {
        None => Ok(unspecified),
        Some(text) => named(&format!("{prefix}_{}", text.to_uppercase()))
            .ok_or_else(|| Failure::usage(format!("`{text}` is no such state; see --help"))),
    }
}

/// The last part of an enum's name, in lower case.
pub fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).trim_start_matches('_').to_lowercase()
}
