//! The signature of a self-signed certificate.

use p256::ecdsa::signature::Verifier as _;
use x509_parser::certificate::X509Certificate;

use super::der::Value;
use super::Error;

/// Algorithm identifiers in DER, whole: each has one encoding, and the parser
/// does not look at all of it.
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
const ECDSA_WITH_SHA256: &[u8] =
    &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const KEY_ON_P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];

/// First byte of an uncompressed point, and the bytes of one on P-256.
const UNCOMPRESSED: (u8, usize) = (0x04, 65);

/// The algorithm identifiers of a certificate.
pub struct Algorithms<'a> {
    /// Beside the signature.
    outer: &'a [u8],
    /// Under the signature.
    inner: &'a [u8],
    /// The key's.
    key: &'a [u8],
}

impl<'a> Algorithms<'a> {
    /// From the three parts of a certificate of version 3: contents,
    /// algorithm, signature.
    pub fn find(parts: &[Value<'a>]) -> Option<Self> {
        let [contents, outer, _] = parts else { return None };
        let fields = contents.children()?;
        let [_version, _serial, inner, _issuer, _validity, _subject, key, ..] = fields.as_slice()
        else {
            return None;
        };
        let key = key.children()?;
        Some(Self { outer: outer.whole, inner: inner.whole, key: key.first()?.whole })
    }
}

/// Verifies the signature by the certificate's own key.
pub fn verify(certificate: &X509Certificate<'_>, algorithms: &Algorithms<'_>) -> Result<(), Error> {
    let Algorithms { outer, inner, key: kind } = *algorithms;
    if outer != inner {
        return Err(Error::Algorithm("its two signature algorithms differ"));
    }
    let key = &certificate.public_key().subject_public_key;
    let signature = &certificate.signature_value;
    if key.unused_bits != 0 || signature.unused_bits != 0 {
        return Err(Error::Algorithm("its key or signature is not of whole bytes"));
    }
    let signed = certificate.tbs_certificate.as_ref();
    match (outer, kind) {
        (ED25519, ED25519) => verify_ed25519(&key.data, signed, &signature.data),
        (ECDSA_WITH_SHA256, KEY_ON_P256) => verify_p256(&key.data, signed, &signature.data),
        (ED25519 | ECDSA_WITH_SHA256, _) => {
            Err(Error::Algorithm("its key is of another kind than its signature"))
        }
        _ => Err(Error::Algorithm("it is signed with another algorithm, or with parameters")),
    }
}

fn verify_ed25519(key: &[u8], signed: &[u8], signature: &[u8]) -> Result<(), Error> {
    let key: &[u8; 32] =
        key.try_into().map_err(|_| Error::Algorithm("an Ed25519 key has 32 bytes"))?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(key)
        .map_err(|_| Error::Algorithm("its key is no point of the curve"))?;
    let signature =
        ed25519_dalek::Signature::from_slice(signature).map_err(|_| Error::Signature)?;
    key.verify_strict(signed, &signature).map_err(|_| Error::Signature)
}

fn verify_p256(key: &[u8], signed: &[u8], signature: &[u8]) -> Result<(), Error> {
    if (key.first().copied(), key.len()) != (Some(UNCOMPRESSED.0), UNCOMPRESSED.1) {
        return Err(Error::Algorithm("its key is no uncompressed point"));
    }
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key)
        .map_err(|_| Error::Algorithm("its key is no point of the curve"))?;
    let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| Error::Signature)?;
    key.verify(signed, &signature).map_err(|_| Error::Signature)
}
