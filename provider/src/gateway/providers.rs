//! Other providers as callers: by a certificate under the root that the chain
//! records for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use stoa_client::gateway::roots_of;
use stoa_client::{tls, Error};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::{Request, Status};

use super::auth::Remembered;
use super::caller::{Peer, ProviderCaller};
use super::door::Place;
use crate::chain::ChainReads;

/// How long an answer of the chain is believed: as long as a root that was
/// taken from the record may still be taken.
const BELIEVED: Duration = Duration::from_secs(5);

/// What speaks a protocol of its own on the gateway's port, to providers.
#[async_trait]
pub trait RawService: Send + Sync {
    /// The protocol's name in the handshake.
    fn alpn(&self) -> &'static [u8];

    /// Serves one connection to its end. Its limits, on time as on memory,
    /// are its own affair.
    async fn serve(
        &self,
        stream: TlsStream<TcpStream>,
        caller: ProviderCaller,
        address: SocketAddr,
        place: Place,
    );
}

/// Tells providers by their roots.
pub struct Providers {
    reads: Arc<dyn ChainReads>,
    /// Hashes of certificate and root that were found good.
    good: Remembered<[u8; 32], ()>,
}

impl Providers {
    pub fn new(reads: Arc<dyn ChainReads>) -> Self {
        Self { reads, good: Remembered::new(BELIEVED) }
    }

    /// Who it is that showed a certificate with a root, which the handshake
    /// has checked against each other.
    pub async fn identify(&self, peer: &Peer) -> Result<ProviderCaller, Status> {
        let (Some(leaf), Some(root)) = (&peer.certificate, &peer.root) else {
            return Err(Status::unauthenticated(
                "this call is for providers: show a certificate and the root on chain above it",
            ));
        };
        let address = common_name(leaf)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // A connection may outlive its certificate.
        for shown in [leaf, root] {
            let validity =
                tls::validity(shown).map_err(|e| Status::unauthenticated(e.to_string()))?;
            if let Some(why) = validity.refusal(i64::try_from(now).unwrap_or(i64::MAX)) {
                return Err(Status::unauthenticated(format!("{address}'s certificate {why}")));
            }
        }
        let hash: [u8; 32] = Sha256::new().chain_update(leaf).chain_update(root).finalize().into();
        if self.good.get(&hash).is_some() {
            return Ok(ProviderCaller { address });
        }
        let record = self.reads.other_provider(&address).await.map_err(|error| match error {
            Error::NotFound(_) => {
                Status::unauthenticated(format!("{address} is no provider on chain"))
            }
            error => Status::unavailable(format!("the chain cannot be observed now: {error}")),
        })?;
        if !roots_of(&record, now).iter().any(|known| known[..] == root[..]) {
            return Err(Status::unauthenticated(format!(
                "the chain records another root certificate for provider {address}"
            )));
        }
        self.good.put(hash, ());
        Ok(ProviderCaller { address })
    }
}

/// The provider that calls.
pub(super) fn provider_caller<T>(request: &Request<T>) -> Result<ProviderCaller, Status> {
    let caller = request.extensions().get::<ProviderCaller>();
    caller.cloned().ok_or_else(|| Status::unauthenticated("this call is for providers"))
}

fn common_name(der: &[u8]) -> Result<String, Status> {
    tls::common_name(der).map_err(|e| Status::unauthenticated(e.to_string()))
}
