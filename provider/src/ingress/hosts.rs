//! Host names that the provider makes up.

use sha2::{Digest, Sha256};

/// Hex digits of the lease's hash in a name.
const HASH_DIGITS: usize = 10;
/// A label has at most 63 characters: this is left for the service.
const SERVICE_CHARACTERS: usize = 63 - HASH_DIGITS - 1;

/// `<service>-<10 hex of the lease>.<domain>`. The same for all versions of a
/// lease, and another for each lease.
pub fn generated_host(service: &str, lease: &str, domain: &str) -> String {
    let hash = hex::encode(Sha256::digest(lease.as_bytes()));
    let short: String = service.chars().take(SERVICE_CHARACTERS).collect();
    format!("{short}-{}.{domain}", &hash[..HASH_DIGITS]).to_ascii_lowercase()
}
