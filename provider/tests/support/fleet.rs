//! Several machines on one: engines in network namespaces of their own, an
//! agent at each, and the daemon's fleet over them and over this machine's
//! engine. The daemon's side runs in the test's process.
//!
//! Needs root, dockerd, `ip` (iproute2), and `stoa-tunnel` built beside
//! `stoa-provider`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoa_client::keys::{Algorithm, Backend as Keyring, KeyStore, Passphrase, SecretKey};
use stoa_manifest::Blob;
use stoa_provider::config::{render, Config, Setting};
use stoa_provider::fleet::{Fleet, FleetParts, HostEngine, HostState, Planes, RemoteBackend};
use stoa_provider::hosts::{self, Authority, HostEntry};
use stoa_provider::reconcile::ImageEngine;
use stoa_provider::runtime::{Backend, DockerBackend, ImageRef, InstanceKey, Need, WorkloadSpec};
use stoa_tunnel::routes::{HttpOptions, Route, RouteTable, Target};
use stoa_tunnel::ControlClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::{self, busybox_archive, Archive, Form, Provider};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stoa-provider");
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a process with its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another machine: an engine of its own, reached by one network pair.
pub struct Machine {
    pub name: &'static str,
    pub dir: PathBuf,
    pub agent: Option<Process>,
}

impl Machine {
    pub fn start(name: &'static str, root: &Path) -> Self {
        let machine = Self { name, dir: root.join(name), agent: None };
        machine.engine("start");
        machine
    }

