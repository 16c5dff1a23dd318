//! Any text: reading ends without a panic, and nothing that was not signed is taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_client::keys::{Algorithm, SecretKey};
use stoa_client::token::{mint, Token, TokenError};

fuzz_target!(|text: &str| {
    let Ok(token) = Token::read(text) else { return };
    let claims = token.unverified().clone();
    for algorithm in [Algorithm::Secp256k1, Algorithm::Ed25519] {
        let key = SecretKey::from_bytes(algorithm, &[7; 32]).expect("a key");
        let verdict = token.verify(&key.public(), &claims.audience, claims.not_before);
        assert_eq!(verdict, Err(TokenError::Signature));
        // What was read can be said again, and is then read as the same.
        let mut own = claims.clone();
        own.issuer = key.address().to_string();
        if let Ok(text) = mint(&key, &own) {
            let again = Token::read(&text).expect("own token");
            assert_eq!(again.unverified(), &own);
        }
    }
});
