//! Ports, disk, clock, limits.

use std::net::{SocketAddr, TcpListener};

use nix::libc;

use super::{Finding, Patient};

/// Free bytes below which a node must not go on, and below which it is told.
const DISK: (u64, u64) = (1 << 30, 10 << 30);

/// Open files that RocksDB and CometBFT need on a busy node.
const OPEN_FILES: u64 = 4_096;

/// Error of the clock that validators should stay under, in microseconds.
const CLOCK_ERROR: i64 = 500_000;

/// All checks of the machine.
pub fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut found = ports(patient);
    found.extend([disk(patient), clock(), files()]);
    found
}

fn ports(patient: &Patient<'_>) -> Vec<Finding> {
    if patient.running.is_some() {
        return vec![Finding::ok("ports", "the node runs and has them")];
    }
    let comet = patient.comet.as_ref();
    let config = patient.config.as_ref().ok();
    let engine =
        |laddr: Option<&str>| laddr.and_then(|laddr| laddr.strip_prefix("tcp://")?.parse().ok());
    let all: [(&'static str, Option<SocketAddr>); 5] = [
        ("p2p", engine(comet.and_then(|comet| comet.p2p_laddr()))),
        ("rpc", engine(comet.and_then(|comet| comet.rpc_laddr()))),
        ("grpc", config.and_then(|config| config.grpc_address().ok().flatten())),
        ("rest", config.and_then(|config| config.rest_address().ok().flatten())),
        ("metrics", config.and_then(|config| config.metrics_address().ok().flatten())),
    ];
    let taken: Vec<_> = all
        .into_iter()
        .filter_map(|(name, address)| {
            let address = address?;
            let error = TcpListener::bind(address).err()?;
            let what = format!("{name} at {address}: {error}");
            Some(Finding::fail("ports", what, "stop what listens there, or name another port"))
        })
        .collect();
    match taken.is_empty() {
        true => vec![Finding::ok("ports", "free")],
        false => taken,
    }
}

fn disk(patient: &Patient<'_>) -> Finding {
    let free = match nix::sys::statvfs::statvfs(patient.home.dir()) {
        Ok(stat) => stat.blocks_available().saturating_mul(stat.fragment_size()),
        Err(error) => {
            return Finding::warn(
                "disk",
                format!("it cannot be looked at: {error}"),
                "look yourself",
            );
        }
    };
    let what = format!("{} GiB free", free >> 30);
    let remedy = "free some, or keep less: store.pruning, app.retain_blocks, snapshots.keep";
    match free {
        free if free < DISK.0 => Finding::fail("disk", what, remedy),
        free if free < DISK.1 => Finding::warn("disk", what, remedy),
        _ => Finding::ok("disk", what),
    }
}

/// What the kernel says of the clock's error; it knows it from whatever keeps the time.
#[allow(unsafe_code)]
fn clock() -> Finding {
    // SAFETY: an all-zero timex is a question that changes nothing, and the kernel fills it.
    let (state, kept) = unsafe {
        let mut kept: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut kept), kept)
    };
    let remedy = "run chrony or systemd-timesyncd: the chain's time is the validators'";
    if state < 0 {
        return Finding::warn("clock", "the kernel does not tell its error", remedy);
    }
    if state == libc::TIME_ERROR || kept.maxerror > CLOCK_ERROR {
        return Finding::warn("clock", "it is not known to be synchronised", remedy);
    }
    Finding::ok("clock", format!("within {} ms", kept.maxerror / 1_000))
}

fn files() -> Finding {
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    match limit {
        Ok((limit, _)) if limit < OPEN_FILES => {
            let what = format!("at most {limit} can be open");
            Finding::warn("open files", what, "raise it to 65536: LimitNOFILE in the systemd unit")
        }
        Ok((limit, _)) => Finding::ok("open files", format!("up to {limit}")),
        Err(error) => Finding::warn("open files", error.to_string(), "see `ulimit -n`"),
    }
}