    fn engine(&self, verb: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engine.sh");
        let output = Command::new(script).arg(verb).arg(&self.dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn told(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap().trim().into()
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    pub fn agent_dir(&self) -> PathBuf {
        self.dir.join("agent")
    }

    fn address(&self) -> SocketAddr {
        format!("{}:8444", self.told("guest")).parse().unwrap()
    }

    /// As its operator would: a request there, a signature here, and back.
    pub fn join(&self, config: &Path, cpu: &str) {
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
    pub fn run_agent(&mut self) {
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

    pub fn link(&self, state: &str) {
        let link = self.told("link");
        let done = Command::new("ip").args(["link", "set", &link, state]).status().unwrap();
        assert!(done.success());
    }

    pub fn docker(&self, arguments: &[&str]) -> String {
        let host = format!("unix://{}", self.socket().display());
        let output = Command::new("docker").args(["-H", &host]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn objects(&self) -> String {
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
            for file in ["agent.log", "agent/links/log"] {
                let log = std::fs::read_to_string(self.dir.join(file)).unwrap_or_default();
                eprintln!("{file} of {}:\n{log}", self.name);
            }
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/engine.sh");
        let _ = Command::new(script).arg("stop").arg(&self.dir).status();
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn stoa_provider(arguments: &[&str], input: &str) -> String {
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
pub struct Front {
    pub control: ControlClient,
    pub address: SocketAddr,
    generation: u64,
    _process: Process,
}

impl Front {
    pub async fn start(dir: &Path) -> Self {
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
    pub async fn get(&mut self, fleet: &Fleet, key: &InstanceKey) -> String {
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
        self.push(RouteTable { routes: vec![route], ..RouteTable::default() }).await;
        // Just started, the workload may not listen yet.
        until("an answer", || async {
            let answer = self.request().await;
            answer.starts_with("HTTP/1.1 200").then_some(answer)
        })
        .await
    }

    /// The next table.
    pub async fn push(&mut self, mut table: RouteTable) {
        self.generation += 1;
        table.generation = self.generation;
        self.control.set_routes(&table).await.unwrap();
    }

    pub async fn request(&self) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

pub async fn until<T, F: std::future::Future<Output = Option<T>>>(
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
pub struct Daemon {
    pub fleet: Arc<Fleet>,
    pub planes: Arc<Planes>,
    pub config: Arc<Config>,
    pub provider: Provider,
    file: PathBuf,
    archive: Archive,
    running: JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Daemon {
    pub async fn start(dir: tempfile::TempDir, file: PathBuf, address: &str) -> Self {
        let config = Arc::new(Config::load(&file, &Default::default()).unwrap());
        let backend = DockerBackend::connect(support::config(address));
        let backend = backend.await.expect("these tests need a Docker engine");
        let provider = Provider { id: address.into(), backend };
        let planes = Arc::<Planes>::default();
        let fleet = open_fleet(&dir, &config, &provider, &planes).await;
        let running = tokio::spawn(Arc::clone(&fleet).run());
        let archive = busybox_archive(Form::DockerArchive, "web:latest", address);
        Self { fleet, planes, config, provider, file, archive, running, dir }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// It ends; what it has written stays.
    pub fn stop(&self) {
        self.running.abort();
    }

    pub async fn again(&mut self) {
        self.stop();
        self.planes = Arc::default();
        self.fleet = open_fleet(&self.dir, &self.config, &self.provider, &self.planes).await;
        self.running = tokio::spawn(Arc::clone(&self.fleet).run());
    }

    /// Places and runs an instance of so many thousandths of a core; returns
    /// its machine.
    pub async fn run(&self, service: &str, cpu_millis: u64) -> (WorkloadSpec, Option<String>) {
        let key = InstanceKey { lease: "fleet-lease".into(), service: service.into(), index: 0 };
        let mut spec = support::spec(key, "");
        spec.cpu_millis = cpu_millis;
        let host = self.run_spec(&mut spec).await;
        (spec, host)
    }

    /// The same; the image is added to the spec.
    pub async fn run_spec(&self, spec: &mut WorkloadSpec) -> Option<String> {
        let need = Need {
            key: spec.key.clone(),
            cpu_millis: spec.cpu_millis,
            memory_bytes: spec.memory_bytes,
            storage_bytes: spec.ephemeral_bytes,
            gpu: None,
            has_volumes: false,
        };
        self.fleet.place(&[need]).await.unwrap();
        let root = blake3::Hash::from_hex(self.archive.blake3()).unwrap();
        let blob = Blob { root, bytes: self.archive.bytes() };
        let path = self.archive.path().to_path_buf();
        let image = self.fleet.load(&spec.key, path, blob).await.unwrap();
        spec.image = ImageRef { id: image.id, source: "blob".into() };
        self.fleet.apply(spec).await.unwrap();
        let seen = self.fleet.observe().await.unwrap();
        seen.instances[&spec.key].place.host.clone()
    }

    pub fn states(&self) -> BTreeMap<String, HostState> {
        self.fleet.report().into_iter().map(|host| (host.name, host.state)).collect()
    }

    pub async fn await_state(&self, name: &str, state: HostState) {
        let what = format!("{name} is {}", state.as_str());
        until(&what, || async { (self.states().get(name) == Some(&state)).then_some(()) }).await;
    }

    pub fn hosts(&self, arguments: &[&str]) -> String {
        stoa_provider(&[&["--config", text(&self.file), "hosts"], arguments].concat(), "")
    }
}

async fn open_fleet(
    dir: &tempfile::TempDir,
    config: &Arc<Config>,
    provider: &Provider,
    planes: &Arc<Planes>,
) -> Arc<Fleet> {
    let address = provider.id.as_str();
    let authority = Authority::open(&hosts::directory(dir.path()), address).unwrap();
    let certificate = authority.certificate_path();
    let (control, front) = (authority.issue_control().unwrap(), authority.issue_front().unwrap());
    let (of, signer) = (address.to_string(), certificate.clone());
    let connect = move |name: &str, entry: &HostEntry| {
        let remote = RemoteBackend::new(name, &of, entry, &control, &signer)?;
        Ok(Arc::new(remote) as Arc<dyn HostEngine>)
    };
    Fleet::open(FleetParts {
        config: Arc::clone(config),
        local: Arc::new(provider.reconnect().await),
        connect: Box::new(connect),
        front: (front, certificate),
        planes: Arc::clone(planes),
    })
    .unwrap()
}

/// Settings with a key; the daemon's own machine sells a tenth of a core.
pub fn settings(dir: &Path) -> (PathBuf, String) {
    let mut seed = [7; 32];
    // A provider of its own for each run: several may share this machine's engine.
    seed[..4].copy_from_slice(&std::process::id().to_be_bytes());
    let key = SecretKey::from_bytes(Algorithm::Secp256k1, &seed).unwrap();
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
