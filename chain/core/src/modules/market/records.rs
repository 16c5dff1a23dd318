//! Orders, bids and leases as the state holds them.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::keys;
use crate::ctx::{Ctx, Place};
use crate::types::{Address, Amount, Denom, Hash, LeaseId, OrderId, Rate};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$state_doc:meta])* $state:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$state_doc])* $state,)*
        }

        impl $name {
            /// As texts and events have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$state => $text,)*
                }
            }
        }
    };
}

states! {
    /// Whether an order takes bids, or how it ended.
    OrderState {
        /// Takes bids, or waits for its match.
        Open = "open",
        /// A lease came of it.
        Matched = "matched",
        /// No eligible bid, or no funds.
        Unmatched = "unmatched",
        /// Its group was paused or closed.
        Cancelled = "cancelled",
    }
}

states! {
    /// Bids that are over leave the state, but for the one that won.
    BidState {
        /// In the book.
        Open = "open",
        /// Its lease holds the deposit.
        Won = "won",
    }
}

states! {
    /// *Live* while PENDING, ACTIVE or RECLAIMING; *paid* while ACTIVE or
    /// RECLAIMING.
    LeaseState {
        /// Matched, not started.
        Pending = "pending",
        /// Started.
        Active = "active",
        /// Ends when its reclamation window does.
        Reclaiming = "reclaiming",
        /// For good.
        Closed = "closed",
    }
}

states! {
    /// Why a lease ended.
    CloseReason {
        /// The tenant closed it.
        ByTenant = "by_tenant",
        /// The provider closed it.
        ByProvider = "by_provider",
        /// Its start deadline passed.
        NotStarted = "not_started",
        /// Its duration is over.
        Expired = "expired",
        /// Deployment or group was closed.
        DeploymentClosed = "deployment_closed",
        /// The group was paused.
        Paused = "paused",
        /// The escrow has nothing left.
        FundsExhausted = "funds_exhausted",
        /// The provider was jailed.
        ProviderJailed = "provider_jailed",
    }
}

/// The GPU model offered for a unit.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct GpuOffer {
    /// The unit's id.
    pub unit: u32,
    /// The model.
    pub model: String,
}

/// A group offered to the market for a limited time. What it asks for stands
/// in the group.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// See [`OrderState`].
    pub state: OrderState,
    /// Of rates and deposits.
    pub denom: Denom,
    /// Most that a bid may ask a second.
    pub max_rate: Rate,
    /// Unix seconds.
    pub opened_at: u64,
    /// From this second on bids (commitments) are refused.
    pub closes_at: u64,
    /// When it is matched.
    pub match_at: u64,
    /// Paid the second's rate rather than the winner's own.
    pub second_price: bool,
    /// Bids are committed, then revealed.
    pub sealed: bool,
    /// What each bid brings.
    pub bid_deposit: Amount,
    /// Kept out because an earlier lease of the group ended there.
    pub excluded: Vec<Address>,
    /// A sealed order's window is over; its bids are revealed.
    pub revealing: bool,
    /// Why it is UNMATCHED or CANCELLED.
    pub reason: String,
    /// When it leaves the state; 0 while OPEN, and while MATCHED (its lease
    /// takes it along).
    pub prune_at: u64,
}

/// A provider's binding price for an order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bid {
    /// See [`BidState`].
    pub state: BidState,
    /// A second; none while a sealed bid is not revealed.
    pub rate: Option<Rate>,
    /// Held while OPEN.
    pub deposit: Amount,
    /// Of rate and deposit.
    pub denom: Denom,
    /// Its place in time.
    pub place: Place,
    /// For each unit that asks for GPUs.
    pub gpus: Vec<GpuOffer>,
    /// Of a sealed bid.
    pub commitment: Option<Hash>,
}

/// How a lease in its reclamation window will end.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Who closed it.
    pub reason: CloseReason,
    /// Whether a new order opens.
    pub reopen: bool,
    /// Whether that order is closed to this provider.
    pub exclude: bool,
}

/// The match of an order and a bid.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// See [`LeaseState`].
    pub state: LeaseState,
    /// Of all its money.
    pub denom: Denom,
    /// What the bid is paid at, a second.
    pub rate: Rate,
    /// What the escrow pays a second: rate plus any second-price fee.
    pub cost_rate: Rate,
    /// What of it the provider gets.
    pub provider_rate: Rate,
    /// Held while live.
    pub bid_deposit: Amount,
    /// Unix seconds.
    pub matched_at: u64,
    /// While PENDING: until when it must be started.
    pub start_deadline: u64,
    /// 0 before.
    pub started_at: u64,
    /// While RECLAIMING: when it ends.
    pub reclaimed_at: u64,
    /// With a duration, once started: when it expires.
    pub expires_at: u64,
    /// Its provider was jailed at this time; 0 otherwise.
    pub jailed_at: u64,
    /// 0 while live.
    pub closed_at: u64,
    /// Why it is CLOSED.
    pub reason: Option<CloseReason>,
    /// While RECLAIMING: how it will end.
    pub ending: Option<Ending>,
    /// Paid to the provider so far.
    pub withdrawn: Amount,
    /// As offered.
    pub gpus: Vec<GpuOffer>,
    /// When it leaves the state; 0 while live.
    pub prune_at: u64,
}

impl Lease {
    /// PENDING, ACTIVE or RECLAIMING.
    pub fn is_live(&self) -> bool {
        self.state != LeaseState::Closed
    }
}

/// All orders.
pub fn orders<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (OrderId, Order)> + 'a {
    ctx.prefix(&keys::orders()).filter_map(|(key, value)| {
        Some((keys::order_id(&key)?, crate::state::decode(&key, &value)))
    })
}

/// All bids.
pub fn bids<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (LeaseId, Bid)> + 'a {
    ctx.prefix(&keys::bids())
        .filter_map(|(key, value)| Some((keys::bid_id(&key)?, crate::state::decode(&key, &value))))
}

/// All leases.
pub fn leases<'a>(ctx: &'a Ctx<'_>) -> impl Iterator<Item = (LeaseId, Lease)> + 'a {
    ctx.prefix(&keys::leases()).filter_map(|(key, value)| {
        Some((keys::lease_id(&key)?, crate::state::decode(&key, &value)))
    })
}
