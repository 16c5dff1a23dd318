//! Storage limits on a real engine: what fills its disk is stopped, and
//! nothing else.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoa_provider::reconcile::{plan, Goal, Patience, ServiceGoal, Step, Verdict, Watchdog};
use stoa_provider::runtime::{Backend, ContainerState, VolumeClass, VolumeSpec, WorkloadSpec};
use stoa_provider::store::LeaseStore;
use support::{exec, Provider};
use tokio::sync::Notify;

const LEASE: &str = "disk-lease";
const PATIENCE: Patience = Patience { settle: 0, update: 60, silent: 60 };
const TRIES: u32 = 100;

/// A daemon's engine, memory and watchdog, and its loop's steps by hand.
struct Stage {
    provider: Provider,
    backend: Arc<dyn Backend>,
    leases: Arc<LeaseStore>,
    watchdog: Watchdog,
    goal: Goal,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn set(
        name: &str,
        specs: impl FnOnce(&dyn Fn(&str) -> WorkloadSpec) -> Vec<WorkloadSpec>,
    ) -> Self {
        let provider = Provider::start(name).await;
        let image = provider.busybox().await;
        let specs = specs(&|service| provider.spec(LEASE, service, &image));
        let dir = tempfile::tempdir().unwrap();
        let leases = Arc::new(LeaseStore::open(dir.path()).unwrap());
        leases.update(LEASE, |record| record.accepted = Some("v1".into())).unwrap();
        let backend: Arc<dyn Backend> = Arc::new(provider.reconnect().await);
        let every = Duration::from_secs(1);
        let watchdog =
            Watchdog::new(backend.clone(), leases.clone(), Arc::new(Notify::new()), every);
        let service = |spec: WorkloadSpec| ServiceGoal {
            name: spec.key.service.clone(),
            instances: vec![spec],
        };
        let goal = Goal {
            version: "v1".into(),
            services: specs.into_iter().map(service).collect(),
            update: false,
            served: true,
            rollout: None,
            overuses: vec![],
            crashes: Default::default(),
        };
        Self { provider, backend, leases, watchdog, goal, _dir: dir }
    }

    /// Measures and takes the steps that follow, as the daemon's loop does.
    async fn turn(&mut self) -> Verdict {
        self.watchdog.check().await.unwrap();
        self.goal.overuses = self.leases.get(LEASE).overuses;
        let seen = self.backend.observe().await.unwrap().instances;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let plan = plan(&self.goal, &seen, now, PATIENCE);
        for step in plan.steps {
            match step {
                Step::Apply(spec) => drop(self.backend.apply(&spec).await.unwrap()),
                Step::Stop { key, .. } => self.backend.stop(&key).await.unwrap(),
                other => panic!("no such step is due: {other:?}"),
            }
        }
        plan.verdict
    }

    /// Turns until a verdict comes.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Verdict) -> bool) -> Verdict {
        let mut last = None;
        for _ in 0..TRIES {
            let verdict = self.turn().await;
            if wanted(&verdict) {
                return verdict;
            }
            last = Some(verdict);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came to this: {what}; last {last:?}");
    }

    async fn state(&self, service: usize) -> ContainerState {
        let key = &self.goal.services[service].instances[0].key;
        self.backend.observe_instance(key).await.unwrap().workload.unwrap().state
    }

    fn container(&self, service: usize) -> String {
        let key = &self.goal.services[service].instances[0].key;
        self.provider.backend.names().instance(key).workload
    }
}

#[tokio::test]
async fn what_fills_its_disk_is_stopped_and_the_rest_goes_on() {
    let mut stage = Stage::set("disk", |spec| {
        let small = |service| WorkloadSpec { ephemeral_bytes: 4 << 20, ..spec(service) };
        vec![small("greedy"), spec("modest"), small("crumbs"), small("sly")]
    })
    .await;
    stage.until("all run", |verdict| *verdict == Verdict::Ready).await;
    exec(&stage.container(0), "dd if=/dev/zero of=/fill bs=1M count=6");
    exec(&stage.container(1), "dd if=/dev/zero of=/fill bs=1M count=6");
    // Empty files use up a file system's inodes; the engine's own files that
    // it mounts into a container lie in no layer.
    exec(&stage.container(2), "i=0; while [ $i -lt 1100 ]; do : > /crumb$i; i=$((i+1)); done");
    exec(&stage.container(3), "dd if=/dev/zero of=/etc/hosts bs=1M count=6");

    let verdict = stage.until("stopped", |v| matches!(v, Verdict::Stopped(_))).await;
    let Verdict::Stopped(why) = verdict else { unreachable!("it was waited for") };
    assert!(why.starts_with("greedy[0] wrote 6"), "{why}");
    assert!(why.contains("of 4 MiB of ephemeral storage"), "{why}");
    for stopped in [0, 2, 3] {
        assert_eq!(stage.state(stopped).await, ContainerState::Exited, "{stopped}: {why}");
    }
    assert_eq!(stage.state(1).await, ContainerState::Running);

    // It stays so, and the rest is still looked after.
    for _ in 0..3 {
        assert!(matches!(stage.turn().await, Verdict::Stopped(_)));
    }
    let key = stage.goal.services[1].instances[0].key.clone();
    stage.backend.stop(&key).await.unwrap();
    stage.turn().await;
    assert_eq!(stage.state(1).await, ContainerState::Running);
    assert_eq!(stage.state(0).await, ContainerState::Exited);

    // Another spec gets a new layer.
    for stopped in [0, 2, 3] {
        stage.goal.services[stopped].instances[0].ephemeral_bytes = 64 << 20;
    }
    stage.until("all run again", |verdict| *verdict == Verdict::Ready).await;
    assert_eq!(exec(&stage.container(0), "cat /fill 2>/dev/null || echo gone"), "gone\n");
}

#[tokio::test]
async fn a_persistent_volume_has_a_limit_of_its_own() {
    let volume = |bytes| VolumeSpec {
        name: "data".into(),
        bytes,
        class: VolumeClass::Persistent,
        storage_class: String::new(),
        mount: "/data".into(),
        read_only: false,
        data: None,
    };
    let mut stage = Stage::set("volume", |spec| {
        let mut greedy = spec("greedy");
        greedy.volumes = vec![volume(4 << 20)];
        vec![greedy]
    })
    .await;
    stage.until("it runs", |verdict| *verdict == Verdict::Ready).await;
    exec(
        &stage.container(0),
        "dd if=/dev/zero of=/data/fill bs=1M count=6; echo kept > /data/file",
    );
    let verdict = stage.until("stopped", |v| matches!(v, Verdict::Stopped(_))).await;
    assert!(
        matches!(&verdict, Verdict::Stopped(why) if why.contains("of 4 MiB to its volume data")),
        "{verdict:?}"
    );
    assert_eq!(stage.state(0).await, ContainerState::Exited);

    stage.goal.services[0].instances[0].volumes = vec![volume(64 << 20)];
    stage.until("it runs again", |verdict| *verdict == Verdict::Ready).await;
    assert_eq!(exec(&stage.container(0), "cat /data/file"), "kept\n");
}
