//! Refusals: each module has one enum with stable codes in its codespace.

use std::fmt;

/// Why a transaction or a query was refused, as it leaves the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The module's name, or `sdk` for those codes that Cosmos software knows.
    pub codespace: &'static str,
    /// Stable within the codespace; never 0.
    pub code: u32,
    /// What was wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}/{})", self.message, self.codespace, self.code)
    }
}

impl std::error::Error for Failure {}

/// A module's refusals.
pub trait Refusal: fmt::Display {
    /// The module's codespace.
    const CODESPACE: &'static str;

    /// The refusal's stable code; never 0, never used again for another.
    fn code(&self) -> u32;
}

impl<R: Refusal> From<R> for Failure {
    fn from(refusal: R) -> Self {
        Self { codespace: R::CODESPACE, code: refusal.code(), message: refusal.to_string() }
    }
}

/// Refusals that Cosmos software knows by number, in codespace `sdk`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdkError {
    /// The bytes are no transaction of ours.
    #[error("the transaction does not decode: {0}")]
    TxDecode(String),
    /// A signature that does not verify, or one too few or too many.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// An account that cannot pay.
    #[error("insufficient funds: {0}")]
    InsufficientFunds(String),
    /// A message type or query path that is not served.
    #[error("unknown request: {0}")]
    UnknownRequest(String),
    /// A text that is no address of this chain.
    #[error("invalid address: {0}")]
    InvalidAddress(String),
    /// A public key that is malformed or does not give the signer's address.
    #[error("invalid public key: {0}")]
    InvalidPubKey(String),
    /// An account that does not exist.
    #[error("unknown address: {0}")]
    UnknownAddress(String),
    /// Coins that are malformed, unsorted or zero where they may not be.
    #[error("invalid coins: {0}")]
    InvalidCoins(String),
    /// The gas limit did not suffice.
    #[error("out of gas: {used} used of a limit of {limit}; simulate the transaction and raise its gas limit")]
    OutOfGas {
        /// Gas used when it was noticed.
        used: u64,
        /// The transaction's limit.
        limit: u64,
    },
    /// A memo over the bound.
    #[error("the memo has {bytes} bytes; at most {max} are allowed")]
    MemoTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The bound.
        max: u32,
    },
    /// A fee under what the node or the chain asks for.
    #[error("insufficient fee: {0}")]
    InsufficientFee(String),
    /// A field that is wrong in itself.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// Over a bound on size.
    #[error("the transaction has {size} bytes; at most {max} are allowed")]
    TxTooLarge {
        /// Its size.
        size: usize,
        /// The bound.
        max: usize,
    },
    /// The sequence number is not the account's next.
    #[error(
        "account sequence mismatch, expected {expected}, got {got}: incorrect account sequence"
    )]
    WrongSequence {
        /// The account's next.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// A type that is not known.
    #[error("invalid type: {0}")]
    InvalidType(String),
    /// The timeout height has passed.
    #[error("the transaction's timeout height {timeout} is below the block's height {height}")]
    TxTimeout {
        /// The transaction's timeout.
        timeout: u64,
        /// The block's height.
        height: u64,
    },
    /// The time of timeout has passed.
    #[error("the transaction's timeout_timestamp {timeout} is before the block's time {now}")]
    TxTimeoutTime {
        /// The transaction's timeout, in Unix seconds.
        timeout: u64,
        /// The block's time.
        now: u64,
    },
    /// A record that does not exist.
    #[error("{0} not found")]
    NotFound(String),
    /// What the chain does not do, said plainly.
    #[error("not supported: {0}")]
    NotSupported(String),
}

impl Refusal for SdkError {
    const CODESPACE: &'static str = "sdk";

    // Numbers of the Cosmos SDK's `types/errors/errors.go`.
    fn code(&self) -> u32 {
        match self {
            Self::TxDecode(_) => 2,
            Self::Unauthorized(_) => 4,
            Self::InsufficientFunds(_) => 5,
            Self::UnknownRequest(_) => 6,
            Self::InvalidAddress(_) => 7,
            Self::InvalidPubKey(_) => 8,
            Self::UnknownAddress(_) => 9,
            Self::InvalidCoins(_) => 10,
            Self::OutOfGas { .. } => 11,
            Self::MemoTooLarge { .. } => 12,
            Self::InsufficientFee(_) => 13,
            Self::InvalidRequest(_) => 18,
            Self::TxTooLarge { .. } => 21,
            Self::InvalidType(_) => 29,
            Self::TxTimeout { .. } | Self::TxTimeoutTime { .. } => 30,
            Self::WrongSequence { .. } => 32,
            Self::NotSupported(_) => 37,
            Self::NotFound(_) => 38,
        }
    }
}
