//! One source and some peers that fetch its blob at once.

use std::sync::{mpsc, Arc, Barrier};
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use stoa_swarm::Holding;
use tokio::sync::watch;

use super::node::{host, part, Run};
use super::tls::Tls;
use super::world::World;

/// How a run went.
pub struct Outcome {
    /// Until the last peer had it, verified and on disk.
    pub worst: Duration,
    /// Bytes of pieces that came though they were here.
    pub wasted: u64,
    /// Bytes of pieces that the source sent.
    pub source_sent: u64,
    pub world: World,
}

/// Gives a blob to so many peers.
pub fn trade(bytes: &[u8], peers: usize, rate: u64) -> Result<Outcome> {
    let source = Arc::new(Holding::of_bytes(bytes.to_vec()).context("an empty blob")?);
    let (end, ended) = watch::channel(false);
    let run = Arc::new(Run {
        world: World::new(peers + 1, rate)?,
        tls: Tls::new()?,
        root: source.root(),
        size: bytes.len() as u64,
        hosts: peers + 1,
        ready: Barrier::new(peers + 1),
        end: ended,
    });
    let directory = tempfile::tempdir()?;
    let (tell, told) = mpsc::channel();
    let mut threads = vec![];
    for number in 0..=peers {
        let holding = match number {
            0 => Arc::clone(&source),
            _ => {
                let own = directory.path().join(number.to_string());
                std::fs::create_dir(&own)?;
                part(&own, &run)?
            }
        };
        let (run, tell) = (Arc::clone(&run), tell.clone());
        threads.push(std::thread::spawn(move || {
            host(&run, number, holding, |told| {
                let _ = tell.send(told);
            })
        }));
    }
    drop(tell);
    let all: Vec<Duration> = told.iter().take(peers + 1).collect();
    let _ = end.send(true);
    let mut did = vec![];
    for thread in threads {
        did.push(thread.join().map_err(|_| anyhow::anyhow!("a host panicked"))??);
    }
    ensure!(all.len() == peers + 1, "not all hosts ended");
    check(directory.path(), &source, bytes, peers)?;
    let worst = all.into_iter().max().unwrap_or_default();
    let wasted = did.iter().map(|did| did.wasted).sum();
    let source_sent = did.first().map_or(0, |did| did.sent);
    let run = Arc::try_unwrap(run).map_err(|_| anyhow::anyhow!("a host still runs"))?;
    Ok(Outcome { worst, wasted, source_sent, world: run.world })
}

/// What is on the disks is the blob.
fn check(directory: &std::path::Path, source: &Holding, bytes: &[u8], peers: usize) -> Result<()> {
    for number in 1..=peers {
        let name = format!("{number}/{}.blob", source.root().to_hex());
        let there = std::fs::read(directory.join(name))?;
        ensure!(there == bytes, "peer {number} has other bytes");
    }
    Ok(())
}

/// Bytes that do not compress.
pub fn content(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(b"links").finalize_xof().fill(&mut bytes);
    bytes
}

/// How much longer than one copy over one link.
pub fn factor(took: Duration, bytes: usize, rate: u64) -> f64 {
    took.as_secs_f64() / (bytes as f64 * 8.0 / rate as f64)
}
