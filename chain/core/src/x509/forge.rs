//! Certificates for tests: real ones, and any that can be spelled out.

use ed25519_dalek::Signer as _;
use rcgen::{
    date_time_ymd, BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::types::Address;

/// Parameters of a CA's certificate that is right.
pub fn authority(owner: &Address) -> CertificateParams {
    let mut params = leaf(owner);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// Parameters of a tenant's certificate that is right.
pub fn leaf(owner: &Address) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, owner.to_string());
    params
}

/// Signed by a new P-256 key.
pub fn sign(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

/// A new root of `owner`; each is another.
pub fn root(owner: &Address) -> Vec<u8> {
    sign(&authority(owner))
}

/// A new tenant's certificate of `owner`; each has another serial number.
pub fn tenant(owner: &Address) -> Vec<u8> {
    sign(&leaf(owner))
}

/// A certificate part by part, signed with Ed25519.
pub struct Parts {
    pub version: Vec<u8>,
    pub serial: Vec<u8>,
    pub algorithm: Vec<u8>,
    pub issuer: Vec<u8>,
    pub validity: Vec<u8>,
    pub subject: Vec<u8>,
    pub key: Vec<u8>,
    pub after_key: Vec<u8>,
    /// Each a whole extension.
    pub extensions: Vec<Vec<u8>>,
    pub after_extensions: Vec<u8>,
    pub outer_algorithm: Vec<u8>,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;
const OID: u8 = 0x06;

pub fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..=0x7f => vec![tag, u8::try_from(length).unwrap()],
        0x80..=0xff => vec![tag, 0x81, u8::try_from(length).unwrap()],
        _ => [&[tag, 0x82][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
    };
    [header, content.to_vec()].concat()
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// A name of common names.
pub fn name(common_names: &[&str]) -> Vec<u8> {
    let common_name = value(OID, &[0x55, 0x04, 0x03]);
    let one = |text: &&str| value(0x31, &sequence(&[&common_name, &value(0x0c, text.as_bytes())]));
    value(SEQUENCE, &common_names.iter().map(one).collect::<Vec<_>>().concat())
}

/// An extension under 2.5.29.
pub fn extension(id: u8, critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    sequence(&[&value(OID, &[0x55, 0x1d, id]), critical, &value(OCTETS, content)])
}

impl Parts {
    /// A CA's certificate that is right.
    pub fn right(owner: &Address) -> Self {
        let ed25519 = sequence(&[&value(OID, &[0x2b, 0x65, 0x70])]);
        let public = signing_key().verifying_key().to_bytes();
        let name = name(&[&owner.to_string()]);
        let time = |text: &str| value(0x17, text.as_bytes());
        let ca = extension(0x13, true, &[0x30, 0x03, 0x01, 0x01, 0xff]);
        Self {
            version: value(0xa0, &value(INTEGER, &[2])),
            serial: value(INTEGER, &[0x01, 0x02]),
            algorithm: ed25519.clone(),
            issuer: name.clone(),
            validity: sequence(&[&time("200101000000Z"), &time("400101000000Z")]),
            subject: name,
            key: sequence(&[&ed25519, &value(BITS, &[&[0][..], &public].concat())]),
            after_key: Vec::new(),
            extensions: vec![ca],
            after_extensions: Vec::new(),
            outer_algorithm: ed25519,
        }
    }

    pub fn signed(&self) -> Vec<u8> {
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            all => value(0xa3, &value(SEQUENCE, &all.concat())),
        };
        let contents = sequence(&[
            &self.version,
            &self.serial,
            &self.algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.key,
            &self.after_key,
            &extensions,
            &self.after_extensions,
        ]);
        let signature = signing_key().sign(&contents).to_bytes();
        let signature = value(BITS, &[&[0][..], &signature].concat());
        sequence(&[&contents, &self.outer_algorithm, &signature])
    }
}

fn signing_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}
