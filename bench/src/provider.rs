//! The provider's loop, measured by a program of its own crate
//! (`provider/examples/measure`), for its memory is a figure and so its
//! process must hold nothing else. On this machine's Docker engine, but for
//! the memory.

use anyhow::Result;

use crate::program;
use crate::report::{Better, Report};

/// The demo's page, as `make images` makes it.
const IMAGE: &str = "localnet/demo/images/web-v1.tar";
/// Of how many leases the times to the first answer are taken.
const LEASES: &str = "20";
/// Running containers that a new daemon finds.
const CONTAINERS: &str = "200";
/// Goals: a lease answers within this many milliseconds at the 95th
/// percentile, the containers are known again within so many seconds.
const ANSWERS_WITHIN: f64 = 5_000.0;
const ADOPTS_WITHIN: f64 = 10.0;

/// From a lease on chain, its manifest and image here, to its first answer.
pub fn lease_to_answer(report: &mut Report) -> Result<()> {
    measure(report, &["lease", LEASES, IMAGE], Some(ANSWERS_WITHIN))
}

/// From the daemon's start to all running containers known.
pub fn adoption(report: &mut Report) -> Result<()> {
    measure(report, &["adopt", CONTAINERS, IMAGE], Some(ADOPTS_WITHIN))
}

/// What the daemon's process holds with few and with many leases.
pub fn memory(report: &mut Report) -> Result<()> {
    ["10", "100", "500"].iter().try_for_each(|leases| measure(report, &["memory", leases], None))
}

/// Adds what the program prints.
fn measure(report: &mut Report, arguments: &[&str], goal: Option<f64>) -> Result<()> {
    for line in program::run("measure", arguments)? {
        report.add(&line.name, line.value, &line.unit, goal, Better::Lower);
    }
    Ok(())
}
