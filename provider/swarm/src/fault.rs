//! Why a peer was let go.

use std::time::Duration;

/// What ended a connection, or keeps one from coming to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    #[error("it sent bytes that are not the blob's")]
    WrongBytes,
    #[error("it says another size than the blob has")]
    SizeLie,
    #[error("it claimed pieces that it does not have")]
    FalseClaim,
    #[error("it sent what the protocol does not know or not allow there")]
    Protocol,
    #[error("it asked for more than is fair")]
    Flood,
    #[error("it sent or took nothing for too long while something was due")]
    Stalled,
    #[error("its stream ended within a message")]
    Truncated,
    #[error("the connection ended")]
    Lost,
    #[error("it may not take part in this deployment")]
    NotAllowed,
    #[error("it would not have us")]
    Refused,
    #[error("another connection with it goes on")]
    Duplicate,
    #[error("there are too many connections")]
    Full,
    #[error("this side failed")]
    Local,
}

impl Fault {
    /// All, for counters.
    pub const ALL: [Self; 13] = [
        Self::WrongBytes,
        Self::SizeLie,
        Self::FalseClaim,
        Self::Protocol,
        Self::Flood,
        Self::Stalled,
        Self::Truncated,
        Self::Lost,
        Self::NotAllowed,
        Self::Refused,
        Self::Duplicate,
        Self::Full,
        Self::Local,
    ];

    /// A word for metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongBytes => "wrong_bytes",
            Self::SizeLie => "size_lie",
            Self::FalseClaim => "false_claim",
            Self::Protocol => "protocol",
            Self::Flood => "flood",
            Self::Stalled => "stalled",
            Self::Truncated => "truncated",
            Self::Lost => "lost",
            Self::NotAllowed => "not_allowed",
            Self::Refused => "refused",
            Self::Duplicate => "duplicate",
            Self::Full => "full",
            Self::Local => "local",
        }
    }

    /// How long the peer stays out of the deployment. None: it may come back
    /// at once, and is dialled with backoff.
    pub fn ban(self) -> Option<Duration> {
        match self {
            // A lie about content does not get better with time.
            Self::WrongBytes | Self::SizeLie | Self::Protocol => Some(Duration::MAX),
            Self::Flood => Some(Duration::from_secs(3600)),
            // Its disk or its link may be to blame.
            Self::FalseClaim | Self::Stalled => Some(Duration::from_secs(300)),
            _ => None,
        }
    }

    /// Whether the peer, rather than the network or this side, is to blame.
    pub fn is_misbehaviour(self) -> bool {
        self.ban().is_some() || self == Self::Truncated
    }
}
