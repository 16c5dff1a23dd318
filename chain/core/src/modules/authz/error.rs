//! What authz refuses. Codes under 100 are those of the Cosmos SDK's
//! `x/authz/errors.go`.

use crate::error::Refusal;
use crate::types::{Address, Coins, Denom, DeploymentId, Rate};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthzError {
    /// Nobody has granted that.
    #[error("authorization not found: {granter} has not granted {url} to {grantee}")]
    NotFound {
        /// In whose name.
        granter: Address,
        /// Who would.
        grantee: Address,
        /// The message's type.
        url: String,
    },
    /// A grant that would be over at once, or never.
    #[error("an expiration lies after the current block time {now} and before the year 10000, got {given}")]
    InvalidExpiration {
        /// Unix seconds.
        given: i64,
        /// Unix seconds.
        now: u64,
    },
    /// A type that is no authorization of ours.
    #[error("unknown authorization type: {0}")]
    UnknownType(String),
    /// Its time is over.
    #[error(
        "authorization expired: that of {granter} for {grantee} to {url}; it must be granted anew"
    )]
    Expired {
        /// In whose name.
        granter: Address,
        /// Who would.
        grantee: Address,
        /// The message's type.
        url: String,
    },
    /// To oneself.
    #[error("grantee and granter are both {0}; they should be different")]
    GranteeIsGranter(Address),
    /// Nothing to stake.
    #[error("max tokens should be positive; leave them out for no limit")]
    NoMaxTokens,
    /// A delegated key would take more from the granter.
    #[error("the message takes {taken} of {granter}; the authorization has {left} left")]
    SpendLimit {
        /// Whose money.
        granter: Address,
        /// By the message.
        taken: Coins,
        /// Of the limit; empty: nothing.
        left: Coins,
    },
    /// A delegated key would offer more.
    #[error(
        "group {group:?} would be offered at up to {rate}{denom}/s; the authorization allows \
         {most}"
    )]
    MaxRate {
        /// By its name.
        group: String,
        /// Sum of count × max rate.
        rate: Rate,
        /// Of the rate.
        denom: Denom,
        /// With its denom; `nothing` where no rate is allowed.
        most: String,
    },
    /// A delegated key would run more.
    #[error("group {group:?} would have {count} instances; the authorization allows {most}")]
    MaxReplicas {
        /// By its name.
        group: String,
        /// Its resources' counts together.
        count: u64,
        /// Allowed.
        most: u32,
    },
    /// A delegated key would touch another group.
    #[error("group {group:?} is not among the authorization's allowed groups: {}", allowed.join(", "))]
    GroupNotAllowed {
        /// By its name.
        group: String,
        /// Names, or their beginnings before a `*`.
        allowed: Vec<String>,
    },
    /// A delegated key would pay for another's deployment.
    #[error("deployment {deployment} is not one of {granter}; only the granter's may be managed")]
    NotTheGranters {
        /// Which.
        deployment: DeploymentId,
        /// Whose should be.
        granter: Address,
    },
}

impl Refusal for AuthzError {
    const CODESPACE: &'static str = "authz";

    fn code(&self) -> u32 {
        match self {
            Self::NotFound { .. } => 2,
            Self::InvalidExpiration { .. } => 3,
            Self::UnknownType(_) => 4,
            Self::Expired { .. } => 6,
            Self::GranteeIsGranter(_) => 7,
            Self::NoMaxTokens => 12,
            Self::SpendLimit { .. } => 100,
            Self::MaxRate { .. } => 101,
            Self::MaxReplicas { .. } => 102,
            Self::GroupNotAllowed { .. } => 103,
            Self::NotTheGranters { .. } => 104,
        }
    }
}
