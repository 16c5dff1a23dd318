//! `stoad keys`, and reading the operator's key.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{bail, Context, Result};
use serde_json::json;
use stoa_genesis::OperatorKey;
use zeroize::Zeroizing;

use super::{args::Output, print_fields};
use crate::{
    comet::{NodeKey, ValidatorKey},
    home::Home,
};

/// Shows the public side of the home's keys.
pub fn run(home: &Home, output: Output) -> Result<()> {
    let node = NodeKey::read(&home.node_key())?;
    let mut fields = json!({ "node_id": node.id() });
    // With a remote signer the home holds no validator's key.
    if home.validator_key().exists() {
        let validator = ValidatorKey::read(&home.validator_key())?;
        fields["validator_address"] = json!(validator.address());
        fields["validator_pubkey"] = json!(validator.base64());
    }
    if home.operator_key().exists() {
        let operator = read_operator(&home.operator_key())?;
        fields["operator_address"] = json!(operator.public().address().to_string());
    }
    print_fields(output, &fields)
}

/// Reads an operator's secret key: 64 hex digits in a file that only its owner reads.
pub fn read_operator(path: &Path) -> Result<OperatorKey> {
    let shown = path.display();
    let mode = fs::metadata(path).with_context(|| shown.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{shown} can be read by others (mode {:o}); run chmod 600 on it", mode & 0o777);
    }
    let text = Zeroizing::new(fs::read_to_string(path).with_context(|| shown.to_string())?);
    let mut bytes = Zeroizing::new([0_u8; 32]);
    // The decoder's error could quote the secret.
    if hex::decode_to_slice(text.trim(), &mut *bytes).is_err() {
        bail!("{shown} is no key: expected 64 hex digits");
    }
    Ok(OperatorKey::from_bytes(*bytes)?)
}
