//! One payload at this provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoa_client::proto::gateway::v1::{Payload, PayloadSource};

use super::STEPS;

/// Senders remembered of one payload.
const MAX_SOURCES: usize = 64;

/// What a payload is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Manifest,
    #[default]
    Blob,
}

/// How far it is and who sent it. Sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub kind: Kind,
    pub size: u64,
    pub have: u64,
    pub complete: bool,
    /// Bytes by address.
    pub sources: BTreeMap<String, u64>,
}

impl Record {
    /// In which of a few steps it is, so that not each byte is told.
    pub(super) fn step(&self) -> u64 {
        let step = u128::from(self.have) * u128::from(STEPS) / u128::from(self.size.max(1));
        u64::try_from(step).unwrap_or(STEPS)
    }

    pub(super) fn received(&mut self, peer: &str, bytes: u64) {
        if let Some(sum) = self.sources.get_mut(peer) {
            *sum = sum.saturating_add(bytes);
        } else if self.sources.len() < MAX_SOURCES {
            self.sources.insert(peer.into(), bytes);
        }
    }

    pub(super) fn shown(&self, root: &str) -> Payload {
        let sources = self.sources.iter();
        let mut sources: Vec<_> = sources
            .map(|(peer, bytes)| PayloadSource { peer: peer.clone(), bytes: *bytes })
            .collect();
        sources.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.peer.cmp(&b.peer)));
        let kind = match self.kind {
            Kind::Manifest => "manifest",
            Kind::Blob => "blob",
        };
        Payload {
            kind: kind.into(),
            root: root.into(),
            size: self.size,
            have: self.have,
            complete: self.complete,
            sources,
        }
    }
}
