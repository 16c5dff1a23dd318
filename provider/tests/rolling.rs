//! Updates on a real engine: service by service, with their volumes, and
//! back where the new version does not come up.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stoa_provider::reconcile::{plan, Goal, Patience, ServiceGoal, Step, Verdict};
use stoa_provider::runtime::{Backend, VolumeClass, VolumeSpec, WorkloadSpec};
use stoa_provider::store::Rollout;
use stoa_tunnel::netns::Dialer;
use support::{exec, Provider};

const LEASE: &str = "rolling-lease";
/// In seconds. Whoever is to come up may take as long as a busy machine does.
const PATIENCE: Patience = Patience { settle: 0, update: 60, silent: 60 };
const TURNS: u32 = 1200;
/// So long a dial may take, and so long a round of them may where the machine did not halt
/// meanwhile.
const DIAL: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_millis(1500);

struct Stage {
    provider: Provider,
    goal: Goal,
    patience: Patience,
    /// In the order in which they were applied.
    applied: Vec<String>,
}

/// How a series of turns ended.
#[derive(Debug, PartialEq)]
enum End {
    Committed,
    Undone(String),
}

impl Stage {
    /// Takes the steps of one turn, as the daemon's loop does.
    async fn turn(&mut self) -> Option<End> {
        let seen = self.provider.backend.observe().await.unwrap().instances;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let plan = plan(&self.goal, &seen, now, self.patience);
        for step in plan.steps {
            match step {
                Step::Begin { service } => {
                    let version = self.goal.version.clone();
                    self.goal.rollout = Some(Rollout { version, service, since: now });
                }
                Step::Apply(spec) => {
                    self.applied.push(format!("{}{}", spec.key.service, spec.key.index));
                    self.provider.backend.apply(&spec).await.unwrap();
                }
                Step::Commit => {
                    self.goal.served = true;
                    return Some(End::Committed);
                }
                Step::Undo { why } => return Some(End::Undone(why)),
                other => panic!("no such step is due: {other:?}"),
            }
        }
        if self.goal.served && plan.verdict == Verdict::Ready {
            return Some(End::Committed);
        }
        None
    }

    async fn until_end(&mut self) -> End {
        for _ in 0..TURNS {
            if let Some(end) = self.turn().await {
                return end;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it came to no end; applied: {:?}", self.applied);
    }

    /// Goes to another version.
    fn update(&mut self, version: &str, change: impl Fn(&mut WorkloadSpec)) {
        self.goal.version = version.into();
        (self.goal.update, self.goal.served, self.goal.rollout) = (true, false, None);
        for spec in self.goal.services.iter_mut().flat_map(|service| &mut service.instances) {
            change(spec);
        }
        self.applied.clear();
    }

    fn name(&self, service: usize, index: usize) -> String {
        let key = &self.goal.services[service].instances[index].key;
        self.provider.backend.names().instance(key).workload
    }

    /// How the instances of a service are reached.
    async fn ways_to(&self, service: usize) -> Vec<(PathBuf, SocketAddr)> {
        let mut ways = vec![];
        for spec in &self.goal.services[service].instances {
            let seen = self.provider.backend.observe_instance(&spec.key).await.unwrap();
            ways.push(seen.way_to(8080).unwrap());
        }
        ways
    }
}

/// Dials them for as long as this lives, and counts when none answered. It has a thread of its
/// own to run on while the test waits for programs.
struct Visitor {
    ending: Arc<AtomicBool>,
    rounds: Arc<AtomicU32>,
    outages: Arc<AtomicU32>,
}

impl Visitor {
    fn come(ways: Vec<(PathBuf, SocketAddr)>) -> Self {
        let visitor =
            Self { ending: Arc::default(), rounds: Arc::default(), outages: Arc::default() };
        let (ending, rounds) = (visitor.ending.clone(), visitor.rounds.clone());
        let outages = visitor.outages.clone();
        tokio::spawn(async move {
            let dialer = Dialer::start().unwrap();
            while !ending.load(Ordering::SeqCst) {
                let begun = Instant::now();
                let tries = ways.iter().map(|(netns, to)| dialer.connect(netns, *to, DIAL));
                let answers = futures::future::join_all(tries).await;
                // A round that took longer says how busy the machine was, and nothing else.
                if begun.elapsed() <= ROUND {
                    rounds.fetch_add(1, Ordering::SeqCst);
                    if answers.iter().all(Result::is_err) {
                        outages.fetch_add(1, Ordering::SeqCst);
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        visitor
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_rolls_with_volumes_kept_and_one_instance_serving_and_goes_back_if_it_is_silent()
{
    let provider = Provider::start("rolling").await;
    let image = provider.busybox().await;
    let data = VolumeSpec {
        name: "data".into(),
        bytes: 1 << 20,
        class: VolumeClass::Persistent,
        storage_class: String::new(),
        mount: "/data".into(),
        read_only: false,
        data: None,
    };
    let service = |name: &str, count: u32, volumes: Vec<VolumeSpec>| {
        let base = provider.spec(LEASE, name, &image);
        let instance = |index| {
            let mut spec = WorkloadSpec { volumes: volumes.clone(), ..base.clone() };
            spec.key.index = index;
            spec.env = vec!["VERSION=1".into()];
            spec
        };
        ServiceGoal { name: name.into(), instances: (0..count).map(instance).collect() }
    };
    let goal = Goal {
        version: "v1".into(),
        services: vec![service("db", 1, vec![data]), service("web", 2, vec![])],
        update: false,
        served: false,
        rollout: None,
        overuses: vec![],
        crashes: Default::default(),
    };
    let mut stage = Stage { provider, goal, patience: PATIENCE, applied: vec![] };
    assert_eq!(stage.until_end().await, End::Committed);
    assert_eq!(stage.applied, ["db0", "web0", "web1"]);
    exec(&stage.name(0, 0), "echo kept > /data/file");

    let visitor = Visitor::come(stage.ways_to(1).await);
    stage.update("v2", |spec| spec.env = vec!["VERSION=2".into()]);
    let first = stage.goal.services.clone();
    assert_eq!(stage.until_end().await, End::Committed);
    assert_eq!(stage.applied, ["db0", "web0", "web1"], "one after the other");
    let rounds = visitor.rounds.load(Ordering::SeqCst);
    assert!(rounds > 10, "{rounds}");
    assert_eq!(visitor.outages.load(Ordering::SeqCst), 0, "one instance served all along");
    assert_eq!(exec(&stage.name(0, 0), "cat /data/file; echo $VERSION"), "kept\n2\n");
    assert_eq!(exec(&stage.name(1, 1), "echo $VERSION"), "2\n");

    // It runs, and nobody hears it: undone before the second one is touched.
    stage.update("v3", |spec| {
        if spec.key.service == "web" {
            (spec.command, spec.args) = (vec!["/bin/sleep".into()], vec!["600".into()]);
        }
    });
    stage.patience.update = 6;
    let End::Undone(why) = stage.until_end().await else { panic!("nobody listens") };
    stage.patience = PATIENCE;
    assert!(why.contains("web[0]"), "{why}");
    assert_eq!(stage.applied, ["web0"]);
    stage.goal.services = first;
    (stage.goal.version, stage.goal.served) = ("v2".into(), true);
    assert_eq!(stage.until_end().await, End::Committed);
    assert_eq!(stage.applied, ["web0", "web0"]);
    assert_eq!(visitor.outages.load(Ordering::SeqCst), 0, "nor over the one that failed");
    stage.provider.backend.remove_lease(LEASE).await.unwrap();
}
