//! Running scenarios that share something costly, one after the other.
//!
//! The usual test harness runs tests side by side and has no end at which what they share could
//! be taken down. This one keeps to its command line as far as it goes: filters, `--list`.

mod terminal;

pub use terminal::Terminal;

use std::{
    fs::{File, OpenOptions},
    future::Future,
    path::Path,
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

/// What a scenario comes to.
pub type Outcome = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// One test: its name says what it shows.
pub struct Scenario<W> {
    /// A sentence with underscores.
    pub name: &'static str,
    /// The longest that it may take.
    pub within: Duration,
    /// What it does, on what all share.
    pub run: fn(W) -> Outcome,
}

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only those whose name has one of these in it; none: all.
    pub filters: Vec<String>,
    /// None of those whose name has one of these in it.
    pub skipped: Vec<String>,
    /// Only the names are asked for.
    pub list: bool,
    /// Names must be equal to a filter.
    pub exact: bool,
}

impl Wanted {
    /// Reads what `cargo test` passes on; what the usual harness knows and this one has no use
    /// for is let pass.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut wanted = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => wanted.list = true,
                "--exact" => wanted.exact = true,
                "--skip" => wanted.skipped.extend(arguments.next()),
                "--test-threads" | "--color" | "--format" | "--logfile" => drop(arguments.next()),
                other if other.starts_with('-') => {}
                filter => wanted.filters.push(filter.to_owned()),
            }
        }
        wanted
    }

    /// Whether a test of this name is asked for.
    pub fn takes(&self, name: &str) -> bool {
        let fits = |filter: &String| match self.exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        };
        let chosen = self.filters.is_empty() || self.filters.iter().any(fits);
        chosen && !self.skipped.iter().any(fits)
    }
}

/// Runs those scenarios that are wanted, in order, and says how each went. How many failed.
pub async fn run<W: Clone>(world: &W, scenarios: Vec<Scenario<W>>) -> usize {
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for Scenario { name, within, run } in scenarios {
        println!("\ntest {name} ...");
        let began = Instant::now();
        let mut task = tokio::spawn(run(world.clone()));
        let outcome = match tokio::time::timeout(within, &mut task).await {
            Ok(Ok(outcome)) => outcome,
            // Its message stands on stderr already.
            Ok(Err(panic)) => Err(anyhow::anyhow!("it panicked: {panic}")),
            Err(_) => {
                task.abort();
                Err(anyhow::anyhow!("not done within {} s", within.as_secs()))
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok ({seconds:.1} s)");
            }
            Err(error) => {
                failed += 1;
                println!("{error:#}\ntest {name} ... FAILED ({seconds:.1} s)");
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    failed
}

/// Held by whoever runs a network of this size: two at a time would be too slow for both.
#[derive(Debug)]
pub struct MachineLock(#[allow(dead_code, reason = "held, not read")] Flock<File>);

impl MachineLock {
    /// Waits until it is free.
    ///
    /// # Errors
    /// If the file cannot be opened or locked.
    pub fn take(path: &Path) -> Result<Self> {
        let open = || OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = open().with_context(|| path.display().to_string())?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => {
                eprintln!("waiting for another network to end ({})", path.display());
                Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?
            }
            Err((_, error)) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self(lock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> Wanted {
        Wanted::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn filters_choose_by_parts_of_names() {
        let all = wanted("--nocapture --test-threads 4 -q");
        assert!(all.takes("anything") && !all.list);
        let some = wanted("killed --skip nodes");
        assert!(some.takes("a_killed_provider") && !some.takes("killed_nodes"));
        assert!(!some.takes("a_published_file"));
        let one = wanted("killed --exact");
        assert!(one.takes("killed") && !one.takes("killed_nodes"));
        assert!(wanted("--list").list);
    }

    #[tokio::test]
    async fn what_fails_panics_or_hangs_is_counted_and_the_rest_still_runs() {
        type Count = std::sync::Arc<std::sync::atomic::AtomicUsize>;
        let scenario = |name, run| Scenario { name, within: Duration::from_millis(200), run };
        let scenarios: Vec<Scenario<Count>> = vec![
            scenario("fails", |_| Box::pin(async { anyhow::bail!("on purpose") })),
            scenario("panics", |_| Box::pin(async { panic!("on purpose") })),
            scenario("hangs", |_| Box::pin(std::future::pending())),
            scenario("works", |count| {
                Box::pin(async move {
                    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    Ok(())
                })
            }),
        ];
        let count = Count::default();
        assert_eq!(run(&count, scenarios).await, 3);
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[test]
    fn one_holds_the_lock_at_a_time() {
        let dir = std::env::temp_dir().join(format!("stoa-lock-{}", std::process::id()));
        let first = MachineLock::take(&dir).unwrap();
        let path = dir.clone();
        let second = std::thread::spawn(move || MachineLock::take(&path).map(drop));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!second.is_finished());
        drop(first);
        second.join().unwrap().unwrap();
        std::fs::remove_file(&dir).unwrap();
    }
}
