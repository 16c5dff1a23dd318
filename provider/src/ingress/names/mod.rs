//! Tenants' own host names (`accept` in the manifest). A name is served once
//! whoever owns it has proven that it is to lead to this deployment, and by
//! one lease at a time; the proof is looked at again and again.

mod book;
mod http;
mod keeper;
mod proof;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use stoa_client::ids::TextId;
use stoa_client::proto::types::v1::BidId;

pub use keeper::Names;

/// Where a name's owner puts the token.
pub const TXT_LABEL: &str = "_stoa-challenge";
/// Where a web server that has the name now may answer with it.
pub const HTTP_PATH: &str = "/.well-known/stoa-challenge";
/// Hex digits of a token.
const TOKEN_DIGITS: usize = 40;

/// A lease that wants a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// In lower case.
    pub host: String,
    /// The lease's id as text.
    pub lease: String,
    /// The name that the provider made up for the service.
    pub generated: String,
    pub token: String,
}

/// What is to be told of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub served: bool,
    /// What is in the way, or looks as if it soon were; else empty.
    pub words: String,
}

/// Standings by lease and host.
pub type Standings = BTreeMap<(String, String), Standing>;

/// What a look at a claim's proof has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Proven,
    /// It is positively not there.
    Missing(String),
    /// It cannot be told now.
    Unknown(String),
}

/// The token that proves a name for a deployment at a provider: of no use to
/// anybody else, so it is no secret.
pub fn token(host: &str, lease: &str) -> String {
    let bound = match BidId::parse(lease) {
        Ok(id) => format!("{}\n{}\n{}", id.provider, id.owner, id.dseq),
        Err(_) => lease.to_owned(),
    };
    let digest = Sha256::digest(format!("stoa-host-name-1\n{bound}\n{host}"));
    hex::encode(digest)[..TOKEN_DIGITS].into()
}

#[cfg(test)]
mod token_tests {
    use super::*;
    use crate::tests_support::{lease_view, order};

    #[test]
    fn a_token_is_bound_to_name_tenant_deployment_and_provider() {
        let lease = |dseq| lease_view(&order(dseq)).name;
        let one = token("a.example", &lease(1));
        assert_eq!(one.len(), TOKEN_DIGITS);
        assert_eq!(one, token("a.example", &lease(1)));
        assert_ne!(one, token("b.example", &lease(1)));
        assert_ne!(one, token("a.example", &lease(2)));
        // Another order of the same deployment is the same deployment.
        let mut id = lease_view(&order(1)).id;
        id.oseq += 1;
        assert_eq!(one, token("a.example", &id.text()));
        id.provider = "another".into();
        assert_ne!(one, token("a.example", &id.text()));
    }
}
