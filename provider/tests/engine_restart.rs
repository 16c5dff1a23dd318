//! An engine of the test's own, killed and started again under what runs on
//! it: leases go on, and nothing is made twice.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoa_provider::reconcile::{plan, Goal, Patience, ServiceGoal, Step, Verdict};
use stoa_provider::runtime::{
    Backend, DockerBackend, ImageBlob, InstanceKey, Observation, VolumeClass, VolumeSpec,
};

const LEASES: usize = 3;
const PATIENCE: Patience = Patience { settle: 0, update: 60, silent: 60 };
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// dockerd and its containerd with directories and sockets of their own, in a
/// network namespace of their own: the machine's engine has its firewall.
struct Engine {
    root: tempfile::TempDir,
    namespace: String,
    containerd: Child,
    dockerd: Child,
}

impl Engine {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("daemon.json"), "{}").unwrap();
        let containerd = Command::new("containerd")
            .arg("--root")
            .arg(root.path().join("containerd"))
            .arg("--state")
            .arg(root.path().join("containerd-state"))
            .arg("--address")
            .arg(root.path().join("containerd.sock"))
            .args(["--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(log(root.path(), "containerd.log"))
            .spawn()
            .expect("containerd, which comes with Docker, is needed");
        let namespace = format!("stoa-restart-{}", std::process::id());
        let added = Command::new("ip").args(["netns", "add", &namespace]).status().unwrap();
        assert!(added.success(), "ip netns add {namespace}");
        let dockerd = dockerd(root.path(), &namespace, &[]);
        Self { root, namespace, containerd, dockerd }
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("docker.sock")
    }

    fn kill(&mut self) {
        self.dockerd.kill().unwrap();
        self.dockerd.wait().unwrap();
    }

    fn start_again(&mut self, arguments: &[&str]) {
        let _ = std::fs::remove_file(self.root.path().join("docker.pid"));
        self.dockerd = dockerd(self.root.path(), &self.namespace, arguments);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("dockerd.log")).unwrap_or_default()
    }
}

