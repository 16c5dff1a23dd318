//! A provider's own key for secrets.

use std::path::Path;

use hpke::{Deserializable, Kem as _, Serializable};
use zeroize::Zeroizing;

use super::Kem;
use crate::{Error, Result};

/// An X25519 key that opens what was sealed to its public half.
pub struct SealingSecret(<Kem as hpke::Kem>::PrivateKey);

impl std::fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingSecret")
    }
}

impl SealingSecret {
    /// A new one.
    pub fn generate() -> Self {
        Self(Kem::gen_keypair().0)
    }

    /// From its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let key = <Kem as hpke::Kem>::PrivateKey::from_bytes(bytes);
        key.map(Self).map_err(|_| Error::Invalid("the sealing key is not of 32 bytes".into()))
    }

    /// From a file of them in hex.
    pub fn read(path: &Path) -> Result<Self> {
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(Error::io(path))?);
        let bad = || Error::Invalid(format!("{} holds no sealing key", path.display()));
        let bytes = Zeroizing::new(hex::decode(text.trim()).map_err(|_| bad())?);
        Self::from_bytes(&bytes).map_err(|_| bad())
    }

    /// Its 32 bytes in hex.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.to_bytes().as_slice()))
    }

    /// Its 32 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_bytes().to_vec())
    }

    /// The public half, 32 bytes.
    pub fn public(&self) -> Vec<u8> {
        Kem::sk_to_pk(&self.0).to_bytes().to_vec()
    }

    pub(super) fn private(&self) -> &<Kem as hpke::Kem>::PrivateKey {
        &self.0
    }
}
