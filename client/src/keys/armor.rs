//! Armoured export: a sealed key as text that survives mail and clipboards.

use base64::{engine::general_purpose::STANDARD as BASE64, Engine as _};
use serde::{Deserialize, Serialize};

use super::{Algorithm, KeyError, Sealed, SecretKey};

const BEGIN: &str = "-----BEGIN STOA PRIVATE KEY-----";
const END: &str = "-----END STOA PRIVATE KEY-----";
/// Far over any real export.
const MAX_BYTES: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    algorithm: Algorithm,
    sealed: Sealed,
}

/// Seals a key under a passphrase of its own and wraps it at 64 columns.
pub(super) fn export(key: &SecretKey, passphrase: &str) -> Result<String, KeyError> {
    let algorithm = key.algorithm();
    let sealed = Sealed::seal(key.to_bytes().as_slice(), passphrase, about(algorithm).as_bytes())?;
    let json = serde_json::to_vec(&Export { algorithm, sealed })
        .map_err(|e| KeyError::BadFile("export".into(), e.to_string()))?;
    let body = BASE64.encode(json);
    let mut out = format!("{BEGIN}\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(END);
    out.push('\n');
    Ok(out)
}

/// The key of an armoured text.
pub(super) fn import(text: &str, passphrase: &str) -> Result<SecretKey, KeyError> {
    let bad = |why: &str| KeyError::BadFile("the armoured text".into(), why.into());
    if text.len() > MAX_BYTES {
        return Err(bad("it is over 16 KiB"));
    }
    let body = text
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .map(|(body, _)| body.split_whitespace().collect::<String>())
        .ok_or_else(|| bad("its BEGIN or END line is missing"))?;
    let json = BASE64.decode(body).map_err(|_| bad("its body is not base64"))?;
    let export: Export = serde_json::from_slice(&json).map_err(|e| bad(&e.to_string()))?;
    let secret = export.sealed.open(passphrase, about(export.algorithm).as_bytes())?;
    SecretKey::from_bytes(export.algorithm, &secret)
}

fn about(algorithm: Algorithm) -> String {
    format!("stoa export 1 {algorithm}")
}
