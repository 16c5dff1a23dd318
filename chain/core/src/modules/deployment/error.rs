//! Deployment's refusals.

use crate::error::Refusal;
use crate::types::{Denom, DeploymentId, GroupId};

/// Why deployment refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentError {
    /// No such deployment.
    #[error("deployment {0} not found")]
    NotFound(DeploymentId),
    /// No such group.
    #[error("group {0} not found")]
    GroupNotFound(GroupId),
    /// A dseq that does not rise.
    #[error("dseq {given} does not exceed the owner's last, {last}")]
    DseqNotRising {
        /// What was given.
        given: u64,
        /// The owner's last.
        last: u64,
    },
    /// A CLOSED deployment.
    #[error("deployment {0} is closed")]
    Closed(DeploymentId),
    /// Outside a bound.
    #[error("{what}: {number}; {min} to {max} are allowed")]
    OutOfBounds {
        /// What.
        what: String,
        /// What was given.
        number: u64,
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// A name used twice.
    #[error("the deployment has two groups named {0:?}")]
    DuplicateName(String),
    /// Money of several denoms.
    #[error("group {group:?} is priced in {given}; the deployment is in {denom}")]
    OtherDenom {
        /// The group's name.
        group: String,
        /// What was given.
        given: Denom,
        /// What would be right.
        denom: Denom,
    },
    /// A bid window outside its bounds.
    #[error("bid window of {given} s; {min} to {max} s are allowed")]
    BidWindow {
        /// What was given.
        given: u64,
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// A reclamation window outside its bounds.
    #[error("reclamation window of {given} s; 0, or {min} to {max} s are allowed")]
    Reclamation {
        /// What was given.
        given: u64,
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// An update to what is there.
    #[error("deployment {0} has this version already")]
    SameVersion(DeploymentId),
    /// A transition that its state does not allow.
    #[error("group {id} is {state}; {wanted}")]
    GroupState {
        /// The group.
        id: GroupId,
        /// Its state.
        state: &'static str,
        /// What would be right.
        wanted: &'static str,
    },
    /// The group has an order or a lease.
    #[error("group {id} has {what}; only a group without order and live lease can be reopened")]
    GroupBusy {
        /// The group.
        id: GroupId,
        /// What it has.
        what: String,
    },
    /// New limits that do not fit the group.
    #[error("group {id} has {units} resource units, {given} max rates are given; give one each, or none")]
    MaxRates {
        /// The group.
        id: GroupId,
        /// Its units.
        units: usize,
        /// What was given.
        given: usize,
    },
}

impl Refusal for DeploymentError {
    const CODESPACE: &'static str = "deployment";

    fn code(&self) -> u32 {
        match self {
            Self::NotFound(_) => 2,
            Self::GroupNotFound(_) => 3,
            Self::DseqNotRising { .. } => 4,
            Self::Closed(_) => 5,
            Self::OutOfBounds { .. } => 6,
            Self::DuplicateName(_) => 7,
            Self::OtherDenom { .. } => 8,
            Self::BidWindow { .. } => 9,
            Self::Reclamation { .. } => 10,
            Self::SameVersion(_) => 11,
            Self::GroupState { .. } => 12,
            Self::GroupBusy { .. } => 13,
            Self::MaxRates { .. } => 14,
        }
    }
}
