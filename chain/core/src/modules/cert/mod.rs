//! Tenants' certificates for mTLS with providers.
//!
//! Owns: a record for each owner and serial number. Revoked certificates stay,
//! so that a serial number names one certificate for ever. Invariants: a
//! certificate is its owner's, self-signed, under its own serial number; an
//! owner has at most [`MAX_CERTIFICATES`].

mod error;
mod genesis;
mod keys;
mod msgs;
mod query;
mod serial;
#[cfg(test)]
mod tests;

use borsh::{BorshDeserialize, BorshSerialize};

pub use error::Error;
pub use genesis::{export, init, Genesis, GenesisCertificate};
pub use msgs::{Create, Revoke};
pub use query::routes;
pub use serial::Serial;

use crate::ctx::Ctx;
use crate::types::Address;

/// Most certificates of one owner, revoked ones included.
pub const MAX_CERTIFICATES: usize = 64;

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// X.509 in DER.
    pub der: Vec<u8>,
    /// Whether its owner has revoked it.
    pub revoked: bool,
}

/// The owner's certificate of this serial number, revoked or not.
pub fn certificate(ctx: &Ctx<'_>, owner: &Address, serial: &Serial) -> Option<Certificate> {
    ctx.get(&keys::certificate(owner, serial))
}

/// All certificates, by owner, then serial number.
pub fn certificates<'a>(
    ctx: &'a Ctx<'_>,
) -> impl Iterator<Item = (Address, Serial, Certificate)> + 'a {
    ctx.prefix(&keys::certificates()).filter_map(|(key, value)| read(&key, &value))
}

/// What is wrong with cert's records.
pub fn check_invariants(ctx: &Ctx<'_>, broken: &mut Vec<String>) {
    let mut counted: Option<(Address, usize)> = None;
    for (owner, _, _) in certificates(ctx) {
        let count = match counted {
            Some((last, count)) if last == owner => count.saturating_add(1),
            _ => 1,
        };
        counted = Some((owner, count));
        if count == MAX_CERTIFICATES.saturating_add(1) {
            broken.push(format!("{owner} has more than {MAX_CERTIFICATES} certificates"));
        }
    }
}

fn read(key: &[u8], value: &[u8]) -> Option<(Address, Serial, Certificate)> {
    let (owner, serial) = keys::certificate_parts(key)?;
    Some((owner, serial, crate::state::decode(key, value)))
}
