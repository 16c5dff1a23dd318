//! What a token says.

use serde::{Deserialize, Serialize};
use stoa_proto::types::v1::BidId;

use super::{Scopes, TokenError};
use crate::{ids::TextId, Address};

/// The longest life, in seconds.
pub const MAX_LIFE: u64 = 24 * 3600;
/// How far the two clocks may be apart, in seconds.
pub const SKEW: u64 = 30;
/// Leases that one token may name.
pub const MAX_LEASES: usize = 32;
/// Bytes of a token's own id.
const MAX_ID: usize = 64;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The tenant's address: whose key signed it.
    pub issuer: String,
    /// The provider's address: the only one that takes it.
    pub audience: String,
    /// Unix seconds; not before it.
    pub not_before: u64,
    /// Unix seconds; not from then on.
    pub expires: u64,
    /// A name of its own, for logs.
    pub id: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The only leases that it is good for, as text; empty: all of the
    /// tenant's.
    pub leases: Vec<String>,
}

/// As it is written. Unknown fields are refused: a misspelt `leases` must not
/// make a token that is good for all of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    iss: String,
    aud: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    nbf: u64,
    exp: u64,
    jti: String,
    scope: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leases: Vec<String>,
}

impl Claims {
    /// From the JSON of a token's second part.
    pub(super) fn read(json: &[u8]) -> Result<Self, TokenError> {
        let bad = |why: String| TokenError::Malformed(why);
        let wire: Wire =
            serde_json::from_slice(json).map_err(|e| bad(format!("its claims: {e}")))?;
        for (name, text) in [("iss", &wire.iss), ("aud", &wire.aud)] {
            text.parse::<Address>().map_err(|e| bad(format!("{name}: {e}")))?;
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if wire.jti.is_empty() || wire.jti.len() > MAX_ID || !wire.jti.bytes().all(plain) {
            return Err(bad(format!("jti: 1 to {MAX_ID} of A-Z, a-z, 0-9, - and _")));
        }
        if wire.leases.len() > MAX_LEASES {
            return Err(bad(format!("leases: at most {MAX_LEASES}")));
        }
        for lease in &wire.leases {
            let parsed = BidId::parse(lease).map_err(|e| bad(format!("leases: {e}")))?;
            if parsed.text() != *lease {
                return Err(bad(format!("leases: write {}", parsed.text())));
            }
        }
        Ok(Self {
            issuer: wire.iss,
            audience: wire.aud,
            not_before: wire.nbf,
            expires: wire.exp,
            id: wire.jti,
            scopes: wire.scope.parse().map_err(|e| bad(format!("scope: {e}")))?,
            leases: wire.leases,
        })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let wire = Wire {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            iat: Some(self.not_before),
            nbf: self.not_before,
            exp: self.expires,
            jti: self.id.clone(),
            scope: self.scopes.to_string(),
            leases: self.leases.clone(),
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Whether a provider may take it now (Unix seconds).
    pub(super) fn check(&self, provider: &str, now: u64) -> Result<(), TokenError> {
        let refused = |why: String| Err(TokenError::Refused(why));
        if self.audience != provider {
            return refused(format!("it is for provider {}; this is {provider}", self.audience));
        }
        if self.expires <= self.not_before {
            return refused("it ends before it begins".into());
        }
        if self.expires - self.not_before > MAX_LIFE {
            return refused(format!("it lives longer than {MAX_LIFE} s"));
        }
        if self.not_before > now.saturating_add(SKEW) {
            return refused(format!(
                "it is valid from {} on and it is {now} here; are both clocks right?",
                self.not_before
            ));
        }
        if self.expires <= now {
            return refused(format!(
                "it ended at {} and it is {now}; make a new one with: stoa provider token",
                self.expires
            ));
        }
        Ok(())
    }
}
