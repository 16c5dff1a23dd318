//! What can be wrong with a certificate.

use crate::types::Address;

/// Why a certificate is refused. Modules give it codes of their own, from
/// [`Error::number`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Over the bound.
    #[error("the certificate has {size} bytes; at most {max} are allowed")]
    TooLarge {
        /// Bytes it has.
        size: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// No certificate, more than one, or not in DER.
    #[error("not exactly one X.509 certificate in DER: {0}")]
    Malformed(String),
    /// An older version, or unique identifiers, which version 3 made obsolete.
    #[error("the certificate is not of X.509 version 3 without unique identifiers")]
    Version,
    /// A serial number out of bounds.
    #[error("the certificate's serial number must be positive, in DER, and of at most 20 bytes")]
    Serial,
    /// Issued by another.
    #[error("the certificate is not self-signed: its issuer differs from its subject")]
    NotSelfIssued,
    /// A subject that names somebody else, nobody, or several.
    #[error(
        "the certificate's subject must have exactly one common name, {wanted}, as text; {found}"
    )]
    CommonName {
        /// The owner.
        wanted: Address,
        /// What stands there.
        found: String,
    },
    /// From the future.
    #[error("the certificate is valid from Unix second {from} on; the block's is {now}")]
    NotYetValid {
        /// Start of its validity.
        from: i64,
        /// The block's time.
        now: i64,
    },
    /// From the past.
    #[error("the certificate expired at Unix second {until}; the block's is {now}")]
    Expired {
        /// End of its validity.
        until: i64,
        /// The block's time.
        now: i64,
    },
    /// A key or signature of another kind.
    #[error(
        "the certificate's key and signature must be Ed25519, or ECDSA on P-256 (uncompressed \
         point) with SHA-256: {0}"
    )]
    Algorithm(&'static str),
    /// A signature that its own key does not verify.
    #[error("the certificate's signature is not its own key's over its contents")]
    Signature,
    /// Over the bound.
    #[error("the certificate has {count} extensions; at most {max} are allowed")]
    TooManyExtensions {
        /// How many it has.
        count: usize,
        /// How many it may have.
        max: usize,
    },
    /// An extension that stands twice, does not parse, or is critical and
    /// unknown.
    #[error("extension {oid} of the certificate {what}")]
    Extension {
        /// Which.
        oid: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A leaf where an authority is asked for.
    #[error(
        "the certificate is no CA: it needs basicConstraints with CA true, since the gateway's \
         certificates chain to it"
    )]
    NotAuthority,
    /// A CA that may not sign certificates.
    #[error("the certificate has a key usage without keyCertSign")]
    KeyUsage,
}

impl Error {
    /// Stable number of the kind, from 1.
    pub fn number(&self) -> u32 {
        match self {
            Self::TooLarge { .. } => 1,
            Self::Malformed(_) => 2,
            Self::Version => 3,
            Self::Serial => 4,
            Self::NotSelfIssued => 5,
            Self::CommonName { .. } => 6,
            Self::NotYetValid { .. } => 7,
            Self::Expired { .. } => 8,
            Self::Algorithm(_) => 9,
            Self::Signature => 10,
            Self::TooManyExtensions { .. } => 11,
            Self::Extension { .. } => 12,
            Self::NotAuthority => 13,
            Self::KeyUsage => 14,
        }
    }
}
