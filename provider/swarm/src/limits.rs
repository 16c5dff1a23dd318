//! What one engine allows itself and its peers.

use std::time::Duration;

/// Bounds of an engine. The defaults are for providers.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of one deployment.
    pub sessions: usize,
    /// Pieces that are asked of one peer at a time, at most.
    pub ahead: usize,
    /// Pieces that one peer may have asked for and not got; more is a flood.
    pub queued: usize,
    /// An answer should take about so long: decides how far ahead is asked.
    pub answer_within: Duration,
    /// A piece that takes longer is asked of a second peer, too.
    pub overdue: Duration,
    /// No progress for so long while something is due ends a connection.
    pub stall: Duration,
    /// Nothing at all for so long ends a connection; pings come thrice as often.
    pub silence: Duration,
    /// For opening a connection and for its first message.
    pub hello: Duration,
    /// First pause after a failed dial; doubles to the last.
    pub backoff: (Duration, Duration),
    /// How often what depends on time is looked at.
    pub tick: Duration,
    /// How often rights are asked for again.
    pub recheck: Duration,
    /// Messages a second that move nothing on; more is a flood.
    pub messages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 64,
            ahead: 64,
            queued: 256,
            answer_within: Duration::from_millis(400),
            overdue: Duration::from_secs(2),
            stall: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            hello: Duration::from_secs(10),
            backoff: (Duration::from_millis(500), Duration::from_secs(60)),
            tick: Duration::from_millis(250),
            recheck: Duration::from_secs(15),
            messages: 2_000,
        }
    }
}
