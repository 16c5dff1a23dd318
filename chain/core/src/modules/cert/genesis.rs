//! Certificates at genesis and in an export.

use serde::{Deserialize, Serialize};

use super::{certificates, keys, Certificate, Serial};
use crate::ctx::Ctx;
use crate::types::Address;
use crate::x509;

/// Cert's part of the genesis document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Genesis {
    /// Sorted by owner, then serial number.
    pub certificates: Vec<GenesisCertificate>,
}

/// A certificate with its owner. Its serial number stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisCertificate {
    /// Whose.
    pub owner: Address,
    /// X.509 in DER.
    #[serde(with = "hex::serde")]
    pub der: Vec<u8>,
    /// Whether its owner has revoked it.
    pub revoked: bool,
}

/// Writes the certificates, which may have expired since they were taken.
///
/// # Errors
/// One listed twice, or what is wrong with one.
pub fn init(ctx: &mut Ctx<'_>, genesis: &Genesis) -> Result<(), String> {
    for GenesisCertificate { owner, der, revoked } in &genesis.certificates {
        let wrong = |error: x509::Error| format!("a certificate of {owner}: {error}");
        let read = x509::Certificate::read(der, owner).map_err(wrong)?;
        let serial = Serial::new(read.serial()).ok_or_else(|| wrong(x509::Error::Serial))?;
        let key = keys::certificate(owner, &serial);
        if ctx.has(&key) {
            return Err(format!("certificate {serial} of {owner} is listed twice"));
        }
        ctx.put(key, &Certificate { der: der.clone(), revoked: *revoked });
    }
    Ok(())
}

/// As they are.
pub fn export(ctx: &Ctx<'_>) -> Genesis {
    let one = |(owner, _, certificate): (Address, Serial, Certificate)| GenesisCertificate {
        owner,
        der: certificate.der,
        revoked: certificate.revoked,
    };
    Genesis { certificates: certificates(ctx).map(one).collect() }
}
