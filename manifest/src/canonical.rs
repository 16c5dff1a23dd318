//! The canonical form: the bytes whose SHA-256 is the version on chain.
//!
//! A JSON array of groups: object keys sorted by bytes, no spaces, `<` `>` `&` U+2028 U+2029
//! escaped, UTF-8 otherwise. Lists stand in the order that `model.rs` documents.

use sha2::{Digest, Sha256};

use crate::json;
use crate::model::Manifest;
use crate::validate;

/// No canonical manifest is longer, in bytes.
pub const MAX_CANONICAL_BYTES: usize = 512 * 1024;

/// Why bytes are not a canonical manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Longer than [`MAX_CANONICAL_BYTES`].
    #[error("manifest is {0} bytes long; at most {MAX_CANONICAL_BYTES} are allowed")]
    TooLarge(usize),
    /// Not JSON of the manifest's shape. Says where, never what stood there.
    #[error("manifest is not of the known form: {0}")]
    Malformed(String),
    /// The shape is right and the bytes are not the canonical ones.
    #[error(
        "manifest is not in canonical form at byte {0}: keys sorted, no spaces, nothing left out \
         or repeated"
    )]
    NotCanonical(usize),
    /// In canonical form and against the rules.
    #[error("{0}")]
    Invalid(String),
}

impl Manifest {
    /// The canonical bytes.
    pub fn canonical_json(&self) -> Vec<u8> {
        let value = serde_json::to_value(self)
            .expect("the model has string keys and no fallible serializer");
        let mut out = String::new();
        json::write_canonical(&value, &mut out);
        out.into_bytes()
    }

    /// SHA-256 of the canonical bytes: the deployment's version on chain.
    pub fn version(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_json()).into()
    }

    /// BLAKE3 root of the canonical bytes, which verifies a manifest range by range while it
    /// arrives: the deployment's `manifest_root` on chain.
    pub fn root(&self) -> blake3::Hash {
        blake3::hash(&self.canonical_json())
    }

    /// Reads canonical bytes, as a provider receives them: bounded in size, of the known shape,
    /// equal to their own encoding, and within the rules that the reader of SDL files keeps.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CanonicalError> {
        if bytes.len() > MAX_CANONICAL_BYTES {
            return Err(CanonicalError::TooLarge(bytes.len()));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| {
            // The message of serde_json may quote the input, which may be secret.
            let kind = match error.classify() {
                serde_json::error::Category::Data => "wrong or unknown field",
                _ => "not JSON",
            };
            CanonicalError::Malformed(format!(
                "{kind} at line {}, byte {}",
                error.line(),
                error.column()
            ))
        })?;
        let encoded = manifest.canonical_json();
        if encoded != bytes {
            let same = encoded.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            return Err(CanonicalError::NotCanonical(same));
        }
        validate::manifest(&manifest).map_err(CanonicalError::Invalid)?;
        Ok(manifest)
    }
}
