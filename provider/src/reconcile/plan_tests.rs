use super::*;
use crate::reconcile::CrashLoop;
use crate::runtime::{ContainerState, Health};
use crate::store::{Overuse, Rollout};
use crate::tests_support::{observed, service_goal};

const NOW: u64 = 1_000_000;
const PATIENCE: Patience = Patience { settle: 2, update: 60, silent: 20 };

fn goal(services: Vec<ServiceGoal>) -> Goal {
    Goal {
        version: "v2".into(),
        services,
        update: false,
        served: false,
        rollout: None,
        overuses: vec![],
        crashes: Default::default(),
    }
}

fn look(goal: &Goal, seen: &Seen) -> Plan {
    plan(goal, seen, NOW, PATIENCE)
}

/// Everything as wanted, running for a minute.
fn running(goal: &Goal) -> Seen {
    goal.specs().map(|spec| (spec.key.clone(), observed(spec, NOW - 60))).collect()
}

fn applied(plan: &Plan) -> Vec<String> {
    let specs = plan.steps.iter().filter_map(|step| match step {
        Step::Apply(spec) => Some(name(spec)),
        _ => None,
    });
    specs.collect()
}

#[test]
fn a_first_start_applies_all_then_waits_then_commits() {
    let goal = goal(vec![service_goal("api", 2, "a"), service_goal("web", 1, "a")]);
    let first = look(&goal, &Seen::new());
    assert_eq!(applied(&first), ["api[0]", "api[1]", "web[0]"]);

    let mut seen = running(&goal);
    let young = observed(&goal.services[1].instances[0], NOW - 1);
    seen.insert(goal.services[1].instances[0].key.clone(), young);
    let second = look(&goal, &seen);
    assert_eq!(second.steps, []);
    assert_eq!(second.verdict, Verdict::Working("waiting for web[0]".into()));

    let third = look(&goal, &running(&goal));
    assert_eq!(third, Plan { steps: vec![Step::Commit], verdict: Verdict::Ready });
    let served = Goal { served: true, ..goal };
    assert_eq!(look(&served, &running(&served)).steps, []);
}

#[test]
fn what_runs_is_adopted_and_what_is_half_there_is_completed() {
    let mut goal = Goal { served: true, ..goal(vec![service_goal("web", 1, "a")]) };
    goal.services[0].instances[0].network.egress = true;
    let key = goal.services[0].instances[0].key.clone();
    let broken: [fn(&mut ObservedInstance); 8] = [
        |seen| seen.egress = None,
        |seen| seen.workload = None,
        |seen| seen.link = None,
        |seen| seen.network = None,
        |seen| seen.link.as_mut().unwrap().state = ContainerState::Exited,
        |seen| seen.workload.as_mut().unwrap().state = ContainerState::Created,
        |seen| {
            let workload = seen.workload.as_mut().unwrap();
            (workload.spec_hash, workload.shape) = ("other".into(), "other".into());
        },
        |seen| seen.workload.as_mut().unwrap().limits.memory_bytes += 1,
    ];
    for (number, damage) in broken.into_iter().enumerate() {
        let mut seen = running(&goal);
        damage(seen.get_mut(&key).unwrap());
        assert_eq!(applied(&look(&goal, &seen)), ["web[0]"], "damage {number}");
    }
}

/// As when a secret has another value: the manifest is the same.
#[test]
fn what_serves_is_replaced_one_instance_after_the_other() {
    let before = Goal { served: true, ..goal(vec![service_goal("web", 3, "a")]) };
    let wanted = Goal { served: true, ..goal(vec![service_goal("web", 3, "b")]) };
    let mut seen = running(&before);
    // One that does not serve loses nobody anything.
    let third = &wanted.services[0].instances[2];
    seen.get_mut(&third.key).unwrap().workload.as_mut().unwrap().state = ContainerState::Exited;
    assert_eq!(applied(&look(&wanted, &seen)), ["web[2]"]);
    for (started, next) in [(2, &["web[0]"][..]), (0, &["web[1]"]), (1, &[])] {
        let spec = &wanted.services[0].instances[started];
        seen.insert(spec.key.clone(), observed(spec, NOW - 1));
        assert!(applied(&look(&wanted, &seen)).is_empty(), "web[{started}] is not ready");
        seen.insert(spec.key.clone(), observed(spec, NOW - 60));
        assert_eq!(applied(&look(&wanted, &seen)), next);
    }
    assert_eq!(look(&wanted, &seen), Plan { steps: vec![], verdict: Verdict::Ready });
}

