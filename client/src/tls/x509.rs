//! What we read of a certificate.

use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    prelude::{ExtendedKeyUsage, FromDer, GeneralName},
};

use crate::{Error, Result};

/// The chain's limit on a certificate.
pub const MAX_DER: usize = 4096;

/// From when until when, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}

impl Validity {
    /// Why it is not valid at a time, if so.
    pub fn refusal(&self, now: i64) -> Option<&'static str> {
        if now < self.not_before {
            Some("is not valid yet")
        } else if now > self.not_after {
            Some("has expired")
        } else {
            None
        }
    }
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>> {
    if der.len() > MAX_DER {
        return Err(Error::Tls(format!("a certificate of {} bytes; at most {MAX_DER}", der.len())));
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Error::Tls("bytes follow the certificate".into())),
        Err(e) => Err(Error::Tls(format!("not an X.509 certificate: {e}"))),
    }
}

/// The subject's common name: an address, in ours.
pub fn common_name(der: &[u8]) -> Result<String> {
    let certificate = parse(der)?;
    let name = certificate.subject().iter_common_name().next().and_then(|n| n.as_str().ok());
    name.map(str::to_owned).ok_or_else(|| Error::Tls("the certificate has no common name".into()))
}

/// The DNS names that it is for.
pub fn dns_names(der: &[u8]) -> Result<Vec<String>> {
    let certificate = parse(der)?;
    let names = certificate.subject_alternative_name().map_err(|e| Error::Tls(e.to_string()))?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let one = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    Ok(names.iter().filter_map(one).collect())
}

/// SHA-256 of a certificate in DER, in hex.
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// The public key in a certificate, in DER.
pub fn public_key(der: &[u8]) -> Result<Vec<u8>> {
    parse(der).map(|certificate| certificate.public_key().raw.to_vec())
}

/// The P-256 public key of a certificate, as an uncompressed point.
pub(super) fn p256_key(der: &[u8]) -> Result<Vec<u8>> {
    let certificate = parse(der)?;
    let point = certificate.public_key().subject_public_key.data.to_vec();
    match (point.len(), point.first()) {
        (65, Some(4)) => Ok(point),
        _ => Err(Error::Tls("the certificate's key is not of the kind P-256".into())),
    }
}

/// The serial number as the chain writes it: big-endian bytes in lower-case
/// hex.
pub fn serial_hex(der: &[u8]) -> Result<String> {
    parse(der).map(|c| hex::encode(c.serial.to_bytes_be()))
}

/// From when until when it is valid.
pub fn validity(der: &[u8]) -> Result<Validity> {
    let certificate = parse(der)?;
    let v = certificate.validity();
    Ok(Validity { not_before: v.not_before.timestamp(), not_after: v.not_after.timestamp() })
}

/// Whether the extended key usage stands there and names what is wanted.
pub(super) fn allows(der: &[u8], wanted: impl Fn(&ExtendedKeyUsage<'_>) -> bool) -> Result<bool> {
    let certificate = parse(der)?;
    let usage = certificate.extended_key_usage().map_err(|e| Error::Tls(e.to_string()))?;
    Ok(usage.is_some_and(|u| wanted(u.value)))
}
