//! How often a CA is asked. On disk, so that a process that restarts all the
//! time does not use up what the CA allows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::order::{Failure, Kind};
use crate::state;

/// After a name's first failure, doubled with each further one. Let's Encrypt
/// takes five failures a name, account and hour.
const FIRST_WAIT: u64 = 15 * 60;
/// After a failure that is not the name's: the CA does not answer.
const SHORT_WAIT: u64 = 60;
const LONGEST_WAIT: u64 = 24 * 3600;
/// After the CA says "too many", for all names.
const LIMITED_WAIT: u64 = 3600;
/// Let's Encrypt takes 300 orders an account in three hours …
const ORDERS: usize = 250;
const ORDERS_IN: u64 = 3 * 3600;
/// … and gives 50 certificates a registered domain in a week.
const PER_DOMAIN: usize = 45;
const PER_DOMAIN_IN: u64 = 7 * 24 * 3600;

/// What was tried, in Unix seconds.
pub(super) struct Attempts {
    path: PathBuf,
    record: Record,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    #[serde(default)]
    failing: BTreeMap<String, Failing>,
    /// When orders were placed, and for which domain.
    #[serde(default)]
    orders: Vec<(u64, String)>,
    /// No order before this.
    #[serde(default)]
    paused_until: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failing {
    count: u32,
    next: u64,
    words: String,
}

impl Attempts {
    /// What is on disk; damage costs the memory, no more.
    pub(super) fn open(path: &Path) -> Self {
        let bytes = super::read(path).ok().flatten();
        let record = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path: path.into(), record: record.unwrap_or_default() }
    }

    pub(super) fn may_try(&self, host: &str, now: u64) -> bool {
        let waits = self.record.failing.get(host).is_some_and(|failing| failing.next > now);
        !waits && self.record.paused_until <= now
    }

    /// Counts an order that is about to be placed; false where the CA would
    /// not take it.
    pub(super) fn take_order(&mut self, host: &str, now: u64) -> bool {
        let orders = &mut self.record.orders;
        orders.retain(|(at, _)| at.saturating_add(PER_DOMAIN_IN) > now);
        let domain = registered_domain(host);
        let lately = orders.iter().filter(|(at, _)| at.saturating_add(ORDERS_IN) > now).count();
        let of_domain = orders.iter().filter(|(_, of)| *of == domain).count();
        if lately >= ORDERS || of_domain >= PER_DOMAIN {
            tracing::warn!(%host, "no certificate is asked for yet: the CA's limits are reached");
            return false;
        }
        orders.push((now, domain));
        self.save();
        true
    }

    pub(super) fn succeeded(&mut self, host: &str) {
        if self.record.failing.remove(host).is_some() {
            self.save();
        }
    }

    pub(super) fn failed(&mut self, host: &str, failure: &Failure, now: u64) {
        let failing = &mut self.record.failing;
        let count = failing.get(host).map_or(0, |failing| failing.count).saturating_add(1);
        let first = if failure.kind == Kind::Refused { FIRST_WAIT } else { SHORT_WAIT };
        let wait = first.saturating_mul(1 << (count - 1).min(12)).min(LONGEST_WAIT);
        if failure.kind == Kind::Limited {
            self.record.paused_until = now.saturating_add(LIMITED_WAIT);
        }
        let next = now.saturating_add(wait);
        failing.insert(host.into(), Failing { count, next, words: failure.words.clone() });
        self.save();
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let problem = |(host, failing): (&String, &Failing)| {
            format!("no certificate for {host} after {} tries: {}", failing.count, failing.words)
        };
        self.record.failing.iter().map(problem).collect()
    }

    fn save(&self) {
        let saved = serde_json::to_vec(&self.record)
            .map_err(std::io::Error::from)
            .and_then(|bytes| state::write(&self.path, &bytes));
        if let Err(error) = saved {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}

/// The last two labels: for names under `co.uk` and the like that counts
/// several domains together, which is the safe side.
fn registered_domain(host: &str) -> String {
    let mut labels: Vec<&str> = host.rsplit('.').take(2).collect();
    labels.reverse();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: Kind) -> Failure {
        Failure { kind, words: "no".into() }
    }

    #[test]
    fn failures_wait_longer_and_longer_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts.json");
        let mut attempts = Attempts::open(&path);
        attempts.failed("a.example", &failure(Kind::Refused), 1_000);
        assert!(!attempts.may_try("a.example", 1_000 + FIRST_WAIT - 1));
        assert!(attempts.may_try("a.example", 1_000 + FIRST_WAIT));
        assert!(attempts.may_try("b.example", 1_000));
        attempts.failed("a.example", &failure(Kind::Refused), 2_000);
        let mut again = Attempts::open(&path);
        assert!(!again.may_try("a.example", 2_000 + FIRST_WAIT));
        assert!(again.may_try("a.example", 2_000 + 2 * FIRST_WAIT));
        for _ in 0..40 {
            again.failed("a.example", &failure(Kind::Refused), 3_000);
        }
        assert!(again.may_try("a.example", 3_000 + LONGEST_WAIT), "a day is the longest");
        assert!(again.problems()[0].contains("a.example"), "{:?}", again.problems());
        again.succeeded("a.example");
        assert!(Attempts::open(&path).may_try("a.example", 3_000));
    }

    #[test]
    fn a_cas_limits_stop_all_names() {
        let dir = tempfile::tempdir().unwrap();
        let mut attempts = Attempts::open(&dir.path().join("attempts.json"));
        attempts.failed("a.example", &failure(Kind::Limited), 1_000);
        assert!(!attempts.may_try("b.other", 1_000 + LIMITED_WAIT - 1));
        assert!(attempts.may_try("b.other", 1_000 + LIMITED_WAIT));
        for n in 0..PER_DOMAIN {
            assert!(attempts.take_order(&format!("h{n}.p.example"), 5_000));
        }
        assert!(!attempts.take_order("one-more.p.example", 5_000));
        assert!(attempts.take_order("x.other", 5_000));
        assert!(attempts.take_order("one-more.p.example", 5_000 + PER_DOMAIN_IN));
        let taken = (0..ORDERS).filter(|n| attempts.take_order(&format!("{n}.x{n}"), 900_000));
        assert_eq!(taken.count(), ORDERS);
        assert!(!attempts.take_order("late.y", 900_000));
    }
}
