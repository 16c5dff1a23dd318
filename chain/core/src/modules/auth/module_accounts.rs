//! Addresses that Cosmos software knows as the modules' own. Money in a
//! module's care stands in its records here, so these accounts have no
//! balance, nobody has their keys, and nothing may be sent to them.

use cosmos_sdk_proto::cosmos::auth::v1beta1 as pb;
use sha2::{Digest, Sha256};

use crate::types::Address;

/// Names and permissions, as in the SDK.
const MODULES: [(&str, &[&str]); 6] = [
    ("bonded_tokens_pool", &["burner", "staking"]),
    ("distribution", &[]),
    ("fee_collector", &[]),
    ("gov", &["burner"]),
    ("mint", &["minter"]),
    ("not_bonded_tokens_pool", &["burner", "staking"]),
];

/// The address of a module: the first 20 bytes of SHA-256 of its name.
fn address(name: &str) -> Address {
    Address::new(Sha256::digest(name).first_chunk().copied().unwrap_or_default())
}

/// Whether nobody can have this address's key.
pub fn is_module_account(of: &Address) -> bool {
    MODULES.iter().any(|(name, _)| address(name) == *of)
}

/// All of them, by name.
pub fn all() -> impl Iterator<Item = pb::ModuleAccount> {
    MODULES.iter().map(|(name, permissions)| pb::ModuleAccount {
        base_account: Some(pb::BaseAccount {
            address: address(name).to_string(),
            ..pb::BaseAccount::default()
        }),
        name: (*name).to_owned(),
        permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
    })
}
