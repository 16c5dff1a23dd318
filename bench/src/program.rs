//! Programs of other crates that measure, each in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

/// One line that such a program prints: `name value unit`, where only the unit may hold spaces.
pub struct Line {
    pub name: String,
    pub value: f64,
    pub unit: String,
}

/// Runs an example of the build that `STOA_BIN` names; what it printed, other
/// lines left out.
pub fn run(example: &str, arguments: &[&str]) -> Result<Vec<Line>> {
    let programs = std::env::var("STOA_BIN").context("STOA_BIN, as scripts/bench.sh sets it")?;
    let program = Path::new(&programs).join("examples").join(example);
    let output = Command::new(&program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{}; scripts/bench.sh builds it", program.display()))?;
    ensure!(output.status.success(), "{}: {}", program.display(), output.status);
    let mut lines = vec![];
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(value), Some(unit)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Ok(value) = value.parse() else { continue };
        lines.push(Line { name: name.into(), value, unit: unit.into() });
    }
    Ok(lines)
}
