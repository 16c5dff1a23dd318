//! Measures the daemon's loop, for `make bench`: it runs here as it does in
//! the daemon, on a chain that is a list of leases. One figure a line: name,
//! value, unit.
//!
//! ```text
//! measure lease N IMAGE     from a lease on chain to its first HTTP answer
//! measure adopt N IMAGE     from a start to all of N running containers known
//! measure memory N          of the process, with N leases on a simulated engine
//! ```

// Clippy's own exception for tests does not see examples.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod daemon;
mod engine;
#[path = "../../tests/support/nowhere.rs"]
mod nowhere;

use std::path::Path;
use std::time::{Duration, Instant};

use daemon::{Daemon, Fleet};
use stoa_provider::runtime::{Backend, DockerBackend, InstanceKey, RuntimeConfig};
use stoa_tunnel::netns::Dialer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DOCKER: &str = "/var/run/docker.sock";
const POLL: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["lease", number, image] => lease(number.parse()?, Path::new(image)).await,
        ["adopt", number, image] => adopt(number.parse()?, Path::new(image)).await,
        ["memory", number] => memory(number.parse()?).await,
        ["engine", socket, number] => engine::serve(Path::new(socket), number.parse()?).await,
        _ => anyhow::bail!("right is such as: measure lease 20 web.tar"),
    }
}

async fn docker(id: &str) -> anyhow::Result<DockerBackend> {
    let mut config = RuntimeConfig::new(id);
    config.socket = DOCKER.into();
    config.stop_grace = Duration::from_secs(1);
    Ok(DockerBackend::connect(config).await?)
}

/// One lease after the other, with its image at the engine: the middle and
/// the slow end of the times.
async fn lease(number: usize, image: &Path) -> anyhow::Result<()> {
    let id = format!("measure-lease-{}", std::process::id());
    let backend = docker(&id).await?;
    let result = measure_leases(&backend, &id, number, image).await;
    backend.purge().await?;
    let mut times = result?;
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("provider.lease_to_answer.p50 {} ms", at(50).as_secs_f64() * 1e3);
    println!("provider.lease_to_answer.p95 {} ms", at(95).as_secs_f64() * 1e3);
    Ok(())
}

async fn measure_leases(
    backend: &DockerBackend,
    id: &str,
    number: usize,
    image: &Path,
) -> anyhow::Result<Vec<Duration>> {
    let fleet = Fleet::of_blob(number + 1, image)?;
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::start(dir.path(), docker(id).await?, &fleet, 1).await?;
    // The first one brings the image, and is not counted.
    daemon.until_answers(backend, &fleet.key(0)).await?;
    let mut times = vec![];
    for index in 1..=number {
        let begun = Instant::now();
        daemon.show(&fleet, index + 1);
        daemon.until_answers(backend, &fleet.key(index)).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// Each lease is two containers: the workload and its link.
async fn adopt(containers: usize, image: &Path) -> anyhow::Result<()> {
    let leases = containers / 2;
    let id = format!("measure-adopt-{}", std::process::id());
    let backend = docker(&id).await?;
    let result = measure_adoption(&id, leases, image).await;
    backend.purge().await?;
    println!("provider.adopt_{containers} {} s", result?.as_secs_f64());
    Ok(())
}

async fn measure_adoption(id: &str, leases: usize, image: &Path) -> anyhow::Result<Duration> {
    let fleet = Fleet::of_blob(leases, image)?;
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::start(dir.path(), docker(id).await?, &fleet, leases).await?;
    daemon.until_all_run(&fleet).await?;
    drop(daemon);
    let begun = Instant::now();
    let daemon = Daemon::start(dir.path(), docker(id).await?, &fleet, leases).await?;
    daemon.until_all_run(&fleet).await?;
    Ok(begun.elapsed())
}

/// What the process holds when all leases are known to run and some looks
/// have passed. The engine is another process, which answers as Docker does.
async fn memory(leases: usize) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("engine.sock");
    let mut engine = tokio::process::Command::new(std::env::current_exe()?)
        .arg("engine")
        .arg(&socket)
        .arg(leases.to_string())
        .kill_on_drop(true)
        .spawn()?;
    while !socket.exists() {
        anyhow::ensure!(engine.try_wait()?.is_none(), "the simulated engine ended");
        tokio::time::sleep(POLL).await;
    }
    let mut config = RuntimeConfig::new(engine::PROVIDER);
    config.socket = socket;
    let fleet = Fleet::of_registry(leases);
    let backend = DockerBackend::connect(config).await?;
    let daemon = Daemon::start(dir.path(), backend, &fleet, leases).await?;
    daemon.until_all_run(&fleet).await?;
    for _ in 0..10 {
        daemon.look_again().await;
    }
    println!("provider.memory_{leases} {} MiB", resident_mebibytes()?);
    Ok(())
}

fn resident_mebibytes() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kibibytes.ok_or_else(|| anyhow::anyhow!("no VmRSS"))?.parse::<f64>()? / 1024.0)
}

/// Asks for the page from inside the instance's network, as the ingress does.
async fn answers(dialer: &Dialer, backend: &dyn Backend, key: &InstanceKey) -> bool {
    let Ok(seen) = backend.observe_instance(key).await else { return false };
    let Some((netns, address)) = seen.way_to(daemon::PORT) else { return false };
    let second = Duration::from_secs(1);
    let Ok(mut stream) = dialer.connect(&netns, address, second).await else { return false };
    let mut answer = [0; 12];
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && answer.ends_with(b" 200")
}
