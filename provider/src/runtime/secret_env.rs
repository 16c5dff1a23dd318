//! Variables whose values are secrets.

use serde::{Deserialize, Serialize};
use stoa_client::sealing::Value;

/// A variable with its value, and what stands for the value in hashes: the
/// engine's labels show those to whoever may look at a container.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVariable {
    pub name: String,
    value: Value,
    /// Keyed hash of the value.
    pub tag: String,
}

impl SecretVariable {
    pub fn new(name: &str, value: Value, tag: String) -> Self {
        Self { name: name.into(), value, tag }
    }

    /// As the engine takes it.
    pub(super) fn pair(&self) -> String {
        format!("{}={}", self.name, self.value.expose())
    }

    pub(super) fn len(&self) -> usize {
        self.name.len() + self.value.expose().len() + 1
    }

    pub(super) fn has_nul(&self) -> bool {
        self.name.contains('\0') || self.value.expose().contains('\0')
    }
}

impl std::fmt::Debug for SecretVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=(secret)", self.name)
    }
}
