//! One clear line whenever the node waits for something else than the next block.

use std::time::Duration;

use tokio::time::{interval, MissedTickBehavior};
use tracing::info;

use crate::{comet::Rpc, metrics};

/// Pause between looks.
const LOOK: Duration = Duration::from_secs(2);

/// Without a block for so long, a node waits for something.
const STILL: Duration = Duration::from_secs(15);

/// What is seen at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Seconds until the genesis time; none: it has come.
    pub genesis_in: Option<u64>,
    /// Whether CometBFT's RPC answers.
    pub engine_answers: bool,
    /// Behind its network.
    pub catching_up: bool,
    /// Connected peers.
    pub peers: u64,
    /// Last committed height.
    pub height: u64,
    /// No block was committed for a while.
    pub still: bool,
    /// The state comes from a snapshot.
    pub state_sync: bool,
}

/// What a node waits for, in words; none where it does not wait.
pub fn told(seen: &Seen) -> Option<String> {
    if let Some(seconds) = seen.genesis_in {
        return Some(format!("the chain begins in about {} s (genesis_time)", round(seconds)));
    }
    // RPC opens late: CometBFT replays and takes a snapshot in before it answers.
    if seen.height == 0 && seen.state_sync {
        return Some("waiting for a snapshot of the state from peers (state sync)".to_owned());
    }
    if !seen.engine_answers {
        return seen.still.then(|| "waiting for CometBFT to answer on its RPC".to_owned());
    }
    if seen.peers == 0 && (seen.still || seen.catching_up) {
        let hint = "check persistent_peers and seeds, and that the port of peers is open";
        return Some(format!("waiting for peers: none is connected; {hint}"));
    }
    if seen.catching_up {
        return Some("catching up with the network's blocks".to_owned());
    }
    seen.still.then(|| {
        let height = seen.height.saturating_add(1);
        format!("waiting for block {height}: more than a third of the voting power may be away")
    })
}

/// So that a countdown is not told anew at each look.
fn round(seconds: u64) -> u64 {
    match seconds {
        0..=59 => seconds.div_ceil(15) * 15,
        60..=3_599 => seconds.div_ceil(60) * 60,
        _ => seconds.div_ceil(3_600) * 3_600,
    }
}

/// Looks on, and tells each change.
pub async fn watch(rpc: Rpc, genesis_time: i64, state_sync: bool) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = std::time::Instant::now();
    let mut last = None;
    loop {
        looks.tick().await;
        let seen = look(&rpc, genesis_time, state_sync, begun.elapsed()).await;
        let told = told(&seen);
        if told != last {
            match &told {
                Some(what) => info!(height = seen.height, "{what}"),
                None => info!(height = seen.height, peers = seen.peers, "blocks are coming"),
            }
            last = told;
        }
    }
}

async fn look(rpc: &Rpc, genesis_time: i64, state_sync: bool, running: Duration) -> Seen {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let status = rpc.status().await.ok();
    let peers = match status {
        Some(_) => rpc.peers().await.unwrap_or_default(),
        None => 0,
    };
    Seen {
        genesis_in: u64::try_from(genesis_time - now).ok().filter(|seconds| *seconds > 0),
        engine_answers: status.is_some(),
        catching_up: status.is_some_and(|status| status.sync_info.catching_up),
        peers,
        height: metrics::get().height(),
        still: metrics::get().since_commit().unwrap_or(running) > STILL,
        state_sync,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_has_its_line() {
        let well = Seen { engine_answers: true, peers: 3, height: 5, ..Seen::default() };
        assert_eq!(told(&well), None);
        let lines = [
            (Seen { genesis_in: Some(100), ..well.clone() }, "begins in about 120 s"),
            (Seen { height: 0, state_sync: true, ..well.clone() }, "snapshot"),
            (Seen { engine_answers: false, still: true, ..well.clone() }, "CometBFT"),
            (Seen { peers: 0, still: true, ..well.clone() }, "waiting for peers"),
            (Seen { catching_up: true, ..well.clone() }, "catching up"),
            (Seen { still: true, ..well.clone() }, "block 6"),
        ];
        for (seen, line) in lines {
            assert!(told(&seen).is_some_and(|told| told.contains(line)), "{seen:?}");
        }
        let alone = Seen { peers: 0, ..well };
        assert_eq!(told(&alone), None, "a chain of one has no peers and needs none");
    }
}
