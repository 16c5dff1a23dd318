//! Transactions: built with cosmrs, signed DIRECT, typed results.

mod build;
mod multisig;
mod options;
mod outcome;

pub use build::{hash_of, sign, unsigned, SignInput, SignedTx};
pub use multisig::{MemberSignature, Unsigned};
pub use options::{Gas, GasPrice, TxOptions};
pub use outcome::{Event, TxResult};

use prost::Name;
use stoa_proto::Any;

/// A message as a transaction carries it.
pub fn any<M: Name>(message: &M) -> Any {
    Any { type_url: format!("/{}", M::full_name()), value: message.encode_to_vec() }
}
