//! Stoa's messages, queries and events as prost types.
//!
//! `proto/` holds the definitions with the meaning and unit of each field;
//! nothing here is written by hand but the module tree and, as feature `amino`,
//! what the descriptors mean in the JSON that hardware wallets sign. Cosmos types come
//! from `cosmos_sdk_proto`, re-exported as [`cosmos`] and [`tendermint`];
//! `stubs/` declares those that the chain serves, so that the descriptor set
//! knows them, with what `stoa/options/v1/options.proto` adds for JSON. Feature
//! `grpc` adds tonic clients and servers.

#[cfg(feature = "amino")]
pub mod amino;
pub mod auth;

pub use cosmos_sdk_proto::{
    cosmos, tendermint,
    tendermint::google::protobuf::{Any, Duration, Timestamp},
};

/// The encoded `FileDescriptorSet` of all that is defined here, with imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

macro_rules! package {
    ($($module:ident = $name:literal),* $(,)?) => {
        $(
            #[allow(missing_docs, clippy::all, clippy::pedantic, rust_2018_idioms)]
            pub mod $module {
                pub mod v1 {
                    include!(concat!(env!("OUT_DIR"), "/stoa.", $name, ".v1.rs"));
                }
            }
        )*
    };
}

package! {
    agent = "agent",
    types = "types",
    deployment = "deployment",
    market = "market",
    escrow = "escrow",
    provider = "provider",
    audit = "audit",
    cert = "cert",
    gateway = "gateway",
    peer = "peer",
    tx = "tx",
}

/// `cosmos.consensus.v1`, which cosmos-sdk-proto lacks.
#[allow(missing_docs, clippy::all, clippy::pedantic, rust_2018_idioms)]
pub mod consensus {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/cosmos.consensus.v1.rs"));
    }
}