#[test]
fn what_fails_is_left_to_the_engine_and_told() {
    let goal = goal(vec![service_goal("web", 1, "a")]);
    let key = goal.services[0].instances[0].key.clone();
    let mut seen = running(&goal);
    seen.get_mut(&key).unwrap().workload.as_mut().unwrap().health = Health::Unhealthy;
    let sick = look(&goal, &seen);
    assert_eq!(sick.steps, [], "never committed, never replaced");
    assert!(matches!(&sick.verdict, Verdict::Failing(why) if why.contains("health check")));
    let workload = seen.get_mut(&key).unwrap().workload.as_mut().unwrap();
    (workload.state, workload.health) = (ContainerState::Restarting, Health::Unchecked);
    workload.exit_code = 3;
    assert!(matches!(look(&goal, &seen).verdict, Verdict::Failing(why) if why.contains("code 3")));
}

#[test]
fn what_loops_is_stopped_rests_and_is_started_again() {
    let mut goal = Goal { served: true, ..goal(vec![service_goal("web", 1, "a")]) };
    let key = goal.services[0].instances[0].key.clone();
    let mut seen = running(&goal);
    let state = |seen: &mut Seen, state, since| {
        let mut one = observed(&service_goal("web", 1, "a").instances[0], since);
        let workload = one.workload.as_mut().unwrap();
        (workload.state, workload.exit_code) = (state, 3);
        seen.insert(key.clone(), one);
    };
    let found = |resting| CrashLoop { ends: 6, rest: 20, resting };
    goal.crashes.insert(key.clone(), found(false));
    state(&mut seen, ContainerState::Restarting, NOW - 60);
    let loops = look(&goal, &seen);
    assert_eq!(loops.steps, [Step::Rest(key.clone())]);
    let text = "code 3, 6 times in a row; it rests 20 s";
    assert!(matches!(&loops.verdict, Verdict::Failing(why) if why.contains(text)), "{loops:?}");
    // It runs for longer than a moment: left alone.
    state(&mut seen, ContainerState::Running, NOW - 10);
    assert_eq!(look(&goal, &seen), Plan { steps: vec![], verdict: Verdict::Ready });

    goal.crashes.insert(key.clone(), found(true));
    state(&mut seen, ContainerState::Exited, NOW - 10);
    let resting = look(&goal, &seen);
    assert_eq!(resting.steps, []);
    assert_eq!(resting.verdict, loops.verdict);
    goal.crashes.insert(key.clone(), found(false));
    assert_eq!(applied(&look(&goal, &seen)), ["web[0]"]);
    // An update need not wait for the rest of what it replaces.
    goal.crashes.insert(key.clone(), found(true));
    let new =
        Goal { update: true, served: false, services: vec![service_goal("web", 1, "b")], ..goal };
    assert_eq!(applied(&look(&new, &seen)), ["web[0]"]);
}

#[test]
fn a_port_that_nobody_listens_on_holds_up_a_start_and_undoes_an_update() {
    let mut goal = goal(vec![service_goal("web", 1, "a")]);
    let spec = goal.services[0].instances[0].clone();
    let seen = |since, answers| {
        let one = ObservedInstance { answers, ..observed(&spec, NOW - since) };
        Seen::from([(spec.key.clone(), one)])
    };
    assert_eq!(look(&goal, &seen(19, Some(false))).steps, []);
    assert_eq!(look(&goal, &seen(19, Some(true))).steps, [Step::Commit]);
    assert_eq!(look(&goal, &seen(19, None)).steps, [Step::Commit], "nobody can say");
    assert_eq!(look(&goal, &seen(20, Some(false))).steps, [Step::Commit]);
    goal.served = true;
    let silent = look(&goal, &seen(20, Some(false)));
    assert_eq!(silent.steps, []);
    assert!(matches!(silent.verdict, Verdict::Failing(why) if why.contains("port 80")));

    (goal.served, goal.update) = (false, true);
    let since = NOW - PATIENCE.update;
    goal.rollout = Some(Rollout { version: "v2".into(), service: "web".into(), since });
    let undone = look(&goal, &seen(30, Some(false))).steps;
    assert!(matches!(&undone[..], [Step::Undo { why }] if why.contains("port 80")));
}

