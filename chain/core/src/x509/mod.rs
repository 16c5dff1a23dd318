//! X.509 certificates of providers and tenants, checked in one place.
//!
//! A certificate is taken where every careful implementation of TLS reads it
//! alike: strict DER, version 3, self-signed, one common name, known critical
//! extensions. Nothing here reads a clock: the block's time is handed in.

mod der;
mod error;
#[cfg(test)]
pub mod forge;
mod signature;
#[cfg(test)]
mod tests;

pub use error::Error;

use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{BasicConstraints, KeyUsage, X509Extension};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use self::signature::Algorithms;
use crate::types::Address;

/// Bytes of a certificate, whatever the parameters say.
pub const MAX_BYTES: usize = 4_096;
/// Extensions of a certificate.
pub const MAX_EXTENSIONS: usize = 16;
/// Bytes of a serial number (RFC 5280, 4.1.2.2), the sign's included.
pub const MAX_SERIAL_BYTES: usize = 20;

/// What is wanted of a certificate that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    serial: Vec<u8>,
    /// Unix seconds, both included.
    not_before: i64,
    not_after: i64,
    authority: bool,
    /// None where it has no key usage.
    signs_certificates: Option<bool>,
}

impl Certificate {
    /// Reads `der` as the self-signed certificate of `owner`: all that time
    /// does not change.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(der: &[u8], owner: &Address) -> Result<Self, Error> {
        let (certificate, algorithms) = parse(der)?;
        let serial = serial(certificate.raw_serial())?;
        check_names(&certificate, owner)?;
        let extensions = certificate.extensions();
        check_extensions(extensions)?;
        let read = Self {
            serial,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            authority: authority(extensions)?,
            signs_certificates: signs_certificates(extensions)?,
        };
        signature::verify(&certificate, &algorithms)?;
        Ok(read)
    }

    /// The serial number, big-endian, without leading zeros.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether it is valid at Unix second `now`.
    ///
    /// # Errors
    /// It is not valid yet, or no longer.
    pub fn check_time(&self, now: u64) -> Result<(), Error> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if now < self.not_before {
            return Err(Error::NotYetValid { from: self.not_before, now });
        }
        if now > self.not_after {
            return Err(Error::Expired { until: self.not_after, now });
        }
        Ok(())
    }

    /// Whether other certificates can chain to it.
    ///
    /// # Errors
    /// It is no CA, or one that may not sign certificates.
    pub fn check_authority(&self) -> Result<(), Error> {
        if !self.authority {
            return Err(Error::NotAuthority);
        }
        if self.signs_certificates == Some(false) {
            return Err(Error::KeyUsage);
        }
        Ok(())
    }
}

fn parse(der: &[u8]) -> Result<(X509Certificate<'_>, Algorithms<'_>), Error> {
    if der.len() > MAX_BYTES {
        return Err(Error::TooLarge { size: der.len(), max: MAX_BYTES });
    }
    let malformed = |what: &str| Error::Malformed(what.to_owned());
    let outer = der::one_value(der)
        .ok_or_else(|| malformed("cut off, bytes beside it, or lengths not in DER's one form"))?;
    // Extensions other than the two that matter here are not looked into.
    let (_, certificate) = X509CertificateParser::new()
        .with_deep_parse_extensions(false)
        .parse(der)
        .map_err(|error| Error::Malformed(error.to_string()))?;
    // The parser passes over what follows the last field that it knows.
    let parts = outer.children().unwrap_or_default();
    let [contents, _, _] = parts.as_slice() else {
        return Err(malformed("other than three parts"));
    };
    if contents.whole != certificate.tbs_certificate.as_ref() {
        return Err(malformed("fields after the extensions"));
    }
    check_version(&certificate)?;
    let algorithms = Algorithms::find(&parts).ok_or_else(|| malformed("too few fields"))?;
    Ok((certificate, algorithms))
}

fn check_version(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let plain = certificate.issuer_uid.is_none() && certificate.subject_uid.is_none();
    if certificate.version() == X509Version::V3 && plain {
        Ok(())
    } else {
        Err(Error::Version)
    }
}

/// The magnitude of a DER integer that is positive.
fn serial(raw: &[u8]) -> Result<Vec<u8>, Error> {
    if raw.len() > MAX_SERIAL_BYTES {
        return Err(Error::Serial);
    }
    let magnitude = match raw {
        // A zero in front only where the next byte would read as a sign.
        [0, rest @ ..] if rest.first().is_some_and(|byte| *byte > 0x7f) => rest,
        [1..=0x7f, ..] => raw,
        _ => return Err(Error::Serial),
    };
    Ok(magnitude.to_vec())
}

fn check_names(certificate: &X509Certificate<'_>, owner: &Address) -> Result<(), Error> {
    if certificate.issuer().as_raw() != certificate.subject().as_raw() {
        return Err(Error::NotSelfIssued);
    }
    let wrong = |found: String| Error::CommonName { wanted: *owner, found };
    let names: Vec<_> = certificate.subject().iter_common_name().take(2).collect();
    let [name] = names.as_slice() else {
        let found = if names.is_empty() { "it has none" } else { "it has several" };
        return Err(wrong(found.to_owned()));
    };
    let name = name.as_str().map_err(|_| wrong("it is no text".to_owned()))?;
    if name != owner.to_string() {
        let start: String = name.chars().take(90).collect();
        return Err(wrong(format!("it is {start:?}")));
    }
    Ok(())
}

fn check_extensions(extensions: &[X509Extension<'_>]) -> Result<(), Error> {
    if extensions.len() > MAX_EXTENSIONS {
        return Err(Error::TooManyExtensions { count: extensions.len(), max: MAX_EXTENSIONS });
    }
    let known = [
        OID_X509_EXT_BASIC_CONSTRAINTS,
        OID_X509_EXT_KEY_USAGE,
        OID_X509_EXT_EXTENDED_KEY_USAGE,
        OID_X509_EXT_SUBJECT_ALT_NAME,
        OID_X509_EXT_NAME_CONSTRAINTS,
    ];
    for extension in extensions {
        let same = extensions.iter().filter(|other| other.oid == extension.oid);
        if same.count() > 1 {
            return Err(wrong(extension, "stands there twice"));
        }
        if extension.critical && !known.contains(&extension.oid) {
            return Err(wrong(extension, "is critical, and not known here"));
        }
    }
    Ok(())
}

fn wrong(extension: &X509Extension<'_>, what: &'static str) -> Error {
    Error::Extension { oid: extension.oid.to_id_string(), what }
}

fn authority(extensions: &[X509Extension<'_>]) -> Result<bool, Error> {
    let found = extensions.iter().find(|found| found.oid == OID_X509_EXT_BASIC_CONSTRAINTS);
    let Some(extension) = found else { return Ok(false) };
    match BasicConstraints::from_der(extension.value) {
        Ok(([], constraints)) => Ok(constraints.ca),
        _ => Err(wrong(extension, "does not parse")),
    }
}

fn signs_certificates(extensions: &[X509Extension<'_>]) -> Result<Option<bool>, Error> {
    let found = extensions.iter().find(|found| found.oid == OID_X509_EXT_KEY_USAGE);
    let Some(extension) = found else { return Ok(None) };
    match KeyUsage::from_der(extension.value) {
        Ok(([], usage)) => Ok(Some(usage.key_cert_sign())),
        _ => Err(wrong(extension, "does not parse")),
    }
}
