//! What the engine is told by whoever runs it.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use blake3::Hash;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Holding;

/// A connection that is encrypted, and whose ends know each other.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// What a participant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Else it may only give.
    pub may_fetch: bool,
}

/// Who takes part in what.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// A peer's rights in a deployment; None: it is no participant. Asked at
    /// a connection's beginning and from time to time.
    async fn rights(&self, deployment: &str, peer: &str) -> Option<Rights>;

    /// A blob of the deployment that is here, whole or in part, to serve.
    async fn holding(&self, deployment: &str, root: &Hash) -> Option<Arc<Holding>>;
}

/// How peers are reached.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Opens a stream to a peer and checks that it is the one.
    async fn dial(&self, peer: &str) -> io::Result<Box<dyn Stream>>;
}
