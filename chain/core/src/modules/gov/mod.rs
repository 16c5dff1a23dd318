//! Governance: proposals, deposits, votes, and their execution.
//!
//! A proposal's messages are ordinary ones whose signer is the module's own
//! address ([`authority`]), for which nobody has a key.

mod genesis;

pub use genesis::{export, init, Genesis};

use sha2::{Digest, Sha256};

use crate::ctx::Ctx;
use crate::error::SdkError;
use crate::modules::Holdings;
use crate::query::Router;
use crate::types::Address;

/// Who may change parameters: the address of the name `gov`, as in the Cosmos
/// SDK the first 20 bytes of its SHA-256.
pub fn authority() -> Address {
    Address::new(Sha256::digest(b"gov").first_chunk().copied().unwrap_or_default())
}

/// Refuses everybody but governance.
///
/// # Errors
/// `signer` is somebody else.
pub fn check_authority(signer: &Address) -> Result<(), SdkError> {
    let authority = authority();
    if *signer == authority {
        return Ok(());
    }
    Err(SdkError::Unauthorized(format!(
        "invalid authority; expected {authority} (a proposal of governance), got {signer}"
    )))
}

/// Mounts the queries.
pub fn routes(_router: &mut Router) {}

/// Ends deposit and voting periods that are over, and executes what passed.
pub fn end_block(_ctx: &mut Ctx<'_>) {}

/// Adds deposits to what is held.
pub fn add_holdings(_ctx: &Ctx<'_>, _held: &mut Holdings) {}

/// What is wrong with governance's records.
pub fn check_invariants(_ctx: &Ctx<'_>, _broken: &mut Vec<String>) {}
