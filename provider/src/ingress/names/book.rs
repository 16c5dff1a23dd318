//! Who has which name. Pure but for its file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Claim, Finding, Standing, Standings, HTTP_PATH, TXT_LABEL};
use crate::store;

/// Between two looks at a proof that is not there yet: at first, and at most.
const FIRST_LOOK: u64 = 5;
const LAST_LOOK: u64 = 300;
/// After a look that told nothing.
const UNKNOWN_LOOK: u64 = 30;

/// When things are due, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Between two looks at a proof that stands.
    pub check: u64,
    /// A proof must be gone for so long before the name is.
    pub grace: u64,
}

/// A name that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    lease: String,
    /// Unix seconds since which the proof is positively gone.
    #[serde(default)]
    missing_since: Option<u64>,
}

/// How a claim's proof is coming along.
#[derive(Debug, Clone, Default)]
struct Progress {
    next: u64,
    wait: u64,
    /// What the last look found in the way.
    words: String,
    looked: bool,
}

/// The names of one provider.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    times: Times,
    held: BTreeMap<String, Held>,
    progress: BTreeMap<Claim, Progress>,
}

impl Book {
    pub fn open(path: &Path, times: Times) -> io::Result<Self> {
        let held = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.into(), times, held, progress: BTreeMap::new() })
    }

    /// Says which names are wanted now. What a lease holds and no longer
    /// wants, or what a lease held that is over, is free.
    pub fn want(&mut self, claims: &BTreeSet<Claim>, keep: impl Fn(&str) -> bool) {
        self.progress.retain(|claim, _| claims.contains(claim));
        for claim in claims {
            self.progress.entry(claim.clone()).or_default();
        }
        let wanted = |host: &str, lease: &str| {
            claims.iter().any(|claim| claim.host == host && claim.lease == lease)
        };
        self.change(|held| {
            held.retain(|host, held| wanted(host, &held.lease) || keep(&held.lease));
        });
    }

    /// Claims whose proof is to be looked at.
    pub fn due(&self, now: u64) -> Vec<Claim> {
        let due = self.progress.iter().filter(|(_, progress)| progress.next <= now);
        due.map(|(claim, _)| claim.clone()).collect()
    }

    /// Takes in what a look has found.
    pub fn note(&mut self, claim: &Claim, finding: Finding, now: u64) {
        if !self.progress.contains_key(claim) {
            return;
        }
        match finding {
            Finding::Proven => self.proven(claim, now),
            Finding::Missing(words) => self.missing(claim, words, now),
            Finding::Unknown(words) => {
                let progress = self.progress.entry(claim.clone()).or_default();
                progress.next = now.saturating_add(UNKNOWN_LOOK);
                (progress.words, progress.looked) = (words, true);
            }
        }
    }

    fn proven(&mut self, claim: &Claim, now: u64) {
        let holder = self.held.get(&claim.host).cloned();
        let check = self.times.check;
        let progress = self.progress.entry(claim.clone()).or_default();
        progress.looked = true;
        match holder {
            Some(holder) if holder.lease != claim.lease && holder.missing_since.is_none() => {
                // Both may be proven while the owner moves: whoever has the
                // name keeps it until its own proof is gone.
                progress.next = now.saturating_add(FIRST_LOOK);
                progress.words = "another deployment here has this name; it has to lose its own \
                                  proof, or to end, first"
                    .into();
                self.look_at_holder(&claim.host, &holder.lease, now);
            }
            _ => {
                (progress.next, progress.wait) = (now.saturating_add(check), 0);
                progress.words.clear();
                let held = Held { lease: claim.lease.clone(), missing_since: None };
                self.change(|all| {
                    all.insert(claim.host.clone(), held);
                });
            }
        }
    }

    fn look_at_holder(&mut self, host: &str, lease: &str, now: u64) {
        let own = self.progress.iter_mut().find(|(c, _)| c.host == host && c.lease == lease);
        if let Some((_, progress)) = own {
            progress.next = progress.next.min(now);
        }
    }

    fn missing(&mut self, claim: &Claim, words: String, now: u64) {
        let progress = self.progress.entry(claim.clone()).or_default();
        progress.wait = (progress.wait * 3 / 2).clamp(FIRST_LOOK, LAST_LOOK);
        progress.next = now.saturating_add(progress.wait);
        (progress.words, progress.looked) = (words, true);
        let grace = self.times.grace;
        let Some(held) = self.held.get(&claim.host).filter(|held| held.lease == claim.lease) else {
            return;
        };
        let since = held.missing_since.unwrap_or(now);
        let host = claim.host.clone();
        if now.saturating_sub(since) >= grace {
            tracing::warn!(%host, lease = %claim.lease, "the proof is gone: no longer served");
            self.change(|all| {
                all.remove(&host);
            });
        } else {
            self.change(|all| {
                if let Some(held) = all.get_mut(&host) {
                    held.missing_since = Some(since);
                }
            });
        }
    }

    /// How every claim stands.
    pub fn standings(&self) -> Standings {
        let standing = |(claim, progress): (&Claim, &Progress)| {
            let held = self.held.get(&claim.host).filter(|held| held.lease == claim.lease);
            let words = match held {
                Some(held) if held.missing_since.is_some() => {
                    format!(
                        "its proof is gone, so it will soon be served no longer. {}",
                        how(claim)
                    )
                }
                Some(_) => String::new(),
                None if !progress.looked => "its proof is being looked for".into(),
                None => format!("{}. {}", progress.words, how(claim)),
            };
            let of = (claim.lease.clone(), claim.host.clone());
            (of, Standing { served: held.is_some(), words })
        };
        self.progress.iter().map(standing).collect()
    }

    /// On disk before it counts; a failing disk is told, and tried again at
    /// the next change.
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<String, Held>)) {
        let mut next = self.held.clone();
        change(&mut next);
        if next == self.held {
            return;
        }
        let saved = serde_json::to_vec_pretty(&next)
            .map_err(io::Error::from)
            .and_then(|bytes| store::write(&self.path, &bytes));
        match saved {
            Ok(()) => self.held = next,
            Err(error) => tracing::error!("{}: {error}", self.path.display()),
        }
    }
}

