//! Who calls: the certificate of the connection, found on chain, or a token
//! signed by an account's key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use stoa_client::keys::PublicKey;
use stoa_client::tls;
use stoa_client::token::Token;
use stoa_client::Error;
use tokio::sync::Semaphore;
use tonic::Status;

use super::caller::{Caller, Peer};
use crate::chain::ChainReads;

/// How long an answer of the chain is believed: as long as a revoked
/// certificate may still be taken.
const BELIEVED: Duration = Duration::from_secs(5);
/// How long an account's key is: it never changes.
const KEY_BELIEVED: Duration = Duration::from_secs(600);
/// The node that we ask may be behind the one that took the tenant's
/// transaction: a certificate that is not there is looked for so often again,
/// so far apart.
const LOOKS: usize = 8;
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Callers that are waited for so at once; the others are refused at the first look.
const MAX_LOOKED_FOR: usize = 32;
/// Certificates, and keys, remembered at most.
const MAX_REMEMBERED: usize = 4096;

/// Tells tenants by their certificates and tokens.
pub struct Tenants {
    reads: Arc<dyn ChainReads>,
    provider: String,
    /// Certificates (by hash) that were found valid.
    valid: Remembered<[u8; 32], ()>,
    /// Accounts' keys by address.
    keys: Remembered<String, PublicKey>,
    looked_for: Semaphore,
}

impl Tenants {
    pub fn new(reads: Arc<dyn ChainReads>, provider: &str) -> Self {
        Self::believing(reads, provider, BELIEVED)
    }

    /// Believes an answer of the chain about a certificate for so long.
    pub(super) fn believing(
        reads: Arc<dyn ChainReads>,
        provider: &str,
        believed: Duration,
    ) -> Self {
        Self {
            reads,
            provider: provider.into(),
            valid: Remembered::new(believed),
            keys: Remembered::new(KEY_BELIEVED),
            looked_for: Semaphore::new(MAX_LOOKED_FOR),
        }
    }

    /// Who calls; none where neither a token nor a certificate is shown. A
    /// token goes over the connection's certificate.
    pub async fn identify(
        &self,
        peer: &Peer,
        token: Option<&str>,
    ) -> Result<Option<Caller>, Status> {
        match (token, &peer.certificate) {
            (Some(token), _) => self.bearer(token).await.map(Some),
            (None, Some(der)) => {
                let tenant = self.owner(der).await?;
                Ok(Some(Caller::with_certificate(tenant)))
            }
            (None, None) => Ok(None),
        }
    }

    /// The owner of a certificate that the handshake has checked already:
    /// self-signed, valid now, an address as its common name.
    pub(super) async fn owner(&self, der: &[u8]) -> Result<String, Status> {
        // A connection may outlive its certificate.
        let validity = tls::validity(der).map_err(|e| Status::unauthenticated(e.to_string()))?;
        if let Some(why) = validity.refusal(i64::try_from(now()).unwrap_or(i64::MAX)) {
            return Err(Status::unauthenticated(format!("the client's certificate {why}")));
        }
        let owner = tls::common_name(der).map_err(|e| Status::unauthenticated(e.to_string()))?;
        let hash: [u8; 32] = Sha256::digest(der).into();
        if self.valid.get(&hash).is_some() {
            return Ok(owner);
        }
        match self.is_on_chain(&owner, der).await {
            Ok(true) => {
                self.valid.put(hash, ());
                Ok(owner)
            }
            Ok(false) => Err(Status::unauthenticated(format!(
                "this certificate of {owner} is not valid on chain (never created there, or \
                 revoked); create one with: stoa tx create-cert"
            ))),
            Err(error) => Err(Status::unavailable(format!(
                "the certificate cannot be looked up on chain now ({error}); try again"
            ))),
        }
    }

    /// Whether the chain has the certificate, now or as soon as our node has
    /// what others have already.
    async fn is_on_chain(&self, owner: &str, der: &[u8]) -> Result<bool, Error> {
        if self.reads.is_valid_certificate(owner, der).await? {
            return Ok(true);
        }
        let Ok(_place) = self.looked_for.try_acquire() else { return Ok(false) };
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK_AGAIN).await;
            if self.reads.is_valid_certificate(owner, der).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn bearer(&self, text: &str) -> Result<Caller, Status> {
        let refused =
            |error: stoa_client::token::TokenError| Status::unauthenticated(error.to_string());
        let token = Token::read(text).map_err(refused)?;
        let key = self.key_of(&token.unverified().issuer).await?;
        let claims = token.verify(&key, &self.provider, now()).map_err(refused)?;
        tracing::debug!(tenant = %claims.issuer, token = %claims.id, "a token was taken");
        Ok(Caller::with_token(claims))
    }

    /// The key of an account, as the chain has it.
    async fn key_of(&self, address: &str) -> Result<PublicKey, Status> {
        if let Some(key) = self.keys.get(&address.to_string()) {
            return Ok(key);
        }
        match self.reads.account_key(address).await {
            Ok(Some(key)) => {
                self.keys.put(address.into(), key);
                Ok(key)
            }
            Ok(None) | Err(Error::NotFound(_)) => Err(Status::unauthenticated(format!(
                "the chain knows no key of {address}: it must have sent a transaction"
            ))),
            Err(Error::Key(error)) => Err(Status::unauthenticated(format!(
                "{address} is no account of one key and cannot sign tokens ({error}); use a \
                 certificate"
            ))),
            Err(error) => Err(Status::unavailable(format!(
                "the key of {address} cannot be looked up on chain now ({error}); try again"
            ))),
        }
    }
}

/// Unix seconds by this machine's clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Answers that are believed for a while, a bounded number of them.
pub(super) struct Remembered<K, V> {
    believed: Duration,
    found: Mutex<HashMap<K, (V, Instant)>>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    pub(super) fn new(believed: Duration) -> Self {
        Self { believed, found: Mutex::default() }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, at) = found.get(key)?;
        (at.elapsed() < self.believed).then(|| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MAX_REMEMBERED {
            found.retain(|_, (_, at)| at.elapsed() < self.believed);
        }
        if found.len() < MAX_REMEMBERED {
            found.insert(key, (value, Instant::now()));
        }
    }
}
