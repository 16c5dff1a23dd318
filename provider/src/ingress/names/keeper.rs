//! The task that looks at proofs, and what the rest of the daemon sees of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::book::{Book, Times};
use super::proof::Proofs;
use super::{Claim, Standings};
use crate::config::Config;

const HOSTS: &str = "hosts.json";
/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// Proofs looked at side by side.
const AT_ONCE: usize = 8;

/// The names of this provider.
pub struct Names {
    book: Arc<Mutex<Book>>,
    wanted: BTreeSet<Claim>,
    look: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Names {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    /// Starts looking. Needs a tokio runtime.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let settings = &config.host_names;
        let times = Times { check: settings.check_seconds, grace: settings.grace_seconds };
        let book = Arc::new(Mutex::new(Book::open(&config.data_dir.join(HOSTS), times)?));
        let look = Arc::new(Notify::new());
        let keeper = Keeper {
            book: Arc::clone(&book),
            proofs: Proofs::new(settings)?,
            look: Arc::clone(&look),
        };
        let task = tokio::spawn(keeper.run());
        Ok(Self { book, wanted: BTreeSet::new(), look, task })
    }

    /// Says which names are wanted, and how all stand. `keep` says of a lease
    /// that it keeps also what it does not want now.
    pub fn want(&mut self, claims: BTreeSet<Claim>, keep: impl Fn(&str) -> bool) -> Standings {
        let mut book = lock(&self.book);
        book.want(&claims, keep);
        if claims != self.wanted {
            self.wanted = claims;
            self.look.notify_one();
        }
        book.standings()
    }
}

struct Keeper {
    book: Arc<Mutex<Book>>,
    proofs: Proofs,
    look: Arc<Notify>,
}

impl Keeper {
    async fn run(self) {
        loop {
            let due = lock(&self.book).due(now());
            let mut looks = futures::stream::iter(due)
                .map(|claim| async {
                    let finding = self.proofs.look(&claim).await;
                    (claim, finding)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((claim, finding)) = looks.next().await {
                tracing::debug!(host = %claim.host, lease = %claim.lease, "proof: {finding:?}");
                lock(&self.book).note(&claim, finding, now());
            }
            tokio::select! {
                () = self.look.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
