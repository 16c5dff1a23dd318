//! The signature of a self-signed certificate.

use p256::ecdsa::signature::Verifier as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    Oid, OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ED25519,
};
use x509_parser::x509::AlgorithmIdentifier;

use super::Error;

/// First byte of an uncompressed point, and the bytes of one on P-256.
const UNCOMPRESSED: (u8, usize) = (0x04, 65);

/// Verifies the signature by the certificate's own key.
pub fn verify(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let algorithm = &certificate.signature_algorithm;
    if *algorithm != certificate.tbs_certificate.signature {
        return Err(Error::Algorithm("its two signature algorithms differ"));
    }
    if algorithm.parameters.is_some() {
        return Err(Error::Algorithm("its signature algorithm has parameters"));
    }
    let key = certificate.public_key();
    let bits = [&key.subject_public_key, &certificate.signature_value];
    if bits.iter().any(|bits| bits.unused_bits != 0) {
        return Err(Error::Algorithm("its key or signature is not of whole bytes"));
    }
    let (key_bits, signature) = (&key.subject_public_key.data, &certificate.signature_value.data);
    let signed = certificate.tbs_certificate.as_ref();
    if algorithm.algorithm == OID_SIG_ED25519 {
        check_key_kind(&key.algorithm, &OID_SIG_ED25519, None)?;
        verify_ed25519(key_bits, signed, signature)
    } else if algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256 {
        check_key_kind(&key.algorithm, &OID_KEY_TYPE_EC_PUBLIC_KEY, Some(&OID_EC_P256))?;
        verify_p256(key_bits, signed, signature)
    } else {
        Err(Error::Algorithm("it is signed with another algorithm"))
    }
}

fn check_key_kind(
    found: &AlgorithmIdentifier<'_>,
    kind: &Oid<'_>,
    curve: Option<&Oid<'_>>,
) -> Result<(), Error> {
    let parameter = match &found.parameters {
        Some(any) => Some(any.as_oid().map_err(|_| Error::Algorithm("its key's curve"))?),
        None => None,
    };
    if found.algorithm != *kind || parameter.as_ref() != curve {
        return Err(Error::Algorithm("its key is of another kind than its signature"));
    }
    Ok(())
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
