//! The data plane's tunnels beside plain TCP, haproxy and stunnel. What is
//! measured, and how, is `provider/tunnel/examples/overlay`: a program of
//! its own, because it must run without anything else in its process.

use anyhow::Result;

use crate::program;
use crate::report::{Better, Report};

/// Goals, by the program's names for its figures.
const GOALS: &[(&str, f64)] = &[
    ("overlay.one_stream_of_plain", 0.30),
    ("overlay.p50_added", 50.0),
    ("overlay.connect_first_byte", 0.35),
    ("idle.kib_a_tunnel_and_side", 20.0),
    ("restart.all_bound", 1.0),
];

/// Throughput, round trips, first bytes, CPU and memory of each way, and how long the data planes
/// take to be back. `PROXIES` is what `scripts/proxies.sh` prints; without it the others are left
/// out. Needs root.
pub fn overlay(report: &mut Report) -> Result<()> {
    for line in program::run("overlay", &[])? {
        let goal = GOALS.iter().find(|(of, _)| *of == line.name).map(|(_, goal)| *goal);
        let rises = line.name.contains("stream");
        let better = if rises { Better::Higher } else { Better::Lower };
        report.add(&format!("tunnel.overlay_{}", line.name), line.value, &line.unit, goal, better);
    }
    Ok(())
}