#[test]
fn an_update_goes_service_by_service_and_touches_only_what_changed() {
    let old = goal(vec![service_goal("api", 2, "a"), service_goal("web", 1, "a")]);
    let mut new = Goal {
        update: true,
        ..goal(vec![service_goal("api", 2, "b"), service_goal("web", 1, "b")])
    };
    let mut seen = running(&old);
    let first = look(&new, &seen);
    assert_eq!(first.steps[0], Step::Begin { service: "api".into() });
    assert_eq!(applied(&first), ["api[0]"], "one instance at a time");

    new.rollout = Some(Rollout { version: "v2".into(), service: "api".into(), since: NOW - 10 });
    let specs: Vec<WorkloadSpec> = new.specs().cloned().collect();
    seen.insert(specs[0].key.clone(), observed(&specs[0], NOW - 1));
    assert_eq!(look(&new, &seen).steps, [], "it waits for api[0]");
    seen.insert(specs[0].key.clone(), observed(&specs[0], NOW - 5));
    assert_eq!(applied(&look(&new, &seen)), ["api[1]"]);
    seen.insert(specs[1].key.clone(), observed(&specs[1], NOW - 5));
    let web = look(&new, &seen);
    assert_eq!(web.steps[0], Step::Begin { service: "web".into() });
    assert_eq!(applied(&web), ["web[0]"]);
    seen.insert(specs[2].key.clone(), observed(&specs[2], NOW - 5));
    assert_eq!(look(&new, &seen).steps, [Step::Commit]);

    // Only web differs: api is not touched at all.
    let part = Goal {
        update: true,
        ..goal(vec![service_goal("api", 2, "a"), service_goal("web", 1, "b")])
    };
    assert_eq!(applied(&look(&part, &running(&old))), ["web[0]"]);
}

#[test]
fn an_update_that_does_not_become_ready_is_undone() {
    let old = goal(vec![service_goal("web", 1, "a")]);
    let mut new = Goal { update: true, ..goal(vec![service_goal("web", 1, "b")]) };
    let rollout = |since| Some(Rollout { version: "v2".into(), service: "web".into(), since });
    let spec = new.services[0].instances[0].clone();
    let mut seen = running(&old);
    let mut sick = observed(&spec, NOW - 30);
    sick.workload.as_mut().unwrap().state = ContainerState::Restarting;
    seen.insert(spec.key.clone(), sick);
    new.rollout = rollout(NOW - 59);
    assert_eq!(look(&new, &seen).steps, []);
    new.rollout = rollout(NOW - 60);
    let undo = look(&new, &seen);
    assert!(matches!(&undo.steps[..], [Step::Undo { why }] if why.contains("60 s")), "{undo:?}");
    // Undone: the version before is wanted, and is no update.
    let back = Goal { version: "v1".into(), served: true, ..old };
    assert_eq!(applied(&look(&back, &seen)), ["web[0]"]);
    // An older rollout's clock is not this one's.
    new.rollout = Some(Rollout { version: "v1".into(), service: "web".into(), since: 0 });
    assert_eq!(look(&new, &seen).steps, [Step::Begin { service: "web".into() }]);
}

#[test]
fn surplus_goes_last() {
    let old = goal(vec![service_goal("web", 2, "a"), service_goal("old", 1, "a")]);
    let new = Goal { update: true, ..goal(vec![service_goal("web", 1, "b")]) };
    let mut seen = running(&old);
    assert_eq!(applied(&look(&new, &seen)), ["web[0]"]);
    let spec = &new.services[0].instances[0];
    seen.insert(spec.key.clone(), observed(spec, NOW - 60));
    let keys: Vec<InstanceKey> = look(&new, &seen).steps.into_iter().filter_map(removed).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.service == "old" || key.index == 1));
}

/// The instance's container wrote 140.5 of 128 MiB under this version.
fn overuse(spec: &WorkloadSpec, version: &str) -> Overuse {
    Overuse {
        service: spec.key.service.clone(),
        index: spec.key.index,
        container: format!("{}-0", name(spec)),
        version: version.into(),
        volume: None,
        used_bytes: (140 << 20) + (1 << 19),
        limit_bytes: 128 << 20,
    }
}

