//! Several machines on one: engines in network namespaces of their own, an
//! agent at each, and the daemon's fleet over them and over this machine's
//! engine. The daemon's side runs in this process.
//!
//! Needs root, dockerd, `ip` (iproute2), and `stoa-tunnel` built beside
//! `stoa-provider`.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoa_client::keys::{Algorithm, Backend as Keyring, KeyStore, Passphrase, SecretKey};
use stoa_manifest::Blob;
use stoa_provider::config::{render, Config, Setting};
use stoa_provider::fleet::{Fleet, FleetParts, HostEngine, HostState, RemoteBackend};
use stoa_provider::hosts::{self, Authority, HostEntry};
use stoa_provider::reconcile::ImageEngine;
use stoa_provider::runtime::{Backend, ImageRef, InstanceKey, Need, WorkloadSpec};
use stoa_tunnel::routes::{HttpOptions, Route, RouteTable, Target};
use stoa_tunnel::ControlClient;
use support::{busybox_archive, Archive, Form, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stoa-provider");
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a process with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another machine: an engine of its own, reached by one network pair.
struct Machine {
    name: &'static str,
    dir: PathBuf,
    agent: Option<Process>,
}

impl Machine {
    fn start(name: &'static str, root: &Path) -> Self {
        let machine = Self { name, dir: root.join(name), agent: None };
        machine.engine("start");
        machine
    }

    fn engine(&self, verb: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engine.sh");
        let output = Command::new(script).arg(verb).arg(&self.dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn told(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap().trim().into()
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    fn agent_dir(&self) -> PathBuf {
        self.dir.join("agent")
    }

    fn address(&self) -> SocketAddr {
        format!("{}:8444", self.told("guest")).parse().unwrap()
    }

    /// As its operator would: a request there, a signature here, and back.
    fn join(&self, config: &Path, cpu: &str) {
        let dir = self.agent_dir();
        let request = stoa_provider(
            &[
                "agent",
                "init",
                "--dir",
                text(&dir),
                "--name",
                self.name,
                "--socket",
                text(&self.socket()),
            ],
            "",
        );
        let address = self.address().to_string();
        let (config, memory) = (text(config), "8Gi");
        let add = ["--config", config, "hosts", "add", self.name, "--address", &address];
        let sold = ["--cpu", cpu, "--memory", memory, "--storage", "8Gi"];
        let joined = stoa_provider(&[&add[..], &sold[..]].concat(), &request);
        stoa_provider(&["agent", "join", "--dir", text(&dir)], &joined);
        let settings = dir.join("agent.toml");
        let patient = std::fs::read_to_string(&settings).unwrap();
        let hasty = patient.replace("stop_grace_seconds = 10", "stop_grace_seconds = 1");
        assert_ne!(patient, hasty);
        std::fs::write(&settings, hasty).unwrap();
    }

    /// In the machine's network namespace, as all that runs there.
    fn run_agent(&mut self) {
        let namespace = format!("--net=/run/netns/{}", self.told("netns"));
        let log = std::fs::File::create(self.dir.join("agent.log")).unwrap();
        let dir = self.agent_dir();
        let child = Command::new("nsenter")
            .args([&namespace, PROGRAM, "agent", "run", "--dir", text(&dir)])
            .stderr(log)
            .spawn()
            .unwrap();
        self.agent = Some(Process(child));
    }

    fn link(&self, state: &str) {
        let link = self.told("link");
        let done = Command::new("ip").args(["link", "set", &link, state]).status().unwrap();
        assert!(done.success());
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let host = format!("unix://{}", self.socket().display());
        let output = Command::new("docker").args(["-H", &host]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn objects(&self) -> String {
        let filter = ["--filter", "label=stoa.provider"];
        [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]]
            .map(|list| self.docker(&[list, &filter[..]].concat()))
            .concat()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.agent = None;
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.join("agent.log")).unwrap_or_default();
            eprintln!("the agent of {}:\n{log}", self.name);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engine.sh");
        let _ = Command::new(script).arg("stop").arg(&self.dir).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stoa_provider(arguments: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stoa-provider {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The front data plane.
struct Front {
    control: ControlClient,
    address: SocketAddr,
    generation: u64,
    _process: Process,
}

impl Front {
    async fn start(dir: &Path) -> Self {
        let program = Path::new(PROGRAM).with_file_name("stoa-tunnel");
        let process = Command::new(&program)
            .args(["--listen", "127.0.0.1:0"])
            .arg("--control")
            .arg(dir.join("front.sock"))
            .arg("--state")
            .arg(dir.join("front"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; build it first", program.display()));
        let process = Process(process);
        let control = ControlClient::new(dir.join("front.sock"));
        let status = until("the front answers", || async { control.status().await.ok() }).await;
        Self { control, address: status.listen, generation: 0, _process: process }
    }

    /// What an instance answers, reached through the front.
    async fn get(&mut self, fleet: &Fleet, key: &InstanceKey) -> String {
        let seen = fleet.observe().await.unwrap();
        let instance = &seen.instances[key];
        let (netns, address) = instance.way_to(8080).unwrap();
        let target = Target {
            instance: key.to_string(),
            link: String::new(),
            netns,
            address,
            hop: instance.place.hop.clone(),
        };
        let route = Route {
            hosts: vec!["web.example".into()],
            http: HttpOptions::default(),
            targets: vec![target],
        };
        self.generation += 1;
        let table = RouteTable {
            generation: self.generation,
            routes: vec![route],
            ..RouteTable::default()
        };
        self.control.set_routes(&table).await.unwrap();
        // Just started, the workload may not listen yet.
        until("an answer", || async {
            let answer = self.request().await;
            answer.starts_with("HTTP/1.1 200").then_some(answer)
        })
        .await
    }

    async fn request(&self) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

async fn until<T, F: std::future::Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The daemon's side.
struct Daemon {
    fleet: Arc<Fleet>,
    config: PathBuf,
    provider: Provider,
    archive: Archive,
    _dir: tempfile::TempDir,
}

impl Daemon {
    async fn start(dir: tempfile::TempDir, config: PathBuf, address: &str) -> Self {
        let parsed = Config::load(&config, &Default::default()).unwrap();
        let backend = stoa_provider::runtime::DockerBackend::connect(support::config(address));
        let backend = backend.await.expect("these tests need a Docker engine");
        let provider = Provider { id: address.into(), backend };
        let local = Arc::new(provider.reconnect().await);
        let authority = Authority::open(&hosts::directory(dir.path()), address).unwrap();
        let certificate = authority.certificate_path();
        let (control, front) =
            (authority.issue_control().unwrap(), authority.issue_front().unwrap());
        let (of, signer) = (address.to_string(), certificate.clone());
        let connect = move |name: &str, entry: &HostEntry| {
            let remote = RemoteBackend::new(name, &of, entry, &control, &signer)?;
            Ok(Arc::new(remote) as Arc<dyn HostEngine>)
        };
        let fleet = Fleet::open(FleetParts {
            config: Arc::new(parsed),
            local,
            connect: Box::new(connect),
            front: (front, certificate),
        })
        .unwrap();
        tokio::spawn(Arc::clone(&fleet).run());
        let archive = busybox_archive(Form::DockerArchive, "web:latest", address);
        Self { fleet, config, provider, archive, _dir: dir }
    }

    /// Places and runs an instance of so many thousandths of a core; returns
    /// its machine.
    async fn run(&self, service: &str, cpu_millis: u64) -> (WorkloadSpec, Option<String>) {
        let key = InstanceKey { lease: "fleet-lease".into(), service: service.into(), index: 0 };
        let mut spec = support::spec(key, "");
        spec.cpu_millis = cpu_millis;
        let need = Need {
            key: spec.key.clone(),
            cpu_millis,
            memory_bytes: spec.memory_bytes,
            storage_bytes: spec.ephemeral_bytes,
            gpus: 0,
            has_volumes: false,
        };
        self.fleet.place(&[need]).await.unwrap();
        let root = blake3::Hash::from_hex(self.archive.blake3()).unwrap();
        let blob = Blob { root, bytes: self.archive.bytes() };
        let path = self.archive.path().to_path_buf();
        let image = self.fleet.load(&spec.key, path, blob).await.unwrap();
        spec.image = ImageRef { id: image.id, source: "blob".into() };
        self.fleet.apply(&spec).await.unwrap();
        let seen = self.fleet.observe().await.unwrap();
        let host = seen.instances[&spec.key].place.host.clone();
        (spec, host)
    }

    fn states(&self) -> BTreeMap<String, HostState> {
        self.fleet.report().into_iter().map(|host| (host.name, host.state)).collect()
    }

    async fn await_state(&self, name: &str, state: HostState) {
        let what = format!("{name} is {}", state.as_str());
        until(&what, || async { (self.states().get(name) == Some(&state)).then_some(()) }).await;
    }

    fn hosts(&self, arguments: &[&str]) -> String {
        stoa_provider(&[&["--config", text(&self.config), "hosts"], arguments].concat(), "")
    }
}

/// Settings with a key; the daemon's own machine sells a tenth of a core.
fn settings(dir: &Path) -> (PathBuf, String) {
    let key = SecretKey::from_bytes(Algorithm::Secp256k1, &[7; 32]).unwrap();
    let store = KeyStore::new(dir, Keyring::Test, Passphrase::from_env());
    let address = store.add("provider", &key).unwrap().address;
    let set = |path: &str, value: &str| Setting::new(path, value);
    let rendered = render(&[
        set("data_dir", text(dir)),
        set("key.dir", text(dir)),
        set("key.backend", "test"),
        set("capacity.cpu", "100m"),
    ]);
    let path = dir.join("provider.toml");
    std::fs::write(&path, rendered.unwrap()).unwrap();
    (path, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_over_three_machines_places_serves_waits_and_recovers() {
    stoa_client::install_crypto();
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    let (mut n1, mut n2) = std::thread::scope(|scope| {
        let start = |name: &'static str| scope.spawn(move || Machine::start(name, path));
        let (first, second) = (start("n1"), start("n2"));
        (first.join().unwrap(), second.join().unwrap())
    });
    let dir = tempfile::tempdir().unwrap();
    let (config, address) = settings(dir.path());
    n1.join(&config, "250m");
    n2.join(&config, "900m");
    n1.run_agent();
    n2.run_agent();
    let daemon = Daemon::start(dir, config, &address).await;
    let mut front = Front::start(root.path()).await;
    daemon.await_state("n1", HostState::Up).await;
    daemon.await_state("n2", HostState::Up).await;

    // The inventory adds up, and best fit decides.
    let one = daemon.provider.backend.inventory().await.unwrap();
    let all = daemon.fleet.inventory().await.unwrap();
    assert_eq!(all.cpu_millis, 3 * one.cpu_millis);
    let (small, place) = daemon.run("small", 90).await;
    assert_eq!(place, None, "it all but fills the daemon's own machine");
    let (web, place) = daemon.run("web", 200).await;
    assert_eq!(place.as_deref(), Some("n1"), "it leaves less there than on n2");
    assert_eq!(daemon.run("large", 800).await.1.as_deref(), Some("n2"));
    assert!(daemon.hosts(&["list"]).contains("250m cpu"), "{}", daemon.hosts(&["list"]));

    // HTTP reaches each, wherever it is.
    for spec in [&small, &web] {
        let answer = front.get(&daemon.fleet, &spec.key).await;
        assert!(answer.ends_with("hello\n"), "{answer}");
    }

    // The agent dies: it is unknown, nothing moves, and its relay serves on.
    let before = n1.objects();
    n1.agent = None;
    daemon.await_state("n1", HostState::Unknown).await;
    assert!(front.request().await.ends_with("hello\n"));
    let seen = daemon.fleet.observe().await.unwrap();
    assert!(seen.instances[&web.key].place.unknown);
    assert!(daemon.fleet.apply(&web).await.unwrap_err().is_unknown());
    assert!(daemon.fleet.remove_lease("fleet-lease").await.unwrap_err().is_unknown());
    n1.run_agent();
    daemon.await_state("n1", HostState::Up).await;
    let seen = daemon.fleet.observe().await.unwrap();
    assert!(seen.instances[&web.key].is_serving() && !seen.instances[&web.key].place.unknown);
    assert_eq!(n1.objects(), before, "adopted as it was");

    // Its network is cut: the same, until the operator says that it is dead.
    let (web, place) = daemon.run("web", 200).await;
    assert_eq!(place.as_deref(), Some("n1"));
    n1.link("down");
    daemon.await_state("n1", HostState::Unknown).await;
    assert!(daemon.fleet.apply(&web).await.unwrap_err().is_unknown());
    n2.docker(&["ps"]);
    daemon.hosts(&["dead", "n1"]);
    daemon.await_state("n1", HostState::Dead).await;
    // n2 is full by then, and this machine too: it goes where most is left.
    let (web, place) = daemon.run("web", 200).await;
    assert_ne!(place.as_deref(), Some("n1"));
    let answer = front.get(&daemon.fleet, &web.key).await;
    assert!(answer.ends_with("hello\n"), "{answer}");

    // Back from the dead, it is cleaned of what runs elsewhere now.
    n1.link("up");
    until("n1 is clean", || async { n1.objects().is_empty().then_some(()) }).await;
    assert!(front.get(&daemon.fleet, &web.key).await.ends_with("hello\n"));
    daemon.hosts(&["use", "n1"]);
    daemon.await_state("n1", HostState::Up).await;
    daemon.fleet.remove_lease("fleet-lease").await.unwrap();
    assert!(n2.objects().is_empty() && daemon.provider.containers().is_empty());
}
