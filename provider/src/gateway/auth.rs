//! Who calls: the certificate of the connection, found on chain.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use stoa_client::tls;
use tonic::{Request, Status};

use crate::chain::ChainReads;

/// How long an answer of the chain is believed: as long as a revoked
/// certificate may still be taken.
const BELIEVED: Duration = Duration::from_secs(5);
/// Certificates remembered at most.
const MAX_REMEMBERED: usize = 4096;

/// Tells tenants by their certificates.
pub struct Tenants {
    reads: Arc<dyn ChainReads>,
    believed: Duration,
    /// When each certificate (by hash) was last found valid.
    valid: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Tenants {
    pub fn new(reads: Arc<dyn ChainReads>) -> Self {
        Self::believing(reads, BELIEVED)
    }

    /// Believes an answer of the chain for so long.
    pub(super) fn believing(reads: Arc<dyn ChainReads>, believed: Duration) -> Self {
        Self { reads, believed, valid: Mutex::default() }
    }

    /// The address of the tenant who calls.
    pub fn caller<'a, T>(
        &'a self,
        request: &Request<T>,
    ) -> impl Future<Output = Result<String, Status>> + Send + 'a {
        // Taken out first: a streaming request may not be held over an await.
        let certificates = request.peer_certs();
        async move {
            let shown = certificates.as_ref().and_then(|chain| chain.first());
            let der = shown.ok_or_else(|| {
                Status::unauthenticated(
                    "this call needs the tenant's certificate, and none was shown; create one \
                     with: stoa tx create-cert",
                )
            })?;
            self.owner(der.as_ref()).await
        }
    }

    /// The owner of a certificate that the handshake has checked already:
    /// self-signed, valid now, an address as its common name.
    pub(super) async fn owner(&self, der: &[u8]) -> Result<String, Status> {
        let owner = tls::common_name(der).map_err(|e| Status::unauthenticated(e.to_string()))?;
        let hash: [u8; 32] = Sha256::digest(der).into();
        if self.is_remembered(&hash) {
            return Ok(owner);
        }
        match self.reads.is_valid_certificate(&owner, der).await {
            Ok(true) => {
                self.remember(hash);
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

    fn is_remembered(&self, hash: &[u8; 32]) -> bool {
        let valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        valid.get(hash).is_some_and(|at| at.elapsed() < self.believed)
    }

    fn remember(&self, hash: [u8; 32]) {
        let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        if valid.len() >= MAX_REMEMBERED {
            valid.retain(|_, at| at.elapsed() < self.believed);
        }
        if valid.len() < MAX_REMEMBERED {
            valid.insert(hash, Instant::now());
        }
    }
}
