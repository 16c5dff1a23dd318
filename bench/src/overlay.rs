//! The data plane's tunnels beside plain TCP, haproxy and stunnel. What is
//! measured, and how, is `provider/tunnel/examples/overlay.rs`: a program of
//! its own, because it must run without anything else in its process.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use crate::report::{Better, Report};

/// Goals, by the program's names for its figures.
const GOALS: &[(&str, f64)] = &[
    ("overlay.one_stream_of_plain", 0.30),
    ("overlay.p50_added", 50.0),
    ("overlay.connect_first_byte", 0.35),
    ("idle.kib_a_tunnel_and_side", 20.0),
];

/// Throughput, round trips, first bytes, CPU and memory of each way. `PROXIES`
/// is what `scripts/proxies.sh` prints; without it the others are left out.
pub fn overlay(report: &mut Report) -> Result<()> {
    let directory = std::env::var_os("STOA_BIN").map(PathBuf::from);
    let directory = directory.context("STOA_BIN names the directory of the release build")?;
    let program = directory.join("examples/overlay");
    let output = Command::new(&program)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{}", program.display()))?;
    ensure!(output.status.success(), "measuring tunnels failed; it needs root");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(value), Some(unit)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let goal = GOALS.iter().find(|(of, _)| *of == name).map(|(_, goal)| *goal);
        let rises = name.contains("stream");
        let better = if rises { Better::Higher } else { Better::Lower };
        report.add(&format!("tunnel.overlay_{name}"), value.parse()?, unit, goal, better);
    }
    Ok(())
}
