//! Reaching a provider behind a NAT: it keeps a connection to another provider,
//! the relay, which listens for it and passes on what comes.
//!
//! What is passed on is the connection's own TLS, from the caller to the
//! provider behind: the relay sees ciphertext. Both ends of the relay's
//! protocol are known by their roots on chain.

mod behind;
mod ports;
mod service;
mod whose;
mod wire;

use std::time::Duration;

pub use behind::Behind;
pub use service::RelayService;
pub use whose::Own;

/// In the handshake.
pub const ALPN: &[u8] = b"stoa-relay/1";
/// Each end says something at least this often.
const PING: Duration = Duration::from_secs(15);
/// An end that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// A first word, an answer, a connection that is to be fetched.
const SOON: Duration = Duration::from_secs(10);
