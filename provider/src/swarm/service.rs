//! Other providers' connections.

use std::net::SocketAddr;

use async_trait::async_trait;
use stoa_swarm::{Swarm, ALPN};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::gateway::{Place, ProviderCaller, RawService};

/// So much waits in the kernel for a peer: what goes out next is decided late.
const UNSENT: u32 = 256 << 10;

/// Serves manifests and blobs on the gateway's port.
pub struct SwarmService(pub Swarm);

#[async_trait]
impl RawService for SwarmService {
    fn alpn(&self) -> &'static [u8] {
        ALPN
    }

    async fn serve(
        &self,
        stream: TlsStream<TcpStream>,
        caller: ProviderCaller,
        _address: SocketAddr,
        _place: Place,
    ) {
        tune(stream.get_ref().0);
        self.0.accept(stream, &caller.address).await;
    }
}

/// Settings that help and are not needed.
pub(super) fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}