/// Entered by `nsenter`, for `ip netns exec` would hide the containers'
/// namespaces from everybody else.
fn dockerd(root: &Path, namespace: &str, arguments: &[&str]) -> Child {
    let at = |name: &str| root.join(name).display().to_string();
    Command::new("nsenter")
        .args([&format!("--net=/run/netns/{namespace}"), "dockerd"])
        .args(["--host", &format!("unix://{}", at("docker.sock"))])
        .args(["--containerd", &at("containerd.sock")])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
        .args(["--pidfile", &at("docker.pid"), "--config-file", &at("daemon.json")])
        .args(["--bridge", "none", "--log-level", "error"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(log(root, "dockerd.log"))
        .spawn()
        .expect("dockerd is needed")
}

fn log(root: &Path, name: &str) -> Stdio {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(root.join(name)).unwrap();
    file.into()
}

impl Drop for Engine {
    /// Also while a test panics: nothing of it may stay on the machine.
    fn drop(&mut self) {
        let socket = format!("unix://{}", self.socket().display());
        let docker = |arguments: &[&str]| {
            let output = Command::new("docker").args(["-H", &socket]).args(arguments).output();
            output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
        };
        for id in docker(&["ps", "-aq"]).split_whitespace() {
            docker(&["rm", "-fv", id]);
        }
        docker(&["network", "prune", "-f"]);
        for child in [&mut self.dockerd, &mut self.containerd] {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = |line: &&str| {
            line.split(' ').nth(1).is_some_and(|at| Path::new(at).starts_with(self.root.path()))
        };
        for line in mounts.lines().rev().filter(below) {
            let _ = Command::new("umount").arg("-l").arg(line.split(' ').nth(1).unwrap()).status();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

/// A daemon's view of its leases.
struct Stage {
    engine: Engine,
    backend: DockerBackend,
    goals: Vec<Goal>,
}

impl Stage {
    async fn set() -> Self {
        let engine = Engine::start();
        let id = format!("test-restart-{}", std::process::id());
        let mut config = support::config(&id);
        config.socket = engine.socket();
        let mut connected = None;
        for _ in 0..TRIES {
            connected = DockerBackend::connect(config.clone()).await.ok();
            if connected.is_some() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let backend = connected.unwrap_or_else(|| panic!("no engine: {}", engine.log()));
        let archive = support::busybox_archive(support::Form::DockerArchive, "web:1", &id);
        let (hash, bytes) = (archive.blake3(), archive.bytes());
        let blob = ImageBlob { path: archive.path(), blake3_hex: &hash, bytes };
        let image = backend.load_blob_image(blob).await.unwrap();
        let goals = (0..LEASES).map(|number| goal(number, &image.id)).collect();
        Self { engine, backend, goals }
    }

    /// Turns of all leases, as the daemon's loop takes them; what was done.
    async fn turn(&self, seen: &Observation) -> (Vec<String>, bool) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut done = vec![];
        let mut ready = true;
        for goal in &self.goals {
            let own = seen.instances.iter().filter(|(key, _)| key.lease == lease_of(goal));
            let own = own.map(|(key, one)| (key.clone(), one.clone())).collect();
            let plan = plan(goal, &own, now, PATIENCE);
            ready &= plan.verdict == Verdict::Ready;
            for step in plan.steps {
                let Step::Apply(spec) = step else { panic!("no such step is due: {step:?}") };
                // The engine may go at any moment, and is asked again.
                let applied = self.backend.apply(&spec).await;
                done.push(format!("{} {applied:?}", spec.key));
            }
        }
        (done, ready)
    }

    /// Until every lease is served; all that was done on the way.
    async fn until_ready(&self) -> Vec<String> {
        let mut all = vec![];
        for _ in 0..TRIES {
            if let Ok(seen) = self.backend.observe().await {
                let (done, ready) = self.turn(&seen).await;
                all.extend(done);
                if ready {
                    return all;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let seen = self.backend.observe().await;
        panic!("leases are not served: {all:?}\n{seen:?}\n{}", self.engine.log());
    }

    /// Containers' ids and processes.
    async fn processes(&self) -> Vec<(String, Option<i64>)> {
        let seen = self.backend.observe().await.unwrap();
        let all = seen.instances.into_values().flat_map(|one| [one.workload, one.link]);
        all.flatten().map(|container| (container.id, container.pid)).collect()
    }

    fn read(&self, number: usize) -> String {
        let key = &self.goals[number].services[0].instances[0].key;
        let name = self.backend.names().instance(key).workload;
        let socket = format!("unix://{}", self.engine.socket().display());
        let output = Command::new("docker")
            .args(["-H", &socket, "exec", &name, "/bin/sh", "-c"])
            .arg("[ -f /data/file ] || echo kept > /data/file; cat /data/file")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn lease_of(goal: &Goal) -> &str {
    &goal.services[0].instances[0].key.lease
}

fn goal(number: usize, image: &str) -> Goal {
    let key =
        InstanceKey { lease: format!("restart-lease-{number}"), service: "web".into(), index: 0 };
    let mut spec = support::spec(key, image);
    spec.volumes = vec![VolumeSpec {
        name: "data".into(),
        bytes: 1 << 20,
        class: VolumeClass::Persistent,
        storage_class: String::new(),
        mount: "/data".into(),
        read_only: false,
        data: None,
    }];
    Goal {
        version: "v1".into(),
        services: vec![ServiceGoal { name: "web".into(), instances: vec![spec] }],
        update: false,
        served: true,
        rollout: None,
        overuses: vec![],
        crashes: Default::default(),
    }
}

#[tokio::test]
async fn leases_outlive_a_killed_engine() {
    if !nix_is_root() {
        println!("not run: an engine of one's own takes root");
        return;
    }
    let mut stage = Stage::set().await;
    let made = stage.until_ready().await;
    assert_eq!(made.len(), LEASES, "{made:?}");
    let before = stage.processes().await;
    assert_eq!(before.len(), 2 * LEASES);
    for number in 0..LEASES {
        assert_eq!(stage.read(number), "kept\n");
    }

    // Gone: nothing is known, so nothing is done.
    stage.engine.kill();
    let error = stage.backend.observe().await.unwrap_err();
    assert!(error.is_unknown(), "{error}");

    // One that keeps containers over its restart: not even their processes
    // are others.
    stage.engine.start_again(&["--live-restore"]);
    assert_eq!(stage.until_ready().await, [""; 0], "all were adopted");
    assert_eq!(stage.processes().await, before);

    // One that does not starts the same containers again.
    stage.engine.kill();
    stage.engine.start_again(&[]);
    stage.until_ready().await;
    let ids =
        |list: &[(String, Option<i64>)]| list.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let after = stage.processes().await;
    assert_eq!(ids(&after), ids(&before), "no container was made anew");
    assert!(after.iter().all(|(_, pid)| pid.is_some()), "{after:?}");
    for number in 0..LEASES {
        assert_eq!(stage.read(number), "kept\n");
    }
    stage.backend.purge().await.unwrap();
    assert!(stage.backend.observe().await.unwrap().instances.is_empty());
}

fn nix_is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}
