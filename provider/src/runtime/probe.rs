//! Whether a workload without a check of its own serves: its first TCP port
//! is dialled from inside its network, as the data plane does it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use stoa_tunnel::netns::Dialer;

use super::names::InstanceKey;
use super::observe::{Health, Observation, ObservedInstance};

const DEADLINE: Duration = Duration::from_millis(500);
/// One that answered is asked again after so long, others soon.
const ANSWERED_FOR: Duration = Duration::from_secs(10);
const SILENT_FOR: Duration = Duration::from_millis(250);
/// One that answered once may be busy; so often in a row is silence.
const SILENCES: u32 = 3;
const PARALLEL: usize = 32;

/// Dials, and remembers for a while what came of it.
pub(super) struct Prober {
    /// None where this process may not enter namespaces.
    dialer: Option<Dialer>,
    known: Mutex<HashMap<InstanceKey, Known>>,
}

/// What is known of one run of a container.
#[derive(Debug, Clone)]
struct Known {
    run: Run,
    at: Instant,
    answered: bool,
    silences: u32,
}

/// Which run: a container that is started again has yet to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    container: String,
    started_at: Option<String>,
    netns: PathBuf,
    address: SocketAddr,
}

impl Prober {
    pub(super) fn start() -> Self {
        let dialer = Dialer::start()
            .inspect_err(|error| tracing::warn!("ports of workloads are not looked at: {error}"))
            .ok();
        Self { dialer, known: Mutex::default() }
    }

    /// Puts down in the observation which instances answer.
    pub(super) async fn look(&self, seen: &mut Observation) {
        let Some(dialer) = &self.dialer else { return };
        self.known().retain(|key, _| seen.instances.contains_key(key));
        let asked = seen.instances.iter_mut().map(|(key, instance)| async move {
            instance.answers = self.ask(dialer, key, instance).await;
        });
        futures::stream::iter(asked).for_each_concurrent(PARALLEL, |one| one).await;
    }

    /// The same for one.
    pub(super) async fn look_at(&self, key: &InstanceKey, instance: &mut ObservedInstance) {
        let Some(dialer) = &self.dialer else { return };
        instance.answers = self.ask(dialer, key, instance).await;
    }

    /// None where there is nothing to ask, or no telling.
    async fn ask(
        &self,
        dialer: &Dialer,
        key: &InstanceKey,
        instance: &ObservedInstance,
    ) -> Option<bool> {
        let run = run_of(instance)?;
        let before = self.known().get(key).filter(|known| known.run == run).cloned();
        let fresh = |known: &Known| known.at.elapsed() < known.lasts();
        if let Some(known) = before.as_ref().filter(|known| fresh(known)) {
            return Some(known.answered);
        }
        let answer = match dialer.connect(&run.netns, run.address, DEADLINE).await {
            Ok(_) => true,
            Err(error) if is_silence(&error) => false,
            // The namespace went, or none more can be made: no word of it.
            Err(_) => return before.map(|known| known.answered),
        };
        let known = judge(before, run, answer);
        let answered = known.answered;
        self.known().insert(key.clone(), known);
        Some(answered)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn lasts(&self) -> Duration {
        match self.answered {
            true => ANSWERED_FOR,
            false => SILENT_FOR,
        }
    }
}

/// What is to be thought of it now.
fn judge(before: Option<Known>, run: Run, answer: bool) -> Known {
    let silences = match answer {
        true => 0,
        false => before.as_ref().map_or(0, |known| known.silences).saturating_add(1),
    };
    let had_answered = before.is_some_and(|known| known.answered);
    let answered = answer || (had_answered && silences < SILENCES);
    Known { run, at: Instant::now(), answered, silences }
}

fn run_of(instance: &ObservedInstance) -> Option<Run> {
    let workload = instance.workload.as_ref()?;
    if !workload.is_running() || workload.health != Health::Unchecked {
        return None;
    }
    let (netns, address) = instance.way_to(workload.probe_port?)?;
    Some(Run {
        container: workload.id.clone(),
        started_at: workload.started_at.clone(),
        netns,
        address,
    })
}

fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, TimedOut};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(started_at: &str) -> Run {
        Run {
            container: "c".into(),
            started_at: Some(started_at.into()),
            netns: "/n".into(),
            address: "10.0.0.3:80".parse().unwrap(),
        }
    }

    #[test]
    fn who_answered_once_is_silent_only_after_three_silences() {
        let first = judge(None, run("1"), false);
        assert!(!first.answered, "it has yet to listen");
        let mut known = judge(Some(first), run("1"), true);
        for silence in 1..=3 {
            assert!(known.answered, "{silence}");
            known = judge(Some(known), run("1"), false);
        }
        assert!(!known.answered);
        assert!(judge(Some(known), run("1"), true).answered);
    }
}
