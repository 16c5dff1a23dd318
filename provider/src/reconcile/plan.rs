//! From what is wanted and what is there to the next steps. Pure: the whole
//! of what the daemon does to a lease can be read and tested here.

use std::collections::{BTreeMap, BTreeSet};

use super::goal::{Goal, ServiceGoal};
use super::observed::{fit, Fit};
use crate::runtime::{InstanceKey, ObservedInstance, WorkloadSpec};

/// One thing to do. Each may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes down that an update has come to this service.
    Begin { service: String },
    /// Makes an instance run as its spec says.
    Apply(Box<WorkloadSpec>),
    /// Stops an instance that ends again and again, until its rest is over.
    Rest(InstanceKey),
    /// Stops an instance that wrote more than it was sold.
    Stop { key: InstanceKey, why: String },
    /// Ends an instance that the manifest no longer has.
    Remove(InstanceKey),
    /// Writes down that this version runs completely.
    Commit,
    /// Gives an update up: the version before is wanted again.
    Undo { why: String },
}

/// How a lease is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything runs as wanted.
    Ready,
    /// On its way.
    Working(String),
    /// Something keeps failing.
    Failing(String),
    /// The machine of something does not answer; the rest runs or is started.
    Unknown(String),
    /// Something is stopped until its tenant does something; the rest runs.
    Stopped(String),
}

/// What to do and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub verdict: Verdict,
}

/// Seconds by which readiness is judged.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// An instance without a health check counts as ready when it has run so
    /// long.
    pub settle: u64,
    /// A service that an update touches must be ready within it.
    pub update: u64,
    /// An instance whose port is silent counts as ready after it at a first
    /// start, and as failing later.
    pub silent: u64,
}

type Seen = BTreeMap<InstanceKey, ObservedInstance>;

/// The next steps of one lease. `now` in Unix seconds.
pub fn plan(goal: &Goal, seen: &Seen, now: u64, patience: Patience) -> Plan {
    let unready = match goal.update && !goal.served {
        true => update(goal, seen, now, patience),
        false => settle(goal, seen, now, patience),
    };
    unready.unwrap_or_else(|| finish(goal, seen))
}

/// A first start, or keeping what runs: all instances at once, but that of
/// those which serve only one in a service is replaced at a time.
fn settle(goal: &Goal, seen: &Seen, now: u64, patience: Patience) -> Option<Plan> {
    let mut steps = vec![];
    let mut waits = vec![];
    let mut fails = vec![];
    let mut stopped = vec![];
    let mut unknown = vec![];
    let services = goal.services.iter();
    for (spec, fit) in services.flat_map(|service| turns(goal, service, seen, now, patience)) {
        match fit {
            Fit::Apply => steps.push(Step::Apply(Box::new(spec.clone()))),
            Fit::Ready => {}
            Fit::Unknown(why) => unknown.push(format!("{}: {why}", name(spec))),
            Fit::Settling => waits.push(name(spec)),
            Fit::Failing(why) | Fit::Resting(why) => fails.push(format!("{}: {why}", name(spec))),
            Fit::Silent(why) if goal.served => fails.push(format!("{}: {why}", name(spec))),
            Fit::Silent(_) => {}
            Fit::Loops(why) => {
                steps.push(Step::Rest(spec.key.clone()));
                fails.push(format!("{}: {why}", name(spec)));
            }
            Fit::Over(why) => {
                steps.push(Step::Stop { key: spec.key.clone(), why: why.clone() });
                fails.push(format!("{} {why}", name(spec)));
            }
            Fit::Stopped(why) => stopped.push(format!("{} {why}", name(spec))),
        }
    }
    if fails.is_empty() && stopped.is_empty() && !unknown.is_empty() {
        return Some(Plan { steps, verdict: Verdict::Unknown(unknown.join("; ")) });
    }
    fails.append(&mut unknown);
    if fails.is_empty() && !stopped.is_empty() && steps.len() + waits.len() == 0 {
        return Some(Plan {
            steps: surplus(goal, seen),
            verdict: Verdict::Stopped(stopped.join("; ")),
        });
    }
    fails.append(&mut stopped);
    let verdict = match (fails.is_empty(), steps.len() + waits.len()) {
        (true, 0) => return None,
        (true, _) if waits.is_empty() => Verdict::Working("starting".into()),
        (true, _) => Verdict::Working(format!("waiting for {}", waits.join(", "))),
        (false, _) => Verdict::Failing(fails.join("; ")),
    };
    Some(Plan { steps, verdict })
}

