//! One transaction queue per key.
pub struct TxQueue;
