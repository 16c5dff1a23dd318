//! Blobs among the peers of one deployment.
//!
//! A blob is named by its BLAKE3 root and its size. It is traded in pieces
//! of 64 KiB, each with the hashes that tie it to the root, so that a piece
//! is verified, kept and served on before the rest is here. Several peers are
//! asked at once, for what is rarest among them first; who has it all shows
//! each peer something else, so that one copy of everything leaves its link
//! before a second one does.
//!
//! This crate knows streams, bytes and hashes. Who is a peer, who may fetch
//! and how a peer is reached is told it by [`access::Access`] and
//! [`access::Dial`].

pub mod access;
pub mod bits;
pub mod fault;
pub mod limits;
mod pick;
pub mod shape;
pub mod store;
mod swarm;
pub mod verify;
pub mod wire;

pub use access::{Access, Dial, Rights, Stream};
pub use blake3::Hash;
pub use fault::Fault;
pub use limits::Limits;
pub use shape::{Shape, PIECE};
pub use store::{Holding, Store};
pub use swarm::{Counters, Fetch, PeerStatus, Progress, Swarm, Wanted};

/// What a TLS connection that carries this names itself (ALPN).
pub const ALPN: &[u8] = b"stoa-swarm/1";
