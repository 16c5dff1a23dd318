//! What can go wrong between a client and the chain.

use std::fmt;

use crate::keys::KeyError;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chain said no; trying the same again gives the same answer.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// It was not decided in time.
    #[error("{0}")]
    Timeout(String),
    /// No endpoint answered; trying later may help.
    #[error("{what} did not answer: {cause}")]
    Unreachable { what: String, cause: String },
    /// An answer that makes no sense.
    #[error("{0}")]
    BadAnswer(String),
    /// What the caller gave is wrong.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The other end of a TLS connection is not who the chain says.
    #[error("{0}")]
    Tls(String),
    #[error("{what}: {cause}")]
    Io { what: String, cause: std::io::Error },
}

impl Error {
    /// Makes an [`Error::Io`] that names the file.
    pub fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |cause| Self::Io { what: path.display().to_string(), cause }
    }

    /// The chain's refusal, where it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether trying the same later may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout(_))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// A transaction that the chain refused, or that failed in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The module whose code it is, such as `market`; `sdk` for those of the
    /// Cosmos SDK. Empty where only a message is known.
    pub codespace: String,
    /// Never 0 where the codespace is known.
    pub code: u32,
    /// What was wrong and what would be right.
    pub message: String,
    /// Upper-case hex of the transaction, where there was one.
    pub hash: Option<String>,
    /// The block that it failed in (and paid its fee); none where it was
    /// refused before.
    pub height: Option<u64>,
}

/// Codespace of the codes shared with the Cosmos SDK.
pub const SDK: &str = "sdk";
/// Wrong sequence.
pub const CODE_WRONG_SEQUENCE: u32 = 32;
/// The node's mempool is full.
pub const CODE_MEMPOOL_FULL: u32 = 20;
/// It used more gas than it was given.
pub const CODE_OUT_OF_GAS: u32 = 11;
/// The same transaction is in the mempool already.
pub const CODE_TX_IN_MEMPOOL: u32 = 19;

impl Refusal {
    /// Whether it is the SDK's code given.
    pub fn is_sdk(&self, code: u32) -> bool {
        self.codespace == SDK && self.code == code
    }

    /// The sequence that the chain expects, where this refusal (code 32)
    /// names it.
    pub fn expected_sequence(&self) -> Option<u64> {
        self.is_sdk(CODE_WRONG_SEQUENCE).then(|| number_after(&self.message, "expected"))?
    }

    /// Which of the transaction's messages failed, where it says so.
    pub fn message_index(&self) -> Option<usize> {
        let index = number_after(&self.message, "message index:")?;
        usize::try_from(index).ok()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.code != 0 {
            write!(f, " (code {} of {})", self.code, self.codespace)?;
        }
        if let Some(height) = self.height {
            write!(f, ", in block {height}")?;
        }
        if let Some(hash) = &self.hash {
            write!(f, ", transaction {hash}")?;
        }
        Ok(())
    }
}

/// The first number after `marker` in a text.
fn number_after(text: &str, marker: &str) -> Option<u64> {
    let rest = &text[text.find(marker)? + marker.len()..];
    let start = rest.find(|c: char| c.is_ascii_digit())?;
    // Only separators may stand between, not another sentence.
    if rest[..start].len() > 4 {
        return None;
    }
    let digits: String = rest[start..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u32, message: &str) -> Refusal {
        Refusal { codespace: SDK.into(), code, message: message.into(), hash: None, height: None }
    }

    #[test]
    fn finds_the_expected_sequence() {
        let r = refusal(32, "account sequence mismatch, expected 17, got 3: incorrect sequence");
        assert_eq!(r.expected_sequence(), Some(17));
        assert_eq!(refusal(4, "expected 17").expected_sequence(), None);
        assert_eq!(refusal(32, "wrong").expected_sequence(), None);
    }

    #[test]
    fn finds_the_failing_message() {
        let r = refusal(5, "failed to execute message; message index: 2: insufficient funds");
        assert_eq!(r.message_index(), Some(2));
        assert_eq!(refusal(5, "insufficient funds: 3ustoa").message_index(), None);
    }
}
