//! What provider refuses.

use crate::error::Refusal;
use crate::types::{Address, Amount, OrderId, STAKE_DENOM};
use crate::x509;

/// Codes from here on are those of a root certificate, by its error's number.
const CERTIFICATE: u32 = 100;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not registered.
    #[error("{0} is not registered as a provider")]
    UnknownProvider(Address),
    /// Registered before.
    #[error("{0} is registered as a provider already; update it instead")]
    AlreadyRegistered(Address),
    /// A URI of another form.
    #[error("host URI {0:?} is not \"https://\", a host name or address, \":\" and a port")]
    HostUri(String),
    /// Over the parameter.
    #[error("{count} attributes; at most {max} are allowed")]
    TooManyAttributes {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: u32,
    },
    /// Rotation to the same root.
    #[error("the root certificate is the present one; leave it out to keep it")]
    RootUnchanged,
    /// A lease stands in the way.
    #[error("{0} has a live lease; close its leases before deleting it")]
    LiveLease(Address),
    /// A bid stands in the way.
    #[error("{0} has an open bid; withdraw its bids before deleting it")]
    OpenBid(Address),
    /// Stake that bids or leases rest on.
    #[error(
        "{left}{STAKE_DENOM} of stake would be left; open bids and live leases rest on {needed}"
    )]
    StakeNeeded {
        /// Left after unstaking.
        left: Amount,
        /// Needed by an order.
        needed: Amount,
    },
    /// Attributes that a bid rests on.
    #[error(
        "the open bid on order {0} rests on an attribute that would be gone; keep it, or withdraw \
         the bid"
    )]
    RequirementLost(OrderId),
    /// Stake in another denom.
    #[error("stake is in {STAKE_DENOM}, not in {0}")]
    StakeDenom(String),
    /// More than there is.
    #[error("{asked}{STAKE_DENOM} is more than the {bonded} that are bonded")]
    StakeTooSmall {
        /// To be unstaked.
        asked: Amount,
        /// Bonded.
        bonded: Amount,
    },
    /// Nothing to be staked or unstaked.
    #[error("the amount is 0; name at least 1{STAKE_DENOM}")]
    NoAmount,
    /// Too many at a time.
    #[error("{max} unbondings are under way already; wait until one completes, at {next}")]
    TooManyUnbondings {
        /// How many there may be.
        max: u32,
        /// Unix second at which the first completes.
        next: u64,
    },
    /// Jailed providers stay.
    #[error("{0} is jailed; only a provider that governance has freed can be deleted")]
    Jailed(Address),
    /// Reputation that a bid rests on.
    #[error(
        "a reputation of {left} would be left; the open bid on order {order} rests on {needed}; \
         keep the stake, or withdraw the bid"
    )]
    ReputationNeeded {
        /// The order.
        order: OrderId,
        /// Left after unstaking.
        left: u32,
        /// Needed by the order.
        needed: u32,
    },
    /// A root certificate that is not right.
    #[error("root certificate: {0}")]
    RootCertificate(#[from] x509::Error),
}

impl Refusal for Error {
    const CODESPACE: &'static str = "provider";

    fn code(&self) -> u32 {
        match self {
            Self::UnknownProvider(_) => 1,
            Self::AlreadyRegistered(_) => 2,
            Self::HostUri(_) => 3,
            Self::TooManyAttributes { .. } => 4,
            Self::RootUnchanged => 5,
            Self::LiveLease(_) => 6,
            Self::OpenBid(_) => 7,
            Self::StakeNeeded { .. } => 8,
            Self::RequirementLost(_) => 9,
            Self::StakeDenom(_) => 10,
            Self::StakeTooSmall { .. } => 11,
            Self::NoAmount => 12,
            Self::TooManyUnbondings { .. } => 13,
            Self::Jailed(_) => 14,
            Self::ReputationNeeded { .. } => 15,
            Self::RootCertificate(error) => CERTIFICATE.saturating_add(error.number()),
        }
    }
}
