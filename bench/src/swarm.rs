//! One blob among a deployment's providers, measured by a program of its own
//! crate (`provider/swarm/examples/links`): in network namespaces whose links
//! have one rate, beside what curl and rsync take over the same links.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use crate::report::{Better, Report};

/// Of the blob, in MiB.
const BLOB: &str = "64";
/// So many providers, and the rate of each link, in Mbit/s: two cores carry
/// all links' traffic, and must not be what limits it.
const RUNS: [(&str, &str); 4] = [("2", "40"), ("4", "40"), ("8", "40"), ("16", "20")];
/// Of the blob of one stream, in MiB.
const STREAM: &str = "512";
/// Goal: the worst provider has it after so many times what one copy takes
/// over one link.
const WORST: f64 = 1.8;

/// One verified stream over TLS on loopback, beside plain TLS.
pub fn verified(report: &mut Report) -> Result<()> {
    measure(report, &["stream", STREAM])
}

/// To 2, 4, 8 and 16 providers from one. Needs root.
pub fn trade(report: &mut Report) -> Result<()> {
    let mut runs = RUNS.iter();
    runs.try_for_each(|(peers, rate)| measure(report, &["trade", BLOB, rate, peers, "--others"]))
}

/// Adds what the program prints: name, value, unit.
fn measure(report: &mut Report, arguments: &[&str]) -> Result<()> {
    let programs = std::env::var("STOA_BIN").context("STOA_BIN, as scripts/bench.sh sets it")?;
    let program = Path::new(&programs).join("examples/links");
    let output = Command::new(&program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{}; scripts/bench.sh builds it", program.display()))?;
    ensure!(output.status.success(), "{}: {}", program.display(), output.status);
    for line in String::from_utf8(output.stdout)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, value, unit] = words[..] else { continue };
        let goal = name.starts_with("swarm.trade.").then_some(WORST);
        let better = match unit {
            "MB/s" | "of-plain" => Better::Higher,
            _ => Better::Lower,
        };
        report.add(name, value.parse()?, unit, goal, better);
    }
    Ok(())
}
