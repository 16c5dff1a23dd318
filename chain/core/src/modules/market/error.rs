//! Market's refusals.

use crate::error::Refusal;
use crate::types::{Address, Amount, Denom, LeaseId, OrderId, Rate};

/// Why the market refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    /// No such order.
    #[error("order {0} not found")]
    OrderNotFound(OrderId),
    /// No such bid.
    #[error("bid {0} not found")]
    BidNotFound(LeaseId),
    /// No such lease.
    #[error("lease {0} not found")]
    LeaseNotFound(LeaseId),
    /// An order that ended.
    #[error("order {id} is {state}; bids are for open orders")]
    OrderEnded {
        /// The order.
        id: OrderId,
        /// Its state.
        state: &'static str,
    },
    /// Past the bid window.
    #[error("order {id} closed for bids at {closes_at}; now is {now}")]
    WindowOver {
        /// The order.
        id: OrderId,
        /// When.
        closes_at: u64,
        /// The block's time.
        now: u64,
    },
    /// A bid of nothing.
    #[error("the bid rate is zero; it is over 0 and at most {max}{denom}/s")]
    RateZero {
        /// Most.
        max: Rate,
        /// The order's.
        denom: Denom,
    },
    /// Over the order's limit.
    #[error("bid rate {rate}{denom}/s is over the order's maximum {max}{denom}/s")]
    RateOverMax {
        /// What was given.
        rate: Rate,
        /// Most.
        max: Rate,
        /// The order's.
        denom: Denom,
    },
    /// A bid in another denom.
    #[error("the bid is in {given}; the order is in {denom}")]
    OtherDenom {
        /// What was given.
        given: Denom,
        /// What would be right.
        denom: Denom,
    },
    /// Under the lowest, but not by enough.
    #[error("bid rate {rate} is under the lowest, {lowest}, by less than the bid step; at most {most}, or {lowest} and more")]
    StepTooSmall {
        /// What was given.
        rate: Rate,
        /// The lowest bid.
        lowest: Rate,
        /// What would be right.
        most: Rate,
    },
    /// A replacement that is not lower by enough.
    #[error("bid rate {rate} replaces one's own bid of {own}; at most {most} is allowed")]
    ReplacementTooHigh {
        /// What was given.
        rate: Rate,
        /// The standing bid.
        own: Rate,
        /// What would be right.
        most: Rate,
    },
    /// No room, or not for this rate.
    #[error("order {id} has {max} bids, the most allowed{hint}")]
    BookFull {
        /// The order.
        id: OrderId,
        /// The bound.
        max: u32,
        /// What would be right.
        hint: String,
    },
    /// An open bid on a sealed order.
    #[error("order {0} is sealed; commit to a bid, and reveal it after the window")]
    Sealed(OrderId),
    /// A commitment on an open order.
    #[error("order {0} is not sealed; place an open bid")]
    NotSealed(OrderId),
    /// A second commitment.
    #[error("{0} stands already; withdraw it first")]
    AlreadyCommitted(LeaseId),
    /// Outside the reveal window.
    #[error("bids on order {id} are revealed from {from} until {until}; now is {now}")]
    NotRevealing {
        /// The order.
        id: OrderId,
        /// Start.
        from: u64,
        /// End.
        until: u64,
        /// The block's time.
        now: u64,
    },
    /// A reveal that does not fit its commitment.
    #[error("rate and salt do not give the commitment of {0}")]
    WrongReveal(LeaseId),
    /// A second reveal.
    #[error("{0} is revealed already")]
    AlreadyRevealed(LeaseId),
    /// Past half the window.
    #[error("a bid on order {id} could be withdrawn before {until}; now is {now}, and it can only be lowered")]
    TooLateToWithdraw {
        /// The order.
        id: OrderId,
        /// Half the window.
        until: u64,
        /// The block's time.
        now: u64,
    },
    /// Not registered.
    #[error("{0} is not registered as a provider")]
    NotRegistered(Address),
    /// Jailed.
    #[error("provider {0} is jailed")]
    Jailed(Address),
    /// Not among those allowed.
    #[error("order {order} allows only certain providers, {provider} is not among them")]
    NotAllowed {
        /// The order.
        order: OrderId,
        /// Who bids.
        provider: Address,
    },
    /// Kept out.
    #[error("order {order} excludes provider {provider}")]
    Excluded {
        /// The order.
        order: OrderId,
        /// Who bids.
        provider: Address,
    },
    /// An attribute is missing.
    #[error("the order requires attribute {required}; the provider has none that meets it")]
    AttributeMissing {
        /// As key=value.
        required: String,
    },
    /// An auditor is missing.
    #[error("the order requires the attributes to be signed by {wanted}")]
    NotAudited {
        /// What would be right.
        wanted: String,
    },
    /// Too little stake.
    #[error("the order requires a stake of {least}; the provider has {stake}")]
    StakeTooLow {
        /// The provider's.
        stake: Amount,
        /// What would be right.
        least: Amount,
    },
    /// Too little reputation.
    #[error("the order requires a reputation of {least}; the provider has {reputation}")]
    ReputationTooLow {
        /// The provider's.
        reputation: u32,
        /// What would be right.
        least: u32,
    },
    /// A GPU model that was not asked for, or none.
    #[error("unit {unit}: {what}")]
    GpuOffer {
        /// Which.
        unit: u32,
        /// What is wrong and what would be right.
        what: String,
    },
    /// A transition that the lease's state does not allow.
    #[error("lease {id} is {state}; {wanted}")]
    LeaseState {
        /// The lease.
        id: LeaseId,
        /// Its state.
        state: &'static str,
        /// What would be right.
        wanted: &'static str,
    },
    /// Another's lease.
    #[error("lease {lease} is not {signer}'s")]
    NotParty {
        /// The lease.
        lease: LeaseId,
        /// Who signed.
        signer: Address,
    },
    /// Over the bound of a withdrawal.
    #[error("{given} leases are named; 1 to {max} are allowed")]
    WithdrawalSize {
        /// What was given.
        given: usize,
        /// Most.
        max: u32,
    },
    /// Over the bound of reopenings.
    #[error("the group of lease {lease} was reopened {max} times today, the most allowed")]
    TooManyReopens {
        /// The lease.
        lease: LeaseId,
        /// The bound.
        max: u32,
    },
}