fn container_of(spec: &WorkloadSpec, state: ContainerState) -> ObservedInstance {
    let mut seen = observed(spec, NOW - 60);
    let workload = seen.workload.as_mut().unwrap();
    (workload.id, workload.state) = (format!("{}-0", name(spec)), state);
    seen
}

#[test]
fn what_wrote_too_much_is_stopped_and_stays_so_while_the_rest_goes_on() {
    let mut goal = Goal {
        served: true,
        ..goal(vec![service_goal("api", 1, "a"), service_goal("web", 2, "a")])
    };
    let web = goal.services[1].instances[0].clone();
    let mut seen = running(&goal);
    seen.insert(web.key.clone(), container_of(&web, ContainerState::Running));
    goal.overuses = vec![overuse(&web, "v2")];
    let text = "web[0] wrote 140.5 MiB of 128 MiB of ephemeral storage and was stopped; write \
                less, or to a volume, and update, or deploy anew with more";

    let first = look(&goal, &seen);
    assert!(matches!(&first.steps[..], [Step::Stop { key, .. }] if *key == web.key));
    assert_eq!(first.verdict, Verdict::Failing(text.into()));
    seen.insert(web.key.clone(), container_of(&web, ContainerState::Exited));
    let stopped = Plan { steps: vec![], verdict: Verdict::Stopped(text.into()) };
    assert_eq!(look(&goal, &seen), stopped);

    // Its link is of no matter, its neighbours' are.
    seen.get_mut(&web.key).unwrap().link = None;
    assert_eq!(look(&goal, &seen), stopped);
    seen.get_mut(&goal.services[1].instances[1].key).unwrap().link = None;
    let rest = look(&goal, &seen);
    assert_eq!(applied(&rest), ["web[1]"]);
    assert_eq!(rest.verdict, Verdict::Failing(text.into()));
}

#[test]
fn what_was_stopped_starts_with_another_version_spec_or_container() {
    let base = Goal { served: true, ..goal(vec![service_goal("web", 1, "a")]) };
    let web = base.services[0].instances[0].clone();
    let seen = Seen::from([(web.key.clone(), container_of(&web, ContainerState::Exited))]);
    let stopped = Goal { overuses: vec![overuse(&web, "v2")], ..base };
    assert_eq!(applied(&look(&stopped, &seen)), [""; 0]);

    let version = Goal { version: "v3".into(), update: true, served: false, ..stopped.clone() };
    assert_eq!(applied(&look(&version, &seen)), ["web[0]"]);
    let spec = Goal { services: vec![service_goal("web", 1, "b")], ..stopped.clone() };
    assert_eq!(applied(&look(&spec, &seen)), ["web[0]"]);
    assert_eq!(applied(&look(&stopped, &Seen::new())), ["web[0]"]);
    let mut replaced = seen.clone();
    replaced.get_mut(&web.key).unwrap().workload.as_mut().unwrap().id = "web[0]-1".into();
    assert_eq!(applied(&look(&stopped, &replaced)), ["web[0]"]);
}

#[test]
fn an_update_whose_instance_writes_too_much_is_undone() {
    let mut new = Goal { update: true, ..goal(vec![service_goal("web", 1, "b")]) };
    let web = new.services[0].instances[0].clone();
    new.overuses = vec![overuse(&web, "v2")];
    let begun = Rollout { version: "v2".into(), service: "web".into(), since: NOW - 10 };
    new.rollout = Some(begun);
    let seen = |state| Seen::from([(web.key.clone(), container_of(&web, state))]);
    let steps = look(&new, &seen(ContainerState::Running)).steps;
    assert!(matches!(&steps[..], [Step::Stop { .. }]), "{steps:?}");
    assert_eq!(look(&new, &seen(ContainerState::Exited)).steps, []);
    new.rollout.as_mut().unwrap().since = NOW - 60;
    let steps = look(&new, &seen(ContainerState::Exited)).steps;
    assert!(matches!(&steps[..], [Step::Undo { why }] if why.contains("140.5 MiB")));
}

fn removed(step: Step) -> Option<InstanceKey> {
    match step {
        Step::Remove(key) => Some(key),
        _ => None,
    }
}
