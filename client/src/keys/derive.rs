//! Mnemonic to key: BIP-39, then BIP-32 for secp256k1 and SLIP-10 for ed25519.

use bip39::{Language, Mnemonic};
use cosmrs::bip32;
use hmac::{Hmac, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, SecretKey};

/// Coin type 118, first account, first address: what Cosmos wallets use.
pub const SECP256K1_PATH: &str = "m/44'/118'/0'/0/0";

/// The same for ed25519, where every step is hardened (SLIP-10).
const ED25519_PATH: [u32; 5] = [44, 118, 0, 0, 0];

/// 24 words from 256 bits of the system's randomness.
pub fn new_mnemonic() -> Result<Zeroizing<String>, KeyError> {
    let mut entropy = Zeroizing::new([0_u8; 32]);
    rand::RngCore::fill_bytes(&mut rand::rngs::OsRng, entropy.as_mut_slice());
    let mnemonic = Mnemonic::from_entropy_in(Language::English, entropy.as_slice())
        .map_err(|e| KeyError::BadMnemonic(e.to_string()))?;
    Ok(Zeroizing::new(mnemonic.to_string()))
}

/// The key that a mnemonic stands for. `bip39_passphrase` is the "25th word";
/// empty for most.
pub fn recover(
    mnemonic: &str,
    bip39_passphrase: &str,
    algorithm: Algorithm,
) -> Result<SecretKey, KeyError> {
    // The words are never echoed in the error: they are the key.
    let words = Zeroizing::new(mnemonic.split_whitespace().collect::<Vec<_>>().join(" "));
    let count = words.split(' ').count();
    if count != 12 && count != 24 {
        return Err(KeyError::BadMnemonic(format!("it has {count} words")));
    }
    let parsed = Mnemonic::parse_in(Language::English, words.as_str())
        .map_err(|e| KeyError::BadMnemonic(redacted(&e)))?;
    let seed = Zeroizing::new(parsed.to_seed(bip39_passphrase));
    match algorithm {
        Algorithm::Secp256k1 => secp256k1(&seed),
        Algorithm::Ed25519 => ed25519(&seed),
        Algorithm::Multisig => Err(KeyError::BadKey("multisig")),
    }
}

fn redacted(error: &bip39::Error) -> String {
    match error {
        bip39::Error::UnknownWord(index) => format!("word {} is not in the list", index + 1),
        bip39::Error::InvalidChecksum => "its checksum does not fit: a word is wrong".into(),
        _ => "it does not parse".into(),
    }
}

fn secp256k1(seed: &[u8; 64]) -> Result<SecretKey, KeyError> {
    let bad = |_| KeyError::BadKey("secp256k1");
    let path: bip32::DerivationPath = SECP256K1_PATH.parse().map_err(bad)?;
    let key = bip32::XPrv::derive_from_path(seed, &path).map_err(bad)?;
    let bytes = Zeroizing::new(key.private_key().to_bytes());
    SecretKey::from_bytes(Algorithm::Secp256k1, bytes.as_slice())
}

fn ed25519(seed: &[u8; 64]) -> Result<SecretKey, KeyError> {
    SecretKey::from_bytes(Algorithm::Ed25519, &slip10_ed25519(seed, &ED25519_PATH)[..32])
}

/// SLIP-10 over a path whose steps are all hardened: key, then chain code.
fn slip10_ed25519(seed: &[u8], path: &[u32]) -> Zeroizing<[u8; 64]> {
    let mut node = hmac_sha512(b"ed25519 seed", &[seed]);
    for step in path {
        let hardened = (step | 0x8000_0000).to_be_bytes();
        node = hmac_sha512(&node[32..], &[&[0], &node[..32], &hardened]);
    }
    node
}

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    // HMAC takes a key of any length, so this cannot fail; were it to, an
    // all-zero node would be worse than stopping.
    #[allow(clippy::expect_used)]
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes any key length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon \
                           abandon abandon abandon about";

    fn cosmos_address(key: &SecretKey) -> String {
        let hrp = bech32::Hrp::parse("cosmos").unwrap();
        bech32::encode::<bech32::Bech32>(hrp, key.address().bytes()).unwrap()
    }

    #[test]
    fn well_known_mnemonics_give_their_well_known_cosmos_addresses() {
        // The address that Cosmos wallets show for the BIP-39 test mnemonic.
        let key = recover(ABANDON, "", Algorithm::Secp256k1).unwrap();
        assert_eq!(cosmos_address(&key), "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4");
        // From CosmJS's own tests of DirectSecp256k1HdWallet.
        let words =
            "special sign fit simple patrol salute grocery chicken wheat radar tonight ceiling";
        let key = recover(words, "", Algorithm::Secp256k1).unwrap();
        assert_eq!(cosmos_address(&key), "cosmos1jhg0e7s6gn44tfc5k37kr04sznyhedtc9rzys5");
    }

    #[test]
    fn slip10_test_vector_1_for_ed25519() {
        let seed = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
        let master = slip10_ed25519(&seed, &[]);
        assert_eq!(
            hex::encode(&master[..32]),
            "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7"
        );
        let deep = slip10_ed25519(&seed, &[0, 1, 2, 2, 1_000_000_000]);
        assert_eq!(
            hex::encode(&deep[..32]),
            "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793"
        );
    }

    #[test]
    fn a_new_mnemonic_has_24_words_and_recovers_to_the_same_key() {
        let words = new_mnemonic().unwrap();
        assert_eq!(words.split(' ').count(), 24);
        for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
            let one = recover(&words, "", algorithm).unwrap();
            let two = recover(&format!("  {}\n", words.replace(' ', "  ")), "", algorithm).unwrap();
            assert_eq!(one.address(), two.address());
            assert_ne!(one.address(), recover(&words, "x", algorithm).unwrap().address());
        }
    }

    #[test]
    fn errors_do_not_repeat_the_words() {
        let wrong = ABANDON.replace("about", "abandon");
        let error = recover(&wrong, "", Algorithm::Secp256k1).unwrap_err().to_string();
        assert!(error.contains("checksum") && !error.contains("abandon"), "{error}");
        let unknown = ABANDON.replace("about", "sesterce");
        let error = recover(&unknown, "", Algorithm::Secp256k1).unwrap_err().to_string();
        assert!(error.contains("word 12") && !error.contains("sesterce"), "{error}");
        assert!(recover("abandon", "", Algorithm::Ed25519).is_err());
    }
}
