//! Statements signed by the key of a certificate.

use rcgen::SigningKey;
use rustls::{crypto::ring, SignatureScheme};

use super::{x509, Identity};
use crate::{Error, Result};

impl Identity {
    /// Signs with the first certificate's key: ECDSA P-256, SHA-256, in DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.key_pair()?.sign(message).map_err(|e| Error::Tls(format!("signing: {e}")))
    }
}

/// Refuses what the key of this certificate (DER) did not sign by
/// [`Identity::sign`]. Nothing else about the certificate is looked at.
pub fn verify_signature(certificate: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
    let key = x509::p256_key(certificate)?;
    let wanted = SignatureScheme::ECDSA_NISTP256_SHA256;
    let provider = ring::default_provider();
    let mut known = provider.signature_verification_algorithms.mapping.iter();
    let algorithms = known.find(|(scheme, _)| *scheme == wanted).map(|(_, list)| *list);
    let good = algorithms
        .into_iter()
        .flatten()
        .any(|algorithm| algorithm.verify_signature(&key, message, signature).is_ok());
    match good {
        true => Ok(()),
        false => Err(Error::Tls("the signature is not by the certificate's key".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{provider_root, tenant};

    #[test]
    fn only_what_the_certificates_own_key_signed_is_taken() {
        let one = tenant("stoa1one", 1).unwrap();
        let signature = one.sign(b"words").unwrap();
        verify_signature(one.certificate(), b"words", &signature).unwrap();
        assert!(verify_signature(one.certificate(), b"other words", &signature).is_err());
        let root = provider_root("stoa1one", 1).unwrap();
        assert!(verify_signature(root.certificate(), b"words", &signature).is_err());
        assert!(verify_signature(one.certificate(), b"words", b"").is_err());
        assert!(verify_signature(b"none", b"words", &signature).is_err());
    }
}
