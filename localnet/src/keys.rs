//! Development keys, unencrypted and funded: for networks that hold nothing of value.

use std::path::Path;

use anyhow::Result;
use stoa_client::keys::{new_mnemonic, recover, Algorithm, Backend, KeyStore, Passphrase};

use crate::state::{FundedKey, Keys};

/// A million STOA for each.
pub const FUNDS: u128 = 1_000_000_000_000;

/// A billion STOA for the key that funds others.
const FAUCET_FUNDS: u128 = 1_000_000_000_000_000;

/// The key that deploys.
pub const TENANT: &str = "tenant";
/// The key that gives to others.
pub const FAUCET: &str = "faucet";
/// The key that confirms what providers say of themselves.
pub const AUDITOR: &str = "auditor";

/// Makes the keys of a network in a directory's test keyring.
///
/// # Errors
/// If a key is there already, or the disk refuses.
pub fn make(dir: &Path, providers: usize) -> Result<Keys> {
    let store = store(dir);
    let mut names = vec![TENANT.to_owned(), FAUCET.to_owned(), AUDITOR.to_owned()];
    names.extend((0..providers).map(provider_name));
    let mut funded = Vec::with_capacity(names.len());
    for name in names {
        let key = recover(&new_mnemonic()?, "", Algorithm::Secp256k1)?;
        let address = store.add(&name, &key)?.address;
        let funds = if name == FAUCET { FAUCET_FUNDS } else { FUNDS };
        funded.push(FundedKey { name, address, funds: format!("{funds}ustoa") });
    }
    Ok(Keys { dir: dir.to_owned(), backend: Backend::Test.to_string(), funded })
}

/// The test keyring of a directory.
pub fn store(dir: &Path) -> KeyStore {
    KeyStore::new(dir, Backend::Test, Passphrase::Prompt)
}

/// The name of a provider and its key.
pub fn provider_name(index: usize) -> String {
    format!("provider{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_in_the_keyring_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let keys = make(dir.path(), 2).unwrap();
        let names: Vec<_> = keys.funded.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["tenant", "faucet", "auditor", "provider0", "provider1"]);
        for key in &keys.funded {
            let secret = store(dir.path()).get(&key.name).unwrap();
            assert_eq!(secret.address().to_string(), key.address);
        }
        assert!(make(dir.path(), 0).is_err(), "nothing is written over");
    }
}