/// How the instances of a service fit, where one that serves and is of another
/// spec (a secret has another value) waits as [`Fit::Settling`] for its turn:
/// until those before it are ready as they are wanted.
fn turns<'a>(
    goal: &Goal,
    service: &'a ServiceGoal,
    seen: &Seen,
    now: u64,
    patience: Patience,
) -> Vec<(&'a WorkloadSpec, Fit)> {
    let instances = service.instances.iter();
    let mut fits: Vec<_> =
        instances.map(|spec| (spec, fit(goal, spec, seen.get(&spec.key), now, patience))).collect();
    if !goal.served {
        return fits;
    }
    let serves = |spec: &WorkloadSpec| seen.get(&spec.key).is_some_and(|one| one.is_serving());
    let is_unready = |(spec, fit): &(&WorkloadSpec, Fit)| match fit {
        Fit::Ready | Fit::Unknown(_) | Fit::Stopped(_) => false,
        Fit::Apply => !serves(spec),
        _ => true,
    };
    let mut is_taken = fits.iter().any(is_unready);
    for (spec, fit) in &mut fits {
        if *fit == Fit::Apply && serves(spec) {
            if is_taken {
                *fit = Fit::Settling;
            }
            is_taken = true;
        }
    }
    fits
}

/// An update: one service after the other, and within a service one instance
/// after the other, each ready before the next is touched.
fn update(goal: &Goal, seen: &Seen, now: u64, patience: Patience) -> Option<Plan> {
    goal.services.iter().find_map(|service| update_service(goal, service, seen, now, patience))
}

fn update_service(
    goal: &Goal,
    service: &ServiceGoal,
    seen: &Seen,
    now: u64,
    patience: Patience,
) -> Option<Plan> {
    let begun = goal
        .rollout
        .as_ref()
        .filter(|rollout| rollout.service == service.name && rollout.version == goal.version);
    let late = begun.is_some_and(|r| now.saturating_sub(r.since) >= patience.update);
    for spec in &service.instances {
        let fit = fit(goal, spec, seen.get(&spec.key), now, patience);
        if let Fit::Unknown(why) = fit {
            // Neither ready nor late: nobody can say.
            let why = format!("{}: {why}", name(spec));
            // The time to become ready begins anew once its machine answers.
            let steps = begin_if(service, late);
            return Some(Plan { steps, verdict: Verdict::Unknown(why) });
        }
        let (steps, what) = match fit {
            Fit::Ready | Fit::Unknown(_) => continue,
            Fit::Apply => (begin_and_apply(service, spec, begun.is_none()), "is started".into()),
            Fit::Settling => (begin_if(service, begun.is_none()), "is not ready yet".into()),
            Fit::Failing(why)
            | Fit::Silent(why)
            | Fit::Loops(why)
            | Fit::Resting(why)
            | Fit::Stopped(why) => (begin_if(service, begun.is_none()), why),
            Fit::Over(why) => (stop(service, spec, begun.is_none(), &why), why),
        };
        let what = format!("{}: {what}", name(spec));
        if late {
            let why = format!("not ready within {} s of its update: {what}", patience.update);
            let verdict = Verdict::Failing(why.clone());
            return Some(Plan { steps: vec![Step::Undo { why }], verdict });
        }
        return Some(Plan { steps, verdict: Verdict::Working(format!("updating {what}")) });
    }
    None
}

fn begin_if(service: &ServiceGoal, wanted: bool) -> Vec<Step> {
    let step = Step::Begin { service: service.name.clone() };
    wanted.then_some(step).into_iter().collect()
}

fn begin_and_apply(service: &ServiceGoal, spec: &WorkloadSpec, begin: bool) -> Vec<Step> {
    let mut steps = begin_if(service, begin);
    steps.push(Step::Apply(Box::new(spec.clone())));
    steps
}

fn stop(service: &ServiceGoal, spec: &WorkloadSpec, begin: bool, why: &str) -> Vec<Step> {
    let mut steps = begin_if(service, begin);
    steps.push(Step::Stop { key: spec.key.clone(), why: why.into() });
    steps
}

/// All that is wanted is ready: ends what is not, and writes that down.
fn finish(goal: &Goal, seen: &Seen) -> Plan {
    let mut steps = surplus(goal, seen);
    if !goal.served {
        steps.push(Step::Commit);
    }
    Plan { steps, verdict: Verdict::Ready }
}

fn surplus(goal: &Goal, seen: &Seen) -> Vec<Step> {
    let wanted: BTreeSet<&InstanceKey> = goal.specs().map(|spec| &spec.key).collect();
    // What is on a machine that does not answer stays until it does.
    let known = seen.iter().filter(|(_, instance)| !instance.place.unknown).map(|(key, _)| key);
    known.filter(|key| !wanted.contains(key)).cloned().map(Step::Remove).collect()
}

fn name(spec: &WorkloadSpec) -> String {
    format!("{}[{}]", spec.key.service, spec.key.index)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
