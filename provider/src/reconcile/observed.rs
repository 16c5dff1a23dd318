//! How an instance that was observed compares with its spec.

use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::plan::Patience;
use super::Goal;
use crate::runtime::{ContainerState, Health, ObservedContainer, ObservedInstance, WorkloadSpec};
use crate::store::Overuse;

/// The verdict on one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// Absent, of another spec, or stopped: the spec is to be applied.
    Apply,
    /// Its machine does not answer: nothing is to be done, and nothing is
    /// known.
    Unknown(String),
    /// It runs as wanted and has done so for a while.
    Ready,
    /// It runs, not long enough or not healthy yet.
    Settling,
    /// It runs and nobody hears it, for longer than a start takes.
    Silent(String),
    /// It runs and fails; the engine tries it again.
    Failing(String),
    /// It ends again and again: it is to be stopped for a while.
    Loops(String),
    /// That, and it is stopped until its rest is over.
    Resting(String),
    /// It wrote more than it was sold, and must not go on.
    Over(String),
    /// That, and it is stopped.
    Stopped(String),
}

/// Compares one of the goal's instances. `now` in Unix seconds.
pub(super) fn fit(
    goal: &Goal,
    spec: &WorkloadSpec,
    seen: Option<&ObservedInstance>,
    now: u64,
    patience: Patience,
) -> Fit {
    let Some(seen) = seen else { return Fit::Apply };
    if seen.place.unknown {
        // The machine's name is the operator's own affair.
        return Fit::Unknown("its machine does not answer the provider".into());
    }
    if let Some(stopped) = over(goal, spec, seen) {
        return stopped;
    }
    let (Some(workload), Some(link)) = (&seen.workload, &seen.link) else { return Fit::Apply };
    let reaches_out = !spec.network.egress || seen.egress.is_some();
    if !workload.is_of(spec) || !reaches_out || !link.is_running() || seen.network.is_none() {
        return Fit::Apply;
    }
    if let Some(found) = goal.crashes.get(&spec.key) {
        let why = format!(
            "{}, {} times in a row; it rests {} s before the next start",
            ended(workload),
            found.ends,
            found.rest
        );
        match workload.state {
            ContainerState::Created | ContainerState::Exited if found.resting => {
                return Fit::Resting(why)
            }
            _ if found.is_due(workload, now) => return Fit::Loops(why),
            _ => {}
        }
    }
    match (workload.state, workload.health) {
        (ContainerState::Restarting, _) => Fit::Failing(ended(workload)),
        (ContainerState::Running, Health::Unhealthy) => {
            Fit::Failing("its health check fails".into())
        }
        (ContainerState::Running, Health::Starting) => Fit::Settling,
        (ContainerState::Running, Health::Healthy) => Fit::Ready,
        (ContainerState::Running, Health::Unchecked) => unchecked(seen, workload, now, patience),
        (ContainerState::Created | ContainerState::Exited | ContainerState::Other, _) => Fit::Apply,
    }
}

/// Without a check of the image's own it is heard whether the port answers,
/// and else seen whether it keeps running.
fn unchecked(
    seen: &ObservedInstance,
    workload: &ObservedContainer,
    now: u64,
    patience: Patience,
) -> Fit {
    let started = workload.started_at.as_deref().and_then(unix_seconds).unwrap_or(now);
    let age = now.saturating_sub(started);
    match seen.answers {
        Some(false) if age < patience.silent => Fit::Settling,
        Some(false) => {
            let port = workload.probe_port.unwrap_or_default();
            Fit::Silent(format!("nothing listens on its port {port}"))
        }
        Some(true) | None if age < patience.settle => Fit::Settling,
        Some(true) | None => Fit::Ready,
    }
}

fn ended(workload: &ObservedContainer) -> String {
    let memory = if workload.out_of_memory { ", out of memory" } else { "" };
    format!("it ends with code {}{memory}", workload.exit_code)
}

/// Whether it is the very container that wrote too much. One of another spec
/// is replaced, and writes into a new layer.
fn over(goal: &Goal, spec: &WorkloadSpec, seen: &ObservedInstance) -> Option<Fit> {
    let workload = seen.workload.as_ref().filter(|w| w.is_of(spec))?;
    let why = overuse_text(goal.overuse_of(&workload.id)?);
    Some(match workload.state {
        ContainerState::Running | ContainerState::Restarting => Fit::Over(why),
        ContainerState::Created | ContainerState::Exited | ContainerState::Other => {
            Fit::Stopped(why)
        }
    })
}

/// For the tenant: what happened, and what helps. An update cannot change
/// what was leased.
fn overuse_text(over: &Overuse) -> String {
    let used = mebibytes(over.used_bytes, u64::div_ceil);
    let limit = mebibytes(over.limit_bytes, |bytes, unit| bytes / unit);
    let (kind, help) = match &over.volume {
        None => ("of ephemeral storage".into(), "write less, or to a volume, and update"),
        Some(volume) => {
            (format!("to its volume {volume}"), "update it so that it first removes some")
        }
    };
    format!("wrote {used} of {limit} {kind} and was stopped; {help}, or deploy anew with more")
}

/// With a decimal where it is not whole. Use goes up and limits go down, so
/// that what is over never reads as the same.
fn mebibytes(bytes: u64, divide: fn(u64, u64) -> u64) -> String {
    const TENTHS: u64 = 10;
    let tenths = divide(bytes.saturating_mul(TENTHS), 1 << 20);
    match tenths % TENTHS {
        0 => format!("{} MiB", tenths / TENTHS),
        rest => format!("{}.{rest} MiB", tenths / TENTHS),
    }
}

/// Of the engine's RFC 3339.
pub(super) fn unix_seconds(text: &str) -> Option<u64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp()).ok()
}
