//! How an instance that was observed compares with its spec.

use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::runtime::{ContainerState, Health, ObservedInstance, WorkloadSpec};

/// The verdict on one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// Absent, of another spec, or stopped: the spec is to be applied.
    Apply,
    /// It runs as wanted and has done so for a while.
    Ready,
    /// It runs, not long enough or not healthy yet.
    Settling,
    /// It runs and fails; the engine tries it again.
    Failing(String),
}

/// Compares. `now` in Unix seconds, `settle` in seconds.
pub(super) fn fit(
    spec: &WorkloadSpec,
    seen: Option<&ObservedInstance>,
    now: u64,
    settle: u64,
) -> Fit {
    let Some(seen) = seen else { return Fit::Apply };
    let (Some(workload), Some(link)) = (&seen.workload, &seen.link) else { return Fit::Apply };
    if workload.spec_hash != spec.hash() || !link.is_running() || seen.network.is_none() {
        return Fit::Apply;
    }
    match (workload.state, workload.health) {
        (ContainerState::Restarting, _) => {
            let memory = if workload.out_of_memory { ", out of memory" } else { "" };
            Fit::Failing(format!("it ends with code {}{memory}", workload.exit_code))
        }
        (ContainerState::Running, Health::Unhealthy) => {
            Fit::Failing("its health check fails".into())
        }
        (ContainerState::Running, Health::Starting) => Fit::Settling,
        (ContainerState::Running, Health::Healthy) => Fit::Ready,
        (ContainerState::Running, Health::Unchecked) => {
            let started = workload.started_at.as_deref().and_then(unix_seconds).unwrap_or(now);
            match now.saturating_sub(started) >= settle {
                true => Fit::Ready,
                false => Fit::Settling,
            }
        }
        (ContainerState::Created | ContainerState::Exited | ContainerState::Other, _) => Fit::Apply,
    }
}

/// Of the engine's RFC 3339.
pub(super) fn unix_seconds(text: &str) -> Option<u64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp()).ok()
}
