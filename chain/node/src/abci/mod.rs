//! The ABCI 0.38 server between CometBFT and an [`Application`].
//!
//! Messages are protobuf behind a varint length. One thread serves one connection (CometBFT
//! opens four) and answers in order; answers are written at each Flush. Frames, buffers and the
//! number of connections are bounded. What is not a request of this protocol is answered with
//! an exception, and its connection is closed.

mod address;
mod connection;
mod dispatch;
mod frame;
mod server;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use server::{Server, ServerOptions};
pub use tendermint_abci::Application;

/// A failure of the server or of one of its connections.
#[derive(Debug, thiserror::Error)]
pub enum AbciError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The address is none that this server listens on.
    #[error("ABCI address {address:?}: {reason}")]
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A length prefix is not a varint.
    #[error("the length of a frame is not a varint of at most 10 bytes")]
    Length,
    /// A frame is longer than the limit.
    #[error("a frame of {length} bytes exceeds the limit of {limit}")]
    FrameTooLarge {
        /// Announced length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer closed the connection inside a frame.
    #[error("the connection ended inside a frame")]
    CutShort,
    /// A frame is not a protobuf message of ABCI 0.38.
    #[error("a frame is not an ABCI 0.38 request: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A request names no method that this server knows.
    #[error("the request is empty or of an unknown kind; this server speaks ABCI 0.38")]
    UnknownRequest,
}
