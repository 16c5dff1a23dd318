//! Publishing a certificate, and revoking it.

use stoa_proto::cert::v1 as pb;

use super::{keys, Certificate, Error, Serial, MAX_CERTIFICATES};
use crate::ctx::Ctx;
use crate::error::Failure;
use crate::event;
use crate::gas;
use crate::modules::provider;
use crate::tx::Message;
use crate::types::Address;
use crate::x509;

/// Publishes a certificate under its serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    owner: Address,
    der: Vec<u8>,
}

impl TryFrom<pb::MsgCreateCertificate> for Create {
    type Error = Failure;

    fn try_from(msg: pb::MsgCreateCertificate) -> Result<Self, Failure> {
        Ok(Self { owner: msg.owner.parse()?, der: msg.der })
    }
}

impl Message for Create {
    type Proto = pb::MsgCreateCertificate;
    type Response = pb::MsgCreateCertificateResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { owner, der } = self;
        let serial = check(ctx, &owner, &der)?;
        let key = keys::certificate(&owner, &serial);
        if ctx.has(&key) {
            return Err(Error::SerialTaken { owner, serial }.into());
        }
        let certificates = ctx.prefix(&keys::certificates_of(&owner)).take(MAX_CERTIFICATES);
        if certificates.count() == MAX_CERTIFICATES {
            return Err(Error::TooMany(owner).into());
        }
        ctx.put(key, &Certificate { der, revoked: false });
        ctx.emit(event!(pb::EventCertificateCreated { owner: owner, serial: serial }));
        Ok(pb::MsgCreateCertificateResponse { serial: serial.to_string() })
    }
}

/// The serial number of a certificate that is right for its owner now.
fn check(ctx: &Ctx<'_>, owner: &Address, der: &[u8]) -> Result<Serial, Error> {
    let max = provider::params(ctx).max_certificate_bytes;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    if der.len() > max {
        return Err(x509::Error::TooLarge { size: der.len(), max }.into());
    }
    ctx.charge(gas::VERIFY_CERTIFICATE);
    let certificate = x509::Certificate::read(der, owner)?;
    certificate.check_time(ctx.now())?;
    Ok(Serial::new(certificate.serial()).ok_or(x509::Error::Serial)?)
}

/// Revokes a certificate for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoke {
    owner: Address,
    serial: Serial,
}

impl TryFrom<pb::MsgRevokeCertificate> for Revoke {
    type Error = Failure;

    fn try_from(msg: pb::MsgRevokeCertificate) -> Result<Self, Failure> {
        Ok(Self { owner: msg.owner.parse()?, serial: msg.serial.parse()? })
    }
}

impl Message for Revoke {
    type Proto = pb::MsgRevokeCertificate;
    type Response = pb::MsgRevokeCertificateResponse;

    fn signer(&self) -> Address {
        self.owner
    }

    fn execute(self, ctx: &mut Ctx<'_>) -> Result<Self::Response, Failure> {
        let Self { owner, serial } = self;
        let Some(mut certificate) = super::certificate(ctx, &owner, &serial) else {
            return Err(Error::NotFound { owner, serial }.into());
        };
        if certificate.revoked {
            return Err(Error::AlreadyRevoked(serial).into());
        }
        certificate.revoked = true;
        ctx.put(keys::certificate(&owner, &serial), &certificate);
        ctx.emit(event!(pb::EventCertificateRevoked { owner: owner, serial: serial }));
        Ok(pb::MsgRevokeCertificateResponse {})
    }
}
