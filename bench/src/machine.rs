//! The machine on which a figure was taken.

use std::{fs, thread};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What may explain a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    /// Bytes.
    memory: u64,
    kernel: String,
    profile: String,
}

impl Machine {
    /// Reads it from the kernel.
    pub fn read() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let kib: u64 = field(&memory, "MemTotal").parse().unwrap_or_default();
        Ok(Self {
            cpu: value(&cpus, "model name"),
            cores: thread::available_parallelism()?.get(),
            memory: kib * 1024,
            kernel: kernel.trim().to_owned(),
            profile: if cfg!(debug_assertions) { "dev" } else { "release" }.into(),
        })
    }
}

fn value(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or("unknown").to_owned()
}

fn field(text: &str, name: &str) -> String {
    value(text, name).split_whitespace().next().unwrap_or_default().to_owned()
}
