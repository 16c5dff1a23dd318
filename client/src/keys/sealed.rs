//! A secret under a passphrase: Argon2id, then XChaCha20-Poly1305.

use argon2::{Argon2, Params, Version};
use base64::{engine::general_purpose::STANDARD as BASE64, Engine as _};
use chacha20poly1305::{
    aead::{Aead, KeyInit, Payload},
    XChaCha20Poly1305, XNonce,
};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyError;

/// 64 MiB and three passes: about a third of a second, once a command.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// What a file may ask of us at most.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 64;
const MAX_LANES: u32 = 16;

/// What a key file or an armoured export holds. All binary fields in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
    cipher: String,
    nonce: String,
    text: String,
}

impl Sealed {
    /// Seals a secret; `about` is bound to it and must be the same at opening.
    pub fn seal(secret: &[u8], passphrase: &str, about: &[u8]) -> Result<Self, KeyError> {
        let (mut salt, mut nonce) = ([0_u8; 16], [0_u8; 24]);
        rand::rngs::OsRng.fill_bytes(&mut salt);
        rand::rngs::OsRng.fill_bytes(&mut nonce);
        let key = stretch(passphrase, &salt, MEMORY_KIB, PASSES, LANES)?;
        let text = XChaCha20Poly1305::new(key.as_slice().into())
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: secret, aad: about })
            .map_err(|_| KeyError::BadFile("sealing".into(), "the secret is too long".into()))?;
        Ok(Self {
            kdf: "argon2id".into(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: BASE64.encode(salt),
            cipher: "xchacha20poly1305".into(),
            nonce: BASE64.encode(nonce),
            text: BASE64.encode(text),
        })
    }

    /// The secret again.
    ///
    /// # Errors
    /// [`KeyError::WrongPassphrase`], for an altered file too: the two cannot
    /// be told apart.
    pub fn open(&self, passphrase: &str, about: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bad = |why: &str| KeyError::BadFile("the sealed key".into(), why.into());
        if self.kdf != "argon2id" || self.cipher != "xchacha20poly1305" {
            return Err(bad("it names a kdf or cipher that this version does not know"));
        }
        if self.memory_kib > MAX_MEMORY_KIB || self.passes > MAX_PASSES || self.lanes > MAX_LANES {
            return Err(bad("it asks for more work than is sane"));
        }
        let salt = BASE64.decode(&self.salt).map_err(|_| bad("salt is not base64"))?;
        let nonce = BASE64.decode(&self.nonce).map_err(|_| bad("nonce is not base64"))?;
        let text = BASE64.decode(&self.text).map_err(|_| bad("text is not base64"))?;
        if nonce.len() != 24 {
            return Err(bad("the nonce is not 24 bytes"));
        }
        let key = stretch(passphrase, &salt, self.memory_kib, self.passes, self.lanes)?;
        XChaCha20Poly1305::new(key.as_slice().into())
            .decrypt(XNonce::from_slice(&nonce), Payload { msg: &text, aad: about })
            .map(Zeroizing::new)
            .map_err(|_| KeyError::WrongPassphrase)
    }
}

fn stretch(
    passphrase: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let bad = |e: argon2::Error| KeyError::BadFile("the sealed key".into(), e.to_string());
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(bad)?;
    let mut key = Zeroizing::new([0_u8; 32]);
    Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(bad)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_the_right_passphrase_and_binding_only() {
        let sealed = Sealed::seal(b"secret", "correct horse", b"about").unwrap();
        assert_eq!(sealed.open("correct horse", b"about").unwrap().as_slice(), b"secret");
        let refused = |r: Result<_, KeyError>| matches!(r, Err(KeyError::WrongPassphrase));
        assert!(refused(sealed.open("correct house", b"about")));
        assert!(refused(sealed.open("correct horse", b"another")));
        let mut altered = sealed.clone();
        altered.text = BASE64.encode(vec![0; 22]);
        assert!(refused(altered.open("correct horse", b"about")));
    }

    #[test]
    fn refuses_a_file_that_asks_for_absurd_work() {
        let mut sealed = Sealed::seal(b"secret", "correct horse", b"").unwrap();
        sealed.memory_kib = u32::MAX;
        assert!(matches!(sealed.open("correct horse", b""), Err(KeyError::BadFile(..))));
    }
}