/// What the name's owner is to do.
fn how(claim: &Claim) -> String {
    let Claim { host, token, generated, .. } = claim;
    format!(
        "Make the DNS record `{TXT_LABEL}.{host} TXT \"{token}\"`, or `{host} CNAME {generated}`, \
         or have http://{host}{HTTP_PATH} answer with {token}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { check: 3600, grace: 1000 };

    fn claim(lease: &str) -> Claim {
        Claim {
            host: "shop.example".into(),
            lease: lease.into(),
            generated: format!("web-{lease}.p.test"),
            token: format!("tok{lease}"),
        }
    }

    fn missing() -> Finding {
        Finding::Missing("no such record".into())
    }

    struct Case {
        book: Book,
        dir: tempfile::TempDir,
    }

    impl Case {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let book = Book::open(&dir.path().join("hosts.json"), TIMES).unwrap();
            Self { book, dir }
        }

        fn want(&mut self, leases: &[&str]) {
            self.book.want(&leases.iter().map(|lease| claim(lease)).collect(), |_| false);
        }

        fn serves(&self, lease: &str) -> bool {
            let of = (lease.to_string(), "shop.example".to_string());
            self.book.standings().get(&of).is_some_and(|standing| standing.served)
        }

        fn words(&self, lease: &str) -> String {
            let of = (lease.to_string(), "shop.example".to_string());
            self.book.standings()[&of].words.clone()
        }
    }

    #[test]
    fn a_name_is_served_once_it_is_proven_and_says_until_then_what_is_missing() {
        let mut case = Case::new();
        case.want(&["a"]);
        assert!(case.words("a").contains("being looked for"));
        assert_eq!(case.book.due(0).len(), 1);
        case.book.note(&claim("a"), missing(), 100);
        assert!(!case.serves("a"));
        let words = case.words("a");
        for part in [
            "no such record",
            "`_stoa-challenge.shop.example TXT \"toka\"`",
            "`shop.example CNAME web-a.p.test`",
            "http://shop.example/.well-known/stoa-challenge answer with toka",
        ] {
            assert!(words.contains(part), "{words}");
        }
        assert!(case.book.due(104).is_empty());
        assert_eq!(case.book.due(105).len(), 1);
        case.book.note(&claim("a"), Finding::Proven, 105);
        assert!(case.serves("a") && case.words("a").is_empty());
        assert!(case.book.due(105 + 3599).is_empty(), "looked at again, an hour later");
        assert_eq!(case.book.due(105 + 3600).len(), 1);
    }

    #[test]
    fn nobody_else_gets_a_name_while_its_holder_can_prove_it() {
        let mut case = Case::new();
        case.want(&["a", "b"]);
        case.book.note(&claim("a"), Finding::Proven, 100);
        case.book.note(&claim("b"), Finding::Proven, 100);
        assert!(case.serves("a") && !case.serves("b"));
        assert!(case.words("b").contains("another deployment here has this name"));
        // The holder is looked at again at once; as long as that tells
        // nothing, nothing changes.
        assert!(case.book.due(100).contains(&claim("a")));
        case.book.note(&claim("a"), Finding::Unknown("no answer".into()), 100);
        case.book.note(&claim("b"), Finding::Proven, 105);
        assert!(case.serves("a") && !case.serves("b"));
        // Its proof is gone and the other's is there: that is the owner's word.
        case.book.note(&claim("a"), missing(), 130);
        assert!(case.serves("a"), "the grace");
        assert!(case.words("a").contains("its proof is gone"));
        case.book.note(&claim("b"), Finding::Proven, 131);
        assert!(case.serves("b") && !case.serves("a"));
    }

    #[test]
    fn a_proof_that_is_gone_ends_a_name_after_the_grace_and_not_before() {
        let mut case = Case::new();
        case.want(&["a"]);
        case.book.note(&claim("a"), Finding::Proven, 0);
        case.book.note(&claim("a"), missing(), 5_000);
        case.book.note(&claim("a"), missing(), 5_999);
        assert!(case.serves("a"));
        // It comes back in time: nothing is held against it.
        case.book.note(&claim("a"), Finding::Proven, 5_999);
        case.book.note(&claim("a"), missing(), 9_000);
        case.book.note(&claim("a"), missing(), 9_999);
        assert!(case.serves("a"));
        case.book.note(&claim("a"), missing(), 10_000);
        assert!(!case.serves("a"));
    }

    #[test]
    fn a_holder_survives_a_restart_and_its_lease_frees_the_name() {
        let mut case = Case::new();
        case.want(&["b"]);
        case.book.note(&claim("b"), Finding::Proven, 0);
        case.book = Book::open(&case.dir.path().join("hosts.json"), TIMES).unwrap();
        case.want(&["a", "b"]);
        assert!(case.serves("b"), "known at once, before any look");
        case.book.note(&claim("a"), Finding::Proven, 1);
        assert!(case.serves("b") && !case.serves("a"));
        case.want(&["a"]);
        case.book.note(&claim("a"), Finding::Proven, 10);
        assert!(case.serves("a"));
        // A lease whose manifest cannot be read now keeps what it has.
        case.book.want(&BTreeSet::new(), |lease| lease == "a");
        case.want(&["a", "b"]);
        assert!(case.serves("a"));
    }

    #[test]
    fn looks_become_rarer_up_to_five_minutes() {
        let mut case = Case::new();
        case.want(&["a"]);
        let (mut now, mut waits) = (0, vec![]);
        for _ in 0..14 {
            case.book.note(&claim("a"), missing(), now);
            let next = (now..).find(|at| !case.book.due(*at).is_empty()).unwrap();
            waits.push(next - now);
            now = next;
        }
        assert_eq!((waits.first(), waits.last()), (Some(&5), Some(&300)), "{waits:?}");
        assert!(waits.is_sorted());
    }
}
