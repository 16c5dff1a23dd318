//! Keys: made from a mnemonic, kept in a directory, used to sign.

mod armor;
mod derive;
mod key;
mod multisig;
mod passphrase;
mod sealed;
mod store;

pub use derive::{new_mnemonic, recover, SECP256K1_PATH};
pub use key::{Algorithm, PublicKey, SecretKey};
pub use multisig::{MultisigKey, MAX_MULTISIG_KEYS};
pub use passphrase::Passphrase;
pub use sealed::Sealed;
pub use store::{Backend, KeyInfo, KeyStore};

/// What can go wrong with keys. No variant ever carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("no key `{name}` in {dir}; `stoa keys list` shows those that are there")]
    NotFound { name: String, dir: String },
    #[error("a key `{0}` is there already; choose another name or delete it first")]
    Exists(String),
    #[error("`{0}` is no key name: 1 to 64 of a-z A-Z 0-9 . _ - with a letter or digit first")]
    BadName(String),
    #[error("wrong passphrase, or the file was altered")]
    WrongPassphrase,
    #[error("{0} is no key file: {1}")]
    BadFile(String, String),
    #[error("not a mnemonic: {0}; right are 24 (or 12) words of the BIP-39 English list")]
    BadMnemonic(String),
    #[error("the bytes are no {0} private key")]
    BadKey(&'static str),
    #[error("`{0}` is no key algorithm; right are secp256k1 and ed25519")]
    BadAlgorithm(String),
    #[error("no threshold key: {0}")]
    BadMultisig(String),
    #[error(
        "`{0}` is a threshold account, which has no secret of its own: make the transaction with \
         --generate-only, let members `stoa tx sign-doc` it, then `stoa tx multisign`"
    )]
    NoSecret(String),
    #[error("no passphrase: {0}")]
    NoPassphrase(String),
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
}

impl KeyError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |e| Self::Io(path.display().to_string(), e)
    }
}
