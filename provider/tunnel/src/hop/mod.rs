//! From one machine of a provider to another: the front data plane reaches an
//! instance on another machine through that machine's relay, by one TLS 1.3
//! connection for each connection to the instance.
//!
//! Both sides show certificates of the provider's own authority for its
//! machines. The relay lets only the front in (by name), the front only this
//! relay (by the certificate that it was told). The first thing sent is a
//! header that names what is wanted; today an instance and its port. No other
//! use of the connection begins before the relay has said yes.

mod client;
mod header;
mod serve;
mod table;
mod tls;
mod udp;

pub use client::{Hop, HopDialer};
pub use header::{Wanted, MAX_HEADER_BYTES};
pub use serve::{run, RelayConfig};
pub use table::{InstanceTable, RelayInstance, TABLE_FILE};
pub use tls::{
    check_name, check_pin, client_config, fingerprint, server_config, Material, PeerError,
};

/// The name in the certificate of a provider's front data plane.
pub const FRONT: &str = "front.stoa.invalid";
