//! Gas: a deterministic count of what a transaction makes every node do.

/// Gas for each byte of the encoded transaction.
pub const TX_BYTE: u64 = 10;
/// Gas for verifying one secp256k1 signature.
pub const VERIFY_SECP256K1: u64 = 1_000;
/// Gas for verifying one ed25519 signature.
pub const VERIFY_ED25519: u64 = 1_000;
/// Gas for reading a certificate and verifying its signature.
pub const VERIFY_CERTIFICATE: u64 = 10_000;
/// Gas for reading a record, and for each of its bytes.
pub const READ: u64 = 500;
/// See [`READ`].
pub const READ_BYTE: u64 = 3;
/// Gas for writing a record, and for each byte of key and value.
pub const WRITE: u64 = 2_000;
/// See [`WRITE`].
pub const WRITE_BYTE: u64 = 20;
/// Gas for removing a record.
pub const REMOVE: u64 = 1_000;
/// Gas for each entry that an iteration passes, beside [`READ_BYTE`] for its value.
pub const ENTRY: u64 = 30;

/// Stands in a simulation for what is skipped there: collecting the fee, and
/// writing a public key. A little over what they use.
pub const SIMULATED_ADMISSION: u64 = 15_000;

/// Counts gas against a limit. Running over is noted, not thrown: work in one
/// message is bounded, so the executor looks after each message.
#[derive(Clone, Debug)]
pub struct Meter {
    used: u64,
    limit: u64,
}

impl Meter {
    /// A meter that never runs out: queries, genesis and the end of a block.
    pub fn unlimited() -> Self {
        Self { used: 0, limit: u64::MAX }
    }

    /// A meter that is exhausted past `limit`.
    pub fn with_limit(limit: u64) -> Self {
        Self { used: 0, limit }
    }

    /// Adds to the count.
    pub fn charge(&mut self, amount: u64) {
        self.used = self.used.saturating_add(amount);
    }

    /// Adds `each` for every one of `count`.
    pub fn charge_each(&mut self, each: u64, count: usize) {
        self.charge(each.saturating_mul(u64::try_from(count).unwrap_or(u64::MAX)));
    }

    /// Gas counted so far.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The limit it was made with.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether the count is over the limit.
    pub fn is_exhausted(&self) -> bool {
        self.used > self.limit
    }
}
