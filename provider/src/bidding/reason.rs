//! Why an order is let pass, in words that help its tenant or this operator.

use super::resources::Resources;

/// Why there is no bid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the order is malformed: {0}")]
    Malformed(String),
    #[error("the order is {0}, and takes no bids any more")]
    NotOpen(String),
    #[error("it closes in {0} s, too soon to bid")]
    TooLate(u64),
    #[error("sealed orders are not bid on here (bidding.sealed)")]
    Sealed,
    #[error("this provider is being emptied and takes no new orders")]
    Draining,
    #[error("it pays in {0}, and this provider asks for {1}")]
    Denom(String, String),
    #[error("the tenant is not one of limits.allowed_tenants")]
    TenantNotAllowed,
    #[error("the tenant is one of limits.denied_tenants")]
    TenantDenied,
    #[error("the order excludes this provider")]
    Excluded,
    #[error("the order allows other providers only")]
    NotAllowed,
    #[error("this provider is jailed")]
    Jailed,
    #[error("it requires the attribute {0}")]
    Attribute(String),
    #[error("it requires auditors to have signed {0}")]
    Audit(String),
    #[error("it requires a stake of {0}, and this provider has {1}")]
    Stake(String, String),
    #[error("it requires a reputation of {0}, and this provider has {1}")]
    Reputation(u32, u32),
    #[error("it asks for GPUs, and none are offered")]
    Gpu,
    #[error("it asks for the GPUs {0}, and none of them is offered")]
    GpuModel(String),
    #[error("it asks for the GPUs {0}, and no machine has as many of them free")]
    GpuRoom(String),
    #[error("it asks for {0} processors, and these are {1}")]
    Architecture(String, String),
    #[error("it asks for storage of the class {0}, which is not offered")]
    StorageClass(String),
    #[error("it asks for a {0}, which is not offered")]
    Endpoint(&'static str),
    #[error("it needs {wanted}, and {free} are free")]
    Room { wanted: Resources, free: Resources },
    #[error("there is room in all, but one of its instances fits on no machine by itself")]
    Machine,
    #[error("the capacity of the machine is not known yet")]
    CapacityUnknown,
    #[error("its price is being worked out")]
    Pricing,
    #[error("it has no price: {0}")]
    Unpriced(String),
    #[error("the price {price} is over the order's maximum {maximum}")]
    Price { price: String, maximum: String },
    #[error("{0} bids are open, the most that limits.max_open_bids allows")]
    OpenBids(usize),
    #[error("{0} leases are live or bid for, the most that limits.max_leases allows")]
    Leases(usize),
    #[error("its deposit would bring those in open bids to {0}, over limits.max_exposure")]
    Exposure(u128),
    #[error("a bid was placed on it already")]
    AlreadyBid,
    #[error("the bid on it was withdrawn: {0}")]
    Withdrawn(String),
    #[error("the chain refused the bid: {0}")]
    Refused(String),
}

impl Reason {
    /// The words for strangers: the operator's own lists and numbers stay at
    /// home.
    pub fn public(&self) -> String {
        match self {
            Self::TenantNotAllowed | Self::TenantDenied => {
                "this provider does not serve this tenant".into()
            }
            Self::OpenBids(_) | Self::Leases(_) | Self::Exposure(_) => {
                "this provider has taken on as much as it wants to".into()
            }
            Self::Room { wanted, .. } => format!("it needs {wanted}, and less is free"),
            Self::Unpriced(_) => "this provider has no price for it".into(),
            Self::Sealed => "this provider does not bid on sealed orders".into(),
            other => other.to_string(),
        }
    }
}
