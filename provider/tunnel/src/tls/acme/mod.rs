//! Certificates from a CA that speaks ACME: asked for when a name appears,
//! renewed when a third of their life is left, and not asked for more often
//! than such CAs allow.

mod attempts;
mod challenges;
mod order;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use instant_acme::Account;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::certificates::Certificates;
use super::files;
use super::settings::AcmeSettings;
use crate::live::Routes;
use crate::state;
use attempts::Attempts;
use order::Failure;

pub(crate) use challenges::Challenges;

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Orders under way at a time.
const AT_ONCE: usize = 2;
/// Between tries to reach the CA for an account.
const ACCOUNT_RETRY: Duration = Duration::from_secs(60);

/// The task that gets certificates.
pub(crate) struct Worker {
    task: JoinHandle<()>,
    look: Arc<Notify>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Worker {
    pub(super) fn start(
        settings: AcmeSettings,
        directory: PathBuf,
        certificates: Arc<Certificates>,
        challenges: Arc<Challenges>,
        routes: Arc<Routes>,
    ) -> Self {
        let (look, problems) = (Arc::new(Notify::new()), Arc::default());
        let mut work = Work {
            // Accounts and certificates of two CAs have nothing to do with
            // each other.
            directory: directory.join(file_name(&settings.directory)),
            settings,
            certificates,
            challenges,
            routes,
            look: Arc::clone(&look),
            problems: Arc::clone(&problems),
        };
        // What is on disk serves from the first connection on.
        work.prepare();
        Self { task: tokio::spawn(async move { work.run().await }), look, problems }
    }

    /// The table has changed.
    pub(super) fn look(&self) {
        self.look.notify_one();
    }

    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Work {
    settings: AcmeSettings,
    directory: PathBuf,
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
    routes: Arc<Routes>,
    look: Arc<Notify>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Work {
    fn prepare(&mut self) {
        if let Err(error) = self.load() {
            tracing::error!("certificates of {}: {error}", self.settings.directory);
            self.tell(vec![format!("certificates of {}: {error}", self.settings.directory)]);
        }
    }

    fn load(&self) -> io::Result<()> {
        let certificates = self.directory.join("certificates");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&certificates)?;
        for entry in std::fs::read_dir(certificates)? {
            let path = entry?.path();
            let host =
                path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".pem"));
            let Some(host) = host else { continue };
            let text = std::fs::read(&path)?;
            match files::parse(&text, &text) {
                Ok((_, key)) => self.certificates.put_acme(host, key),
                // It is asked for anew.
                Err(error) => tracing::warn!("{}: {error}", path.display()),
            }
        }
        Ok(())
    }

    async fn run(&mut self) {
        let mut account = None;
        let mut attempts = Attempts::open(&self.directory.join("attempts.json"));
        loop {
            let due = self.due(&attempts);
            if !due.is_empty() && account.is_none() {
                match self.account().await {
                    Ok(found) => account = Some(found),
                    Err(error) => {
                        let problem = format!("the ACME CA {}: {error}", self.settings.directory);
                        tracing::warn!("{problem}; again in {} s", ACCOUNT_RETRY.as_secs());
                        self.tell(vec![problem]);
                        tokio::time::sleep(ACCOUNT_RETRY).await;
                        continue;
                    }
                }
            }
            if let Some(account) = &account {
                self.obtain_all(account, due, &mut attempts).await;
            }
            self.tell(attempts.problems());
            tokio::select! {
                () = self.look.notified() => {}
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }

    /// Names that want a certificate and may be tried now.
    fn due(&self, attempts: &Attempts) -> Vec<String> {
        let table = self.routes.current();
        let hosts = table.source.routes.iter().flat_map(|route| &route.hosts);
        let mut due: Vec<String> = hosts
            .map(|host| host.to_ascii_lowercase())
            .filter(|host| self.wants(host) && attempts.may_try(host, now()))
            .collect();
        due.sort();
        due
    }

    fn wants(&self, host: &str) -> bool {
        let excepted = self.settings.except_domain.as_ref().is_some_and(|domain| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
        });
        let files = self.certificates.files.read().unwrap_or_else(PoisonError::into_inner);
        if excepted || !host.contains('.') || files.find(host).is_some() {
            return false;
        }
        let have = self.certificates.acme(host).and_then(|key| files::validity(&key));
        have.is_none_or(|(from, until)| {
            let third = until.saturating_sub(from) / 3;
            i64::try_from(now()).unwrap_or(i64::MAX) >= until.saturating_sub(third)
        })
    }

    /// Until the next renewal, a minute at most: what failed is due again.
    fn pause(&self) -> Duration {
        let table = self.routes.current();
        let hosts = table.source.routes.iter().flat_map(|route| &route.hosts);
        let renewals = hosts.filter_map(|host| {
            let (from, until) = files::validity(self.certificates.acme(host)?.as_ref())?;
            u64::try_from(until.saturating_sub(until.saturating_sub(from) / 3)).ok()
        });
        let next = renewals.min().map_or(LOOK, |at| Duration::from_secs(at.saturating_sub(now())));
        next.clamp(SHORTEST_PAUSE, LOOK)
    }

    async fn obtain_all(&self, account: &Account, due: Vec<String>, attempts: &mut Attempts) {
        let allowed: Vec<String> =
            due.into_iter().filter(|host| attempts.take_order(host, now())).collect();
        let mut results = futures::stream::iter(allowed)
            .map(|host| async move {
                let result = order::obtain(account, &host, &self.challenges).await;
                (host, result)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((host, result)) = results.next().await {
            let result = result.and_then(|pem| self.take(&host, &pem).map_err(Failure::here));
            match result {
                Ok(()) => {
                    tracing::info!(%host, ca = %self.settings.directory, "a certificate is had");
                    attempts.succeeded(&host);
                }
                Err(failure) => {
                    tracing::warn!(%host, "no certificate: {}", failure.words);
                    attempts.failed(&host, &failure, now());
                }
            }
        }
    }

    /// Writes a chain with its key down, then hands it out.
    fn take(&self, host: &str, pem: &str) -> Result<(), String> {
        let (names, key) = files::parse(pem.as_bytes(), pem.as_bytes())?;
        if !names.iter().any(|name| name == host) {
            return Err(format!("the CA's certificate is for {}", names.join(", ")));
        }
        let path = self.directory.join("certificates").join(format!("{host}.pem"));
        state::write(&path, pem.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
        self.certificates.put_acme(host, key);
        Ok(())
    }

    async fn account(&self) -> Result<Account, String> {
        let path = self.directory.join("account.json");
        order::account(&self.settings, &path).await
    }

    fn tell(&self, problems: Vec<String>) {
        *self.problems.lock().unwrap_or_else(PoisonError::into_inner) = problems;
    }
}

/// A directory's name for a URL: what of it may stand in one.
fn file_name(url: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    url.trim_start_matches("https://").chars().map(clean).take(120).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads a file that may not be there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
