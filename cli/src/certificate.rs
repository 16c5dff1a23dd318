//! The tenant's certificate: a file here, a record on chain.

use std::{os::unix::fs::DirBuilderExt, path::PathBuf};

use stoa_client::{
    query::QueryClient,
    tls::{self, Identity},
    tx::any,
};
use stoa_proto::{cert::v1::MsgCreateCertificate, Any};

use crate::{context::Context, exit::Failure, text};

/// How long a new one is valid.
const DAYS: u32 = 365;
/// One that ends within so many seconds is made anew.
const MARGIN: i64 = 7 * 86_400;

fn path(context: &Context, chain_id: &str, owner: &str) -> PathBuf {
    context.config.home.join("certificates").join(chain_id).join(format!("{owner}.pem"))
}

/// Makes a new one and keeps it; nothing is sent.
pub fn make(context: &Context, chain_id: &str, owner: &str) -> Result<Identity, Failure> {
    let path = path(context, chain_id, owner);
    if let Some(dir) = path.parent() {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| Failure::new(format!("{}: {e}", dir.display())))?;
    }
    let identity = tls::tenant(owner, DAYS)?;
    identity.save(&path)?;
    Ok(identity)
}

/// The one that is kept here, if it is still good for a while.
fn kept(context: &Context, chain_id: &str, owner: &str) -> Result<Option<Identity>, Failure> {
    let path = path(context, chain_id, owner);
    if !path.exists() {
        return Ok(None);
    }
    let identity = Identity::load(&path)?;
    let validity = tls::validity(identity.certificate())?;
    let soon = i64::try_from(text::now()).unwrap_or(i64::MAX).saturating_add(MARGIN);
    Ok(validity.refusal(soon).is_none().then_some(identity))
}

/// The tenant's certificate, and the message that registers it where the chain
/// does not have it yet.
pub async fn ensure(
    context: &Context,
    query: &QueryClient,
    chain_id: &str,
    owner: &str,
) -> Result<(Identity, Option<Any>), Failure> {
    let identity = match kept(context, chain_id, owner)? {
        Some(identity) => identity,
        None => make(context, chain_id, owner)?,
    };
    if query.is_valid_certificate(owner, identity.certificate()).await? {
        return Ok((identity, None));
    }
    // A revoked one's serial stays taken: it cannot be registered again.
    let serial = tls::serial_hex(identity.certificate())?;
    let state = stoa_proto::cert::v1::CertificateState::Revoked;
    let revoked = query.certificates(owner, &serial, state).await?;
    let identity = if revoked.is_empty() { identity } else { make(context, chain_id, owner)? };
    let der = identity.certificate().to_vec();
    let message = any(&MsgCreateCertificate { owner: owner.into(), der });
    Ok((identity, Some(message)))
}

/// The tenant's certificate for talking to providers; it must be on chain.
pub async fn open(
    context: &Context,
    query: &QueryClient,
    chain_id: &str,
    owner: &str,
) -> Result<Identity, Failure> {
    match ensure(context, query, chain_id, owner).await? {
        (identity, None) => Ok(identity),
        (_, Some(_)) => Err(Failure::new(
            "the chain has no valid certificate of this account that is kept here; \
             `stoa tx create-cert` makes and registers one",
        )),
    }
}
