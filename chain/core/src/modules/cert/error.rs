//! What cert refuses.

use super::{Serial, MAX_CERTIFICATES};
use crate::error::Refusal;
use crate::types::Address;
use crate::x509;

/// Codes from here on are those of a certificate, by its error's number.
const CERTIFICATE: u32 = 100;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text of another form.
    #[error(
        "serial number {0:?} is not 2 to 40 lower-case hexadecimal digits, in pairs, without \
         leading zero bytes"
    )]
    SerialText(String),
    /// Taken before, be it revoked.
    #[error("{owner} has a certificate of serial number {serial} already; choose another number")]
    SerialTaken {
        /// Whose.
        owner: Address,
        /// Which.
        serial: Serial,
    },
    /// Too many.
    #[error("{0} has {MAX_CERTIFICATES} certificates, revoked ones included; no more are allowed")]
    TooMany(Address),
    /// No such certificate.
    #[error("{owner} has no certificate of serial number {serial}")]
    NotFound {
        /// Whose.
        owner: Address,
        /// Which.
        serial: Serial,
    },
    /// Revoked before.
    #[error("certificate {0} is revoked already")]
    AlreadyRevoked(Serial),
    /// A certificate that is not right.
    #[error(transparent)]
    Certificate(#[from] x509::Error),
}

impl Refusal for Error {
    const CODESPACE: &'static str = "cert";

    fn code(&self) -> u32 {
        match self {
            Self::SerialText(_) => 1,
            Self::SerialTaken { .. } => 2,
            Self::TooMany(_) => 3,
            Self::NotFound { .. } => 4,
            Self::AlreadyRevoked(_) => 5,
            Self::Certificate(error) => CERTIFICATE.saturating_add(error.number()),
        }
    }
}
