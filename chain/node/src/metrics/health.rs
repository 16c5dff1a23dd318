//! Whether the node is well: in step with its network, and going forward.

use std::time::Duration;

use serde::Serialize;

use super::Metrics;
use crate::comet::Rpc;

/// What is looked at to tell a node's health.
#[derive(Clone)]
pub struct Health {
    rpc: Rpc,
    max_age: Duration,
}

/// A node's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// All is well.
    pub healthy: bool,
    /// Last committed height.
    pub height: u64,
    /// Since the last commit; none: there was none since the start.
    pub seconds_since_commit: Option<u64>,
    /// Whether CometBFT is behind its network; none: it does not answer.
    pub catching_up: Option<bool>,
    /// What is wrong; empty where nothing is.
    pub reason: String,
}

impl Health {
    /// A node whose last commit is older than `max_age` does not go forward.
    pub fn new(rpc: Rpc, max_age: Duration) -> Self {
        Self { rpc, max_age }
    }

    /// Looks.
    pub async fn look(&self, metrics: &Metrics) -> Verdict {
        let status = self.rpc.status().await;
        let catching_up = status.ok().map(|status| status.sync_info.catching_up);
        judge(metrics.height(), metrics.since_commit(), catching_up, self.max_age)
    }
}

/// Says what the facts mean.
pub fn judge(
    height: u64,
    since_commit: Option<Duration>,
    catching_up: Option<bool>,
    max_age: Duration,
) -> Verdict {
    let reason = match (catching_up, since_commit) {
        (None, _) => "CometBFT's RPC does not answer".to_owned(),
        (Some(true), _) => "it is catching up with its network".to_owned(),
        (_, None) => "no block was committed since the start".to_owned(),
        (_, Some(age)) if age > max_age => {
            format!("the last block was committed {} s ago", age.as_secs())
        }
        _ => String::new(),
    };
    Verdict {
        healthy: reason.is_empty(),
        height,
        seconds_since_commit: since_commit.map(|age| age.as_secs()),
        catching_up,
        reason,
    }
}
