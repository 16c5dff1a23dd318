//! The journal of bids: on disk before anything is sent, so that a daemon
//! killed at any step never bids twice on an order.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::parts::{each, Counted};
use super::resources::Resources;
use crate::fleet::Part;
use crate::store;

/// How long after an order's closing its entry is kept.
const KEEP: u64 = 3600;

/// One bid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Per second, as a decimal.
    pub rate: String,
    /// Unix seconds: when the order is matched, after which it is over.
    pub closes_at: u64,
    /// What it reserves.
    pub resources: Resources,
    /// What its instances need, each of one machine.
    #[serde(default)]
    pub parts: Vec<Counted>,
    /// Whole units that the order's bids bring along.
    pub deposit: u128,
    pub state: IntentState,
    /// Of a bid on a sealed order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// How far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// It may have been sent.
    Intended,
    /// It stood on chain once. Never bid again, whatever became of it.
    Placed,
    /// The chain refused it, with these words.
    Refused(String),
    /// Taken back, for this reason. Never bid again.
    Withdrawn(String),
}

/// What opens a sealed bid; on disk before the commitment is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Hex.
    pub salt: String,
}

impl Intent {
    /// Whether room is kept for it.
    pub fn holds_room(&self) -> bool {
        !matches!(self.state, IntentState::Refused(_) | IntentState::Withdrawn(_))
    }

    /// What each of its instances needs; all at one machine where a former
    /// version did not write that down.
    pub(super) fn instances(&self) -> Vec<Part> {
        match self.parts.is_empty() {
            true => {
                let size = Resources { ports: 0, ips: 0, ..self.resources };
                vec![Part { size, gpu: None }]
            }
            false => each(&self.parts),
        }
    }
}

/// All of them, by order id as text.
#[derive(Debug, Default)]
pub struct Intents {
    path: PathBuf,
    entries: BTreeMap<String, Intent>,
}

impl Intents {
    /// Reads the journal; an unreadable one is an error, for bidding without
    /// it could bid twice.
    pub fn open(path: &Path) -> io::Result<Self> {
        let entries = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.into(), entries })
    }

    pub fn get(&self, order: &str) -> Option<&Intent> {
        self.entries.get(order)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Intent)> {
        self.entries.iter()
    }

    /// Writes down what is about to be sent; durable when this returns. What
    /// could not be written is not intended.
    pub fn intend(&mut self, bids: impl IntoIterator<Item = (String, Intent)>) -> io::Result<()> {
        let before = self.entries.clone();
        self.entries.extend(bids);
        self.save().inspect_err(|_| self.entries = before)
    }

    /// What became of some of them: none means that it never reached the
    /// chain and may be tried anew.
    pub fn settle(
        &mut self,
        outcomes: impl IntoIterator<Item = (String, Option<IntentState>)>,
    ) -> io::Result<()> {
        for (order, state) in outcomes {
            match (state, self.entries.get_mut(&order)) {
                (Some(state), Some(entry)) => entry.state = state,
                (None, _) => {
                    self.entries.remove(&order);
                }
                (Some(_), None) => {}
            }
        }
        self.save()
    }

    /// After a start: nothing is under way any more (the transaction queue
    /// has found out what became of the last transaction), so an intent
    /// either stands on chain or never reached it.
    pub fn recover(&mut self, is_on_chain: impl Fn(&str) -> bool) -> io::Result<()> {
        let open = self.entries.iter().filter(|(_, i)| i.state == IntentState::Intended);
        let outcomes: Vec<_> = open
            .map(|(order, _)| (order.clone(), is_on_chain(order).then_some(IntentState::Placed)))
            .collect();
        for (order, outcome) in &outcomes {
            let found = if outcome.is_some() { "stands on chain" } else { "was never placed" };
            tracing::info!(%order, "a bid of the last run {found}");
        }
        self.settle(outcomes)
    }

    /// Drops entries of orders that closed long ago.
    pub fn prune(&mut self, now: u64) -> io::Result<()> {
        let before = self.entries.len();
        self.entries.retain(|_, intent| intent.closes_at.saturating_add(KEEP) > now);
        match self.entries.len() == before {
            true => Ok(()),
            false => self.save(),
        }
    }

    fn save(&self) -> io::Result<()> {
        store::write(&self.path, &serde_json::to_vec(&self.entries)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(state: IntentState) -> Intent {
        Intent {
            rate: "1".into(),
            closes_at: 100,
            resources: Resources::default(),
            parts: vec![],
            deposit: 5,
            state,
            seal: None,
        }
    }

    #[test]
    fn a_killed_daemon_finds_out_what_it_had_intended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bids.json");
        let mut first = Intents::open(&path).unwrap();
        let entries = ["landed", "lost"].map(|o| (o.to_string(), intent(IntentState::Intended)));
        first.intend(entries).unwrap();
        drop(first);

        let mut second = Intents::open(&path).unwrap();
        second.recover(|order| order == "landed").unwrap();
        assert_eq!(second.get("landed").unwrap().state, IntentState::Placed);
        assert!(second.get("lost").is_none());

        let mut third = Intents::open(&path).unwrap();
        assert_eq!(third.get("landed").unwrap().state, IntentState::Placed);
        // A bid that stood once is never forgotten while its order may be open.
        third.recover(|_| false).unwrap();
        third.prune(100).unwrap();
        assert!(third.get("landed").is_some());
        third.prune(100 + KEEP).unwrap();
        assert!(Intents::open(&path).unwrap().get("landed").is_none());
        std::fs::write(&path, b"{").unwrap();
        assert!(Intents::open(&path).is_err());
    }
}
