//! This provider's own root as its tunnels know it: after a change the one
//! before still vouches, as it does on chain, so that nothing is cut.

use serde::{Deserialize, Serialize};

use super::credentials::fingerprint;

/// Other providers read a new root on chain within this many seconds. Until
/// then they are shown what the root before has signed.
const FOLLOWED_SECONDS: u64 = 60;

/// The root in use and the one before.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnRoots {
    /// DER in hex; empty before the first.
    current: String,
    #[serde(default)]
    earlier: String,
    /// Since when the current one is in use, in Unix seconds.
    since: u64,
}

impl OwnRoots {
    /// The daemon runs with this root (DER) now.
    pub(super) fn note(&mut self, root: &[u8], now: u64) {
        let root = hex::encode(root);
        if self.current != root {
            self.earlier = std::mem::replace(&mut self.current, root);
            self.since = now;
        }
    }

    /// All that vouch for the own ends of tunnels, in DER; the earlier one as
    /// long as something that it signed may be in use.
    pub(super) fn all(&self, now: u64, certificate_seconds: u64) -> Vec<Vec<u8>> {
        let lives = FOLLOWED_SECONDS.saturating_add(certificate_seconds);
        let earlier = self.earlier(now, lives);
        [self.current.as_str()]
            .into_iter()
            .chain(earlier)
            .filter_map(|r| hex::decode(r).ok())
            .collect()
    }

    /// The fingerprint of the root before, while its certificates are still
    /// shown.
    pub(super) fn still_shown(&self, now: u64) -> Option<String> {
        let earlier = hex::decode(self.earlier(now, FOLLOWED_SECONDS)?).ok()?;
        Some(fingerprint(&earlier))
    }

    fn earlier(&self, now: u64, within: u64) -> Option<&str> {
        let is_recent = now.saturating_sub(self.since) < within;
        (is_recent && !self.earlier.is_empty()).then_some(self.earlier.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_before_is_shown_until_others_have_read_the_new_one_and_vouches_for_longer() {
        let (one, two) = (b"one".as_slice(), b"two".as_slice());
        let mut own = OwnRoots::default();
        own.note(one, 1_000);
        assert_eq!((own.all(1_000, 3_600), own.still_shown(1_000)), (vec![one.to_vec()], None));
        own.note(one, 2_000);
        own.note(two, 3_000);
        let mut own: OwnRoots =
            serde_json::from_str(&serde_json::to_string(&own).unwrap()).unwrap();
        own.note(two, 3_059);
        assert_eq!(own.still_shown(3_059), Some(fingerprint(one)));
        assert_eq!(own.still_shown(3_060), None);
        assert_eq!(own.all(6_659, 3_600), [two, one]);
        assert_eq!(own.all(6_660, 3_600), [two]);
    }
}
