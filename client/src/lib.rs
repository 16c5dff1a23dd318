//! Talking to a Stoa chain and to its providers.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`config`] | where the network is and who signs: flag over environment over file |
//! | [`keys`] | key store: mnemonic, encrypted files, armoured export |
//! | [`address`] | bech32 account addresses |
//! | [`chain`] | a connection: queries, simulation, broadcast, inclusion |
//! | [`tx`] | building and signing transactions, their typed results |
//! | [`queue`] | one transaction queue a key, with a journal that survives `kill -9` |
//! | [`query`] | typed gRPC queries with failover and pagination |
//! | [`rpc`] | CometBFT's JSON-RPC, and a stream of blocks without gap or repeat |
//! | [`tls`] | certificates, and verifiers that trust the chain and nothing else |
//! | [`gateway`] | a provider's gateway over that TLS |
//! | [`sealing`] | secrets that only one provider can open |
//! | [`token`] | short-lived tokens for gateways, signed by an account key |
//! | [`convert`] | manifest types to protobuf |
//! | [`money`] | decimal amounts and rates, exactly |

pub mod address;
pub mod chain;
pub mod config;
mod connect;
pub mod convert;
pub mod error;
pub mod gateway;
pub mod ids;
pub mod keys;
pub mod money;
pub mod query;
pub mod queue;
pub mod rpc;
pub mod sealing;
pub mod tls;
pub mod token;
pub mod tx;

pub use address::Address;
pub use chain::Chain;
pub use config::Config;
pub use error::{Error, Refusal, Result};
pub use queue::TxQueue;
pub use stoa_proto as proto;

/// Makes ring the process's TLS provider. Every `main` calls it first; calling
/// it again does nothing.
pub fn install_crypto() {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
