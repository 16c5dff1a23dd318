//! All parts together: start, readiness, end.

mod chain;
#[cfg(test)]
mod full_disk;
mod machines;
mod parts;
mod start;

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use tokio::signal::unix::{signal, SignalKind};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::store;
use start::start;

/// Between tries of what the daemon cannot start without.
const RETRY: Duration = Duration::from_secs(3);
/// How long calls under way may take at the end.
const ENDING: Duration = Duration::from_secs(10);
const READY: &str = "ready";

/// Runs until SIGTERM or SIGINT. Workloads go on without it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut ended = std::pin::pin!(end_signal()?);
    let config = Arc::new(config);
    let _lock = lock(&config.data_dir)?;
    store::remove(&config.data_dir.join(READY))?;
    let mut parts = JoinSet::new();
    let started = tokio::select! {
        started = start(Arc::clone(&config), &mut parts) => started?,
        () = &mut ended => return Ok(()),
    };
    let result = tokio::select! {
        () = &mut ended => Ok(()),
        never = announce(&config, &started.provider) => match never {},
        Some(finished) = parts.join_next() => Err(match finished {
            Ok(Ok(())) => anyhow::anyhow!("a part of the daemon ended by itself"),
            Ok(Err(error)) => error,
            Err(panic) => anyhow::anyhow!("a part of the daemon failed: {panic}"),
        }),
    };
    tracing::info!("ending; workloads go on");
    let _ = store::remove(&config.data_dir.join(READY));
    let _ = started.ending.send(true);
    let drained = async { while parts.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(ENDING, drained).await;
    result
}

/// One daemon a data directory: two would bid twice.
fn lock(data_dir: &Path) -> anyhow::Result<Flock<fs::File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = data_dir.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{}; run `stoa-provider init` first", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| anyhow::anyhow!("another daemon uses {}", data_dir.display()))
}

/// One line for people and a file for programs, which waits for a disk that
/// does not take it.
async fn announce(config: &Config, provider: &str) -> Infallible {
    tracing::info!(
        %provider,
        gateway = %config.gateway.listen,
        ingress = %config.ingress.listen,
        "ready"
    );
    let ready = serde_json::json!({
        "provider": provider,
        "pid": std::process::id(),
        "gateway": config.gateway.listen,
        "ingress": config.ingress.listen,
    });
    let path = config.data_dir.join(READY);
    while let Err(error) = store::write(&path, ready.to_string().as_bytes()) {
        tracing::warn!("{}: {error}; again in {} s", path.display(), RETRY.as_secs());
        tokio::time::sleep(RETRY).await;
    }
    std::future::pending().await
}

pub(crate) fn end_signal() -> anyhow::Result<impl std::future::Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
