//! Measures tunnels beside plain TCP, and beside haproxy and stunnel as pairs
//! with certificates on both sides, in one run on one machine:
//!
//! ```text
//! cargo build --release -p stoa-tunnel --bins --example overlay
//! PROXIES=$(scripts/proxies.sh) target/release/examples/overlay
//! ```
//!
//! Prints one figure a line: name, value, unit. Needs root, `ip` and
//! `nsenter`; without `PROXIES` the pairs of others are left out.

mod measured;
mod others;
mod planes;
mod root;
mod world;

use std::path::PathBuf;

use anyhow::Result;
use measured::{measure, Measured, Way};
use others::Others;
use planes::Planes;
use world::{World, LINK, VIRTUAL, WORKLOAD};

const PASSES: usize = 3;

fn main() -> Result<()> {
    let mut world = World::new()?;
    let mut ways = vec![Way { name: "plain", address: WORKLOAD, offset: 0, pids: vec![] }];
    let mut planes = Planes::start(&world)?;
    ways.push(Way { name: "overlay", address: VIRTUAL, offset: 0, pids: planes.pids() });
    let proxies = std::env::var_os("PROXIES").map(PathBuf::from);
    let others = match &proxies {
        Some(directory) => Others::start(&world, directory)?,
        None => Others::default(),
    };
    for (name, offset, pids) in &others.ways {
        ways.push(Way { name, address: LINK, offset: *offset, pids: pids.clone() });
    }
    // Clients are in the namespace for good; what starts later must not be.
    let all = std::thread::scope(|scope| scope.spawn(|| measure_all(&world, &ways)).join());
    let all = all.map_err(|_| anyhow::anyhow!("measuring panicked"))??;
    let medians: Vec<Measured> = all.into_iter().map(Measured::median).collect();
    let plain = medians[0];
    for (way, measured) in ways.iter().zip(&medians) {
        report(way.name, measured, &plain);
    }
    drop(others);
    let per_tunnel = planes.idle_memory(&world)?;
    figure("idle.kib_a_tunnel_and_side", per_tunnel, "KiB");
    let (bound, served) = planes.restart(&mut world)?;
    figure("restart.all_bound", bound.as_secs_f64(), "s");
    figure("restart.first_answer", served.as_secs_f64(), "s");
    Ok(())
}

/// Ways take turns, so that what else the machine does touches all.
fn measure_all(world: &World, ways: &[Way]) -> Result<Vec<Vec<Measured>>> {
    let mut all: Vec<Vec<Measured>> = ways.iter().map(|_| vec![]).collect();
    for pass in 0..PASSES {
        for (way, results) in ways.iter().zip(&mut all) {
            eprintln!("pass {pass}: {}", way.name);
            results.push(measure(world, way)?);
        }
    }
    Ok(all)
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.4} {unit}");
}

fn report(name: &str, measured: &Measured, plain: &Measured) {
    let own = |what: &str, value: f64, unit: &str| figure(&format!("{name}.{what}"), value, unit);
    own("one_stream", measured.one, "Gbit/s");
    own("four_streams", measured.four, "Gbit/s");
    own("one_stream_of_plain", measured.one / plain.one, "of plain");
    own("four_streams_of_plain", measured.four / plain.four, "of plain");
    own("p50", measured.p50 * 1e6, "us");
    own("p99", measured.p99 * 1e6, "us");
    own("p50_added", (measured.p50 - plain.p50) * 1e6, "us");
    own("connect_first_byte", measured.first_byte * 1e3, "ms");
    own("cpu", measured.cpu_per_gbit * 1e3, "ms of CPU a Gbit");
    own("memory", measured.memory_mib, "MiB");
}
