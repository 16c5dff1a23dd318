//! Short-lived tokens (JWT, RFC 7519) that a tenant's account key signs for
//! one provider's gateway: for browsers, and for programs that must not hold
//! a certificate's key.
//!
//! Nothing is taken on trust that the reader can fix: the algorithm follows
//! from the account's key and must be what the header says, unknown fields
//! are refused, and everything has a bound.

mod claims;
mod scope;
#[cfg(test)]
mod tests;
mod text;

pub use claims::{Claims, MAX_LEASES, MAX_LIFE, SKEW};
pub use scope::{Scope, Scopes};
pub use text::{mint, Token, MAX_TOKEN};

/// How long one lives unless told otherwise, in seconds.
pub const DEFAULT_LIFE: u64 = 15 * 60;

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token as we write them.
    #[error("malformed token: {0}")]
    Malformed(String),
    /// For another provider, too early, too late, or too long.
    #[error("token refused: {0}")]
    Refused(String),
    /// Not signed by its issuer's account key.
    #[error("token refused: the signature is not that of its issuer's account key")]
    Signature,
}
