//! Queries about tenants' certificates.

use stoa_proto::cert::v1 as pb;

use super::{keys, Certificate, Serial};
use crate::ctx::Ctx;
use crate::error::{Failure, SdkError};
use crate::page;
use crate::query::Router;
use crate::types::Address;

/// Mounts them.
pub fn routes(router: &mut Router) {
    router.mount("/stoa.cert.v1.Query/Certificates", query_certificates);
}

fn query_certificates(
    ctx: &Ctx<'_>,
    request: pb::QueryCertificatesRequest,
) -> Result<pb::QueryCertificatesResponse, Failure> {
    let owner: Address = request.owner.parse()?;
    let state = pb::CertificateState::try_from(request.state).map_err(|_| {
        SdkError::InvalidRequest(format!("certificates have no state {}", request.state))
    })?;
    let wanted = match request.serial.as_str() {
        "" => None,
        text => Some(text.parse::<Serial>()?),
    };
    let prefix = match &wanted {
        None => keys::certificates_of(&owner),
        Some(serial) => keys::certificate(&owner, serial),
    };
    let (certificates, pagination) =
        page::collect(ctx, &prefix, request.pagination, |key, value| {
            let (owner, serial, certificate) = super::read(key, value)?;
            // Longer serial numbers may begin with the one that is asked for.
            let asked = wanted.as_ref().is_none_or(|wanted| *wanted == serial);
            let any = state == pb::CertificateState::Unspecified;
            (asked && (any || state == state_of(&certificate)))
                .then(|| to_proto(&owner, &serial, certificate))
        })?;
    Ok(pb::QueryCertificatesResponse { certificates, pagination: Some(pagination) })
}

fn state_of(certificate: &Certificate) -> pb::CertificateState {
    if certificate.revoked {
        pb::CertificateState::Revoked
    } else {
        pb::CertificateState::Valid
    }
}

fn to_proto(owner: &Address, serial: &Serial, certificate: Certificate) -> pb::Certificate {
    pb::Certificate {
        owner: owner.to_string(),
        serial: serial.to_string(),
        state: state_of(&certificate).into(),
        der: certificate.der,
    }
}
