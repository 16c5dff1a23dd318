//! TLS 1.3 whose only authority is the chain.
//!
//! A provider's gateway shows a certificate that chains to the root which the
//! provider registered; a tenant shows one of the self-signed certificates
//! that it registered. No public authority is ever asked.

mod accept;
mod client;
mod handshake;
mod identity;
mod server;
mod signed;
mod x509;

pub use accept::{accept_loop, Connection, GatewayAcceptor};
pub use client::{client_config, vouching_root, ProviderVerifier};
pub use identity::{
    certificate_pem, certificates_of_pem, countersign, leaf, provider_root, tenant, tunnel_leaf,
    under_root, Identity,
};
pub use server::{server_config, TenantVerifier};
pub use signed::verify_signature;
pub use x509::{common_name, dns_names, fingerprint, public_key, serial_hex, validity, Validity};
