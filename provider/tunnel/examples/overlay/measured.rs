//! What is measured of one way from the client to the server.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};

use crate::world::{World, ECHO, PIECE, SINK};

/// How long each throughput is measured, after a warm-up.
const LASTS: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
const ROUND_TRIPS: usize = 20_000;
const CONNECTIONS: usize = 300;

/// One way from the client to the server.
pub struct Way {
    pub name: &'static str,
    pub address: [u8; 4],
    /// Added to the server's port.
    pub offset: u16,
    /// The processes between.
    pub pids: Vec<u32>,
}

impl Way {
    fn to(&self, port: u16) -> SocketAddr {
        (self.address, port + self.offset).into()
    }
}

#[derive(Clone, Copy, Default)]
pub struct Measured {
    pub one: f64,
    pub four: f64,
    pub p50: f64,
    pub p99: f64,
    pub first_byte: f64,
    pub cpu_per_gbit: f64,
    pub memory_mib: f64,
}

impl Measured {
    pub fn median(all: Vec<Self>) -> Self {
        let of = |part: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(part).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            one: of(|m| m.one),
            four: of(|m| m.four),
            p50: of(|m| m.p50),
            p99: of(|m| m.p99),
            first_byte: of(|m| m.first_byte),
            cpu_per_gbit: of(|m| m.cpu_per_gbit),
            memory_mib: of(|m| m.memory_mib),
        }
    }
}

pub fn measure(world: &World, way: &Way) -> Result<Measured> {
    let before = cpu(&way.pids);
    let (one, bytes) = throughput(world, way, 1)?;
    let used = cpu(&way.pids) - before;
    let (four, _) = throughput(world, way, 4)?;
    let memory_mib = way.pids.iter().map(|pid| memory_kib(*pid)).sum::<f64>() / 1024.0;
    let (p50, p99) = round_trips(world, way)?;
    let first_byte = first_bytes(world, way)?;
    let cpu_per_gbit = used / (bytes as f64 * 8.0 / 1e9);
    Ok(Measured { one, four, p50, p99, first_byte, cpu_per_gbit, memory_mib })
}

/// Gbit/s that the server takes in, and the bytes of the whole time.
fn throughput(world: &World, way: &Way, streams: usize) -> Result<(f64, u64)> {
    let ending = Arc::new(AtomicBool::new(false));
    let start = world.taken.load(Ordering::Relaxed);
    let mut senders = vec![];
    for _ in 0..streams {
        let mut stream = world.connect(way.to(SINK))?;
        let ending = Arc::clone(&ending);
        senders.push(std::thread::spawn(move || {
            let piece = vec![b'x'; PIECE];
            while !ending.load(Ordering::Relaxed) && stream.write_all(&piece).is_ok() {}
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    std::thread::sleep(WARM_UP);
    let (begin, from) = (Instant::now(), world.taken.load(Ordering::Relaxed));
    std::thread::sleep(LASTS);
    let (took, to) = (begin.elapsed(), world.taken.load(Ordering::Relaxed));
    ending.store(true, Ordering::Relaxed);
    for sender in senders {
        let _ = sender.join();
    }
    std::thread::sleep(Duration::from_millis(200));
    let whole = world.taken.load(Ordering::Relaxed) - start;
    ensure!(to > from, "{}: nothing came", way.name);
    Ok(((to - from) as f64 * 8.0 / 1e9 / took.as_secs_f64(), whole))
}

fn round_trips(world: &World, way: &Way) -> Result<(f64, f64)> {
    let mut stream = world.connect(way.to(ECHO))?;
    stream.set_nodelay(true)?;
    let mut byte = [0; 64];
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for number in 0..ROUND_TRIPS + 1_000 {
        let begin = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        if number >= 1_000 {
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// The median from the connection's beginning to its first byte back.
fn first_bytes(world: &World, way: &Way) -> Result<f64> {
    let mut times = vec![];
    for _ in 0..CONNECTIONS {
        // As a client that comes now and then: pools may be filled again.
        std::thread::sleep(Duration::from_millis(5));
        let begin = Instant::now();
        let mut stream = world.connect(way.to(ECHO))?;
        stream.set_nodelay(true)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Seconds of CPU that processes have used.
fn cpu(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    pids.iter().filter_map(ticks).sum::<f64>() / 100.0
}

pub fn memory_kib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
