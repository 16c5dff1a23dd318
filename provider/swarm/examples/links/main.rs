//! Measures the trade of one blob over links of one rate, in network
//! namespaces (needs root), and the cost of verification. Prints lines of
//! name, value and unit.
//!
//!     links trade MEBIBYTES MEGABITS_A_SECOND PEERS... [--others]
//!     links stream MEBIBYTES

mod node;
mod others;
mod stream;
mod tls;
mod trade;
mod world;

use std::time::Duration;

use anyhow::{bail, Context, Result};
use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;

const MOST_FOR_RSYNC: usize = 8;

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let with_others = arguments.iter().any(|argument| argument == "--others");
    arguments.retain(|argument| argument != "--others");
    let numbers: Result<Vec<usize>, _> = arguments.iter().skip(1).map(|n| n.parse()).collect();
    match (arguments.first().map(String::as_str), &numbers?[..]) {
        (Some("trade"), [mebibytes, megabits, peers @ ..]) => {
            let bytes = trade::content(mebibytes << 20);
            let rate = u64::try_from(*megabits)? * 1_000_000;
            peers.iter().try_for_each(|peers| trade_with(&bytes, rate, *peers, with_others))
        }
        (Some("stream"), [mebibytes]) => verified(mebibytes << 20),
        _ => bail!("links trade MEBIBYTES MEGABITS PEERS... [--others] | links stream MEBIBYTES"),
    }
}

fn trade_with(bytes: &[u8], rate: u64, peers: usize, with_others: bool) -> Result<()> {
    let before = cpu()?;
    let outcome = trade::trade(bytes, peers, rate)?;
    let busy = (cpu()? - before).as_secs_f64() / outcome.worst.as_secs_f64();
    let factor = |took| trade::factor(took, bytes.len(), rate);
    let line =
        |what: &str, value: f64, unit: &str| println!("swarm.{what}.n{peers} {value:.3} {unit}");
    line("trade", factor(outcome.worst), "of-one-copy");
    line("cpu", busy, "cores");
    line("source_sent", outcome.source_sent as f64 / bytes.len() as f64, "copies");
    line("wasted", outcome.wasted as f64 / (bytes.len() * peers) as f64, "of-all-bytes");
    if with_others {
        let took = others::one_by_one(&outcome.world, bytes, peers)?;
        line("curl_one_by_one", factor(took), "of-one-copy");
        // With more it takes as much longer as there are more, and so does the bench.
        if peers <= MOST_FOR_RSYNC {
            if let Some(took) = others::rsync(&outcome.world, bytes, peers)? {
                line("rsync_at_once", factor(took), "of-one-copy");
            }
        }
    }
    Ok(())
}

fn verified(bytes: usize) -> Result<()> {
    let (plain, verified) = stream::both(trade::content(bytes))?;
    let rate = |took: Duration| bytes as f64 / took.as_secs_f64() / 1e6;
    println!("swarm.plain_rate {:.1} MB/s", rate(plain));
    println!("swarm.verified_rate {:.1} MB/s", rate(verified));
    println!("swarm.verified_ratio {:.3} of-plain", plain.as_secs_f64() / verified.as_secs_f64());
    Ok(())
}

/// What this process has used.
fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}
