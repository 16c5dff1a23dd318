//! Who calls, and what it may do. Found once for each request, before its
//! body is read.

use std::net::SocketAddr;
use std::sync::Arc;

use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::types::v1::{BidId, DeploymentId};
use stoa_client::token::{Scope, Scopes};
use tonic::{Request, Status};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// DER of the certificate that the handshake has checked, if one was
    /// shown.
    pub certificate: Option<Arc<[u8]>>,
    /// DER of the root that was shown with it, as providers do; the handshake
    /// has checked that it vouches for the certificate.
    pub root: Option<Arc<[u8]>>,
}

/// Another provider, known by its root on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCaller {
    pub address: String,
}

/// A tenant, known by its certificate or by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its address.
    pub tenant: String,
    /// What its token lets it do; a certificate lets it do all.
    token: Option<Limits>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Limits {
    scopes: Scopes,
    /// Leases as text; empty: all of the tenant's.
    leases: Vec<String>,
}

impl Caller {
    /// By its certificate.
    pub fn with_certificate(tenant: String) -> Self {
        Self { tenant, token: None }
    }

    /// By a token that was verified.
    pub fn with_token(claims: stoa_client::token::Claims) -> Self {
        let limits = Limits { scopes: claims.scopes, leases: claims.leases };
        Self { tenant: claims.issuer, token: Some(limits) }
    }

    /// Refuses what the token's scopes do not have.
    pub fn may(&self, scope: Scope) -> Result<(), Status> {
        match &self.token {
            Some(limits) if !limits.scopes.has(scope) => Err(Status::permission_denied(format!(
                "this call needs the scope {scope}, and the token has {}; make one with: \
                 stoa provider token --scope {scope}",
                limits.scopes
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses leases that the token does not name.
    pub(super) fn may_touch(&self, lease: &BidId) -> Result<(), Status> {
        self.may_any(&lease.text(), |text| text == lease.text())
    }

    /// Refuses deployments of which the token names no lease.
    pub(super) fn may_touch_deployment(&self, id: &DeploymentId) -> Result<(), Status> {
        self.may_any(&id.text(), |text| {
            BidId::parse(text).is_ok_and(|lease| deployment_of(&lease) == *id)
        })
    }

    fn may_any(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Result<(), Status> {
        let named = |limits: &Limits| {
            limits.leases.is_empty() || limits.leases.iter().any(|lease| is_it(lease))
        };
        match &self.token {
            Some(limits) if !named(limits) => {
                Err(Status::permission_denied(format!("the token is not for {what}")))
            }
            _ => Ok(()),
        }
    }
}

/// The caller of a gRPC call, where it may do that.
pub(super) fn caller<T>(request: &Request<T>, scope: Scope) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().ok_or_else(nobody)?;
    caller.may(scope)?;
    Ok(caller.clone())
}

/// Neither a certificate nor a token.
pub(super) fn nobody() -> Status {
    Status::unauthenticated(
        "this call needs the tenant's certificate, or a token; create a certificate with: stoa tx \
         create-cert, a token with: stoa provider token",
    )
}

#[cfg(test)]
mod tests {
    use stoa_client::token::Claims;

    use super::*;
    use crate::tests_support::{lease_view, me, order, tenant};

    fn with(scopes: &[Scope], leases: Vec<String>) -> Caller {
        Caller::with_token(Claims {
            issuer: tenant(),
            audience: me(),
            not_before: 0,
            expires: 1,
            id: "x".into(),
            scopes: scopes.iter().copied().collect(),
            leases,
        })
    }

    #[test]
    fn a_token_is_good_for_its_scopes_and_its_leases_alone() {
        let (one, other) = (lease_view(&order(1)).id, lease_view(&order(2)).id);
        let narrow = with(&[Scope::Logs], vec![one.text()]);
        narrow.may(Scope::Logs).unwrap();
        let refused = narrow.may(Scope::Shell).unwrap_err();
        assert!(refused.message().contains("scope shell"), "{refused}");
        narrow.may_touch(&one).unwrap();
        assert!(narrow.may_touch(&other).is_err());
        narrow.may_touch_deployment(&deployment_of(&one)).unwrap();
        assert!(narrow.may_touch_deployment(&deployment_of(&other)).is_err());
        let wide = with(&[Scope::Logs], vec![]);
        wide.may_touch(&other).unwrap();
        let certificate = Caller::with_certificate(tenant());
        certificate.may(Scope::Shell).unwrap();
        certificate.may_touch(&other).unwrap();
    }
}
