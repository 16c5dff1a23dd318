//! Transactions: from bytes to messages ([`decode`], the *validate* phase), to
//! their effect ([`deliver`]: *admit*, then *execute*).

mod decode;
mod deliver;
mod message;
mod signers;

pub use decode::{decode, Timeout, Tx, MAX_MESSAGES, MAX_TX_BYTES};
pub(crate) use deliver::check_gas;
pub use deliver::{deliver, deliver_admitted, simulate, Simulation, TxResult};
pub(crate) use message::unpack;
pub use message::{Message, Msg};
pub use signers::{Proof, SignMode, Signature, Signer};
