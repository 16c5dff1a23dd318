//! One blob among a deployment's providers, measured by a program of its own
//! crate (`provider/swarm/examples/links`): in network namespaces whose links
//! have one rate, beside what curl and rsync take over the same links.

use anyhow::Result;

use crate::program;
use crate::report::{Better, Report};

/// Of the blob, in MiB.
const BLOB: &str = "64";
/// So many providers.
const RUNS: [&str; 4] = ["2", "4", "8", "16"];
/// Of each link, in Mbit/s: two cores carry all links' traffic, and must not
/// be what limits it.
const RATE: &str = "40";
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
    runs.try_for_each(|peers| measure(report, &["trade", BLOB, RATE, peers, "--others"]))
}

/// Adds what the program prints.
fn measure(report: &mut Report, arguments: &[&str]) -> Result<()> {
    for line in program::run("links", arguments)? {
        let goal = line.name.starts_with("swarm.trade.").then_some(WORST);
        let better = match line.unit.as_str() {
            "MB/s" | "of-plain" => Better::Higher,
            _ => Better::Lower,
        };
        report.add(&line.name, line.value, &line.unit, goal, better);
    }
    Ok(())
}