impl Refusal for MarketError {
    const CODESPACE: &'static str = "market";

    fn code(&self) -> u32 {
        match self {
            Self::OrderNotFound(_) => 2,
            Self::BidNotFound(_) => 3,
            Self::LeaseNotFound(_) => 4,
            Self::OrderEnded { .. } => 5,
            Self::WindowOver { .. } => 6,
            Self::RateZero { .. } => 7,
            Self::RateOverMax { .. } => 8,
            Self::OtherDenom { .. } => 9,
            Self::StepTooSmall { .. } => 10,
            Self::ReplacementTooHigh { .. } => 11,
            Self::BookFull { .. } => 12,
            Self::Sealed(_) => 13,
            Self::NotSealed(_) => 14,
            Self::AlreadyCommitted(_) => 15,
            Self::NotRevealing { .. } => 16,
            Self::WrongReveal(_) => 17,
            Self::AlreadyRevealed(_) => 18,
            Self::TooLateToWithdraw { .. } => 19,
            Self::NotRegistered(_) => 20,
            Self::Jailed(_) => 21,
            Self::NotAllowed { .. } => 22,
            Self::Excluded { .. } => 23,
            Self::AttributeMissing { .. } => 24,
            Self::NotAudited { .. } => 25,
            Self::StakeTooLow { .. } => 26,
            Self::ReputationTooLow { .. } => 27,
            Self::GpuOffer { .. } => 28,
            Self::LeaseState { .. } => 29,
            Self::NotParty { .. } => 30,
            Self::WithdrawalSize { .. } => 31,
            Self::TooManyReopens { .. } => 32,
        }
    }
}
