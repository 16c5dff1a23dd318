//! Names and values of secrets, that print as names alone.

use std::collections::{btree_map, BTreeMap};

use serde::{Deserialize, Serialize};
use stoa_manifest::is_secret_name;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Secrets of one group at most.
pub const MAX_SECRETS: usize = 256;
/// Bytes of a value: as environment variables may have at most 128 KiB.
pub const MAX_VALUE: usize = 64 << 10;
/// Bytes of all values of a group.
pub const MAX_VALUES_BYTES: usize = 256 << 10;

/// A secret's value. It is wiped when it goes, and never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(Zeroizing<String>);

impl Value {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Refuses what no environment could hold.
    pub fn check(&self) -> Result<()> {
        if self.0.len() > MAX_VALUE {
            return Err(Error::Invalid(format!(
                "a secret of {} bytes; at most {MAX_VALUE}",
                self.0.len()
            )));
        }
        match self.0.contains('\0') {
            true => Err(Error::Invalid("a secret with a NUL character fits no variable".into())),
            false => Ok(()),
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Values by their secrets' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, Value>);

impl From<BTreeMap<String, Value>> for Values {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Self(map)
    }
}

impl FromIterator<(String, Value)> for Values {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Values {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// In the order of the names.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Value> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_map(self) -> BTreeMap<String, Value> {
        self.0
    }

    /// Refuses bad names and too much of anything.
    pub(super) fn check(&self) -> Result<()> {
        if self.0.len() > MAX_SECRETS {
            return Err(Error::Invalid(format!(
                "{} secrets in a group; at most {MAX_SECRETS}",
                self.0.len()
            )));
        }
        if let Some(bad) = self.0.keys().find(|name| !is_secret_name(name)) {
            let shown: String = bad.chars().take(63).collect();
            return Err(Error::Invalid(format!("`{shown}` is no secret's name")));
        }
        self.0.values().try_for_each(Value::check)?;
        let bytes: usize = self.0.values().map(|value| value.expose().len()).sum();
        match bytes > MAX_VALUES_BYTES {
            true => Err(Error::Invalid(format!(
                "a group's secrets have {bytes} bytes together; at most {MAX_VALUES_BYTES}"
            ))),
            false => Ok(()),
        }
    }
}
