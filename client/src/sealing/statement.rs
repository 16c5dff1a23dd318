//! "This is my sealing key": signed by the root that the chain records, so that
//! anybody may pass it on.

use stoa_proto::{gateway::v1::SealingKey, provider::v1::Provider};

use super::Form;
use crate::{
    gateway::roots_of,
    tls::{verify_signature, Identity},
    Error, Result,
};

const DOMAIN: &str = "stoa-sealing-key/1";
/// Clocks differ a little.
const AHEAD: u64 = 600;

/// A provider's statement. `now` in Unix seconds.
pub fn make_statement(
    chain_id: &str,
    provider: &str,
    public_key: Vec<u8>,
    root: &Identity,
    now: u64,
) -> Result<SealingKey> {
    let mut key = SealingKey {
        provider: provider.into(),
        public_key,
        issued_at: now,
        ..SealingKey::default()
    };
    key.signature = root.sign(&form(chain_id, &key))?;
    Ok(key)
}

/// Refuses a statement that no root of the provider's record has signed.
pub fn check_statement(
    chain_id: &str,
    key: &SealingKey,
    record: &Provider,
    now: u64,
) -> Result<()> {
    let refuse =
        |why: &str| Err(Error::Tls(format!("the sealing key of provider {} {why}", record.owner)));
    if key.provider != record.owner {
        return refuse("is another provider's");
    }
    if key.public_key.len() != 32 {
        return refuse("is not of 32 bytes");
    }
    if key.issued_at > now.saturating_add(AHEAD) {
        return refuse("is of the future");
    }
    let message = form(chain_id, key);
    let signed = |root: &Vec<u8>| verify_signature(root, &message, &key.signature).is_ok();
    match roots_of(record, now).iter().any(signed) {
        true => Ok(()),
        false => refuse("is not signed by the root that the chain records"),
    }
}

fn form(chain_id: &str, key: &SealingKey) -> Vec<u8> {
    let mut form = Form::default();
    form.text(DOMAIN).text(chain_id).text(&key.provider);
    form.text(&hex::encode(&key.public_key)).text(&key.issued_at.to_string());
    form.0
}
