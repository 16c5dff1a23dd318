//! What a workload on a further machine of a provider dials: services on the
//! daemon's machine and at another provider, by name, through tunnels; public
//! names and the internet where it has egress. With the daemon gone, links
//! that restart and data planes that are killed.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

#[path = "support/fleet.rs"]
#[allow(dead_code)]
mod machines;
#[path = "support/nowhere.rs"]
mod nowhere;
#[allow(dead_code)]
mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use machines::{settings, until, Daemon, Front, Machine};
use nix::sched::{setns, CloneFlags};
use nowhere::Nowhere;
use stoa_client::ids::{deployment_of, TextId};
use stoa_client::proto::market::v1::{Lease, LeaseState};
use stoa_client::proto::types::v1::{BidId, GroupSpec};
use stoa_client::tls::{provider_root, Identity};
use stoa_provider::chain::LeaseView;
use stoa_provider::config::Config;
use stoa_provider::fleet::{HostState, Planes};
use stoa_provider::overlay::{Joined, Overlay, Told};
use stoa_provider::peers::Peers;
use stoa_provider::runtime::{Backend, InstanceKey, Observation, WorkloadSpec};
use stoa_provider::store::StoredManifest;
use stoa_tunnel::overlay::{Direction, OverlayTable, TunnelState};
use stoa_tunnel::routes::RouteTable;
use support::Provider;

const SDL: &str = r#"
version: "2.0"
services:
  web: {image: w, egress: none, expose: [{port: 8080, to: [{global: true}]}]}
  open: {image: w, expose: [{port: 8080, as: 83, to: [{service: web}]}]}
  api:
    image: w
    expose:
      - {port: 8080, as: 80, to: [{service: web}]}
      - {port: 9000, as: 82, to: [{service: web}]}
  far: {image: w, expose: [{port: 8080, as: 81, to: [{service: web}]}]}
profiles:
  compute: {one: {resources: {cpu: {units: 1}, memory: {size: 64Mi}, storage: {size: 64Mi}}}}
  placement:
    away: {pricing: {one: {denom: ustoa, amount: 1}}}
    near: {pricing: {one: {denom: ustoa, amount: 1}}}
    there: {pricing: {one: {denom: ustoa, amount: 1}}}
deployment:
  web: {away: {profile: one, count: 1}}
  open: {away: {profile: one, count: 1}}
  api: {near: {profile: one, count: 1}}
  far: {there: {profile: one, count: 1}}
"#;
/// Where the two services are, and what they show: the far one, its image's mark.
const API: (&str, u16, &str) = ("api", 80, "/");
const FAR: (&str, u16, &str) = ("far", 81, "/mark");
/// What the public name has, as the test's resolver says.
const PUBLIC_NAME: &str = "www.example.org";
const PUBLIC_ADDRESS: [u8; 4] = [93, 184, 216, 34];

fn lease(provider: &str, group: &str, number: u32) -> LeaseView {
    let owner = "tenant".to_string();
    let id = BidId { owner, dseq: 1, gseq: number, oseq: 1, provider: provider.into() };
    let mut lease = Lease { id: Some(id.clone()), ..Lease::default() };
    lease.set_state(LeaseState::Active);
    let spec = GroupSpec { name: group.into(), ..GroupSpec::default() };
    LeaseView { name: id.text(), id, lease, spec, deployment: Default::default() }
}

fn spec(lease: &LeaseView, service: &str, cpu_millis: u64) -> WorkloadSpec {
    let key = InstanceKey { lease: lease.name.clone(), service: service.into(), index: 0 };
    let mut spec = support::spec(key, "");
    spec.cpu_millis = cpu_millis;
    spec.network.egress = service == "open";
    spec
}

/// What the gatherer would have learned of the chain: all leases, and the
/// others' roots and data planes.
fn write_known(dir: &Path, leases: &[&LeaseView], peer: (&str, &Identity, &[String])) {
    let id = deployment_of(&leases[0].id).text();
    let known = |lease: &&LeaseView| {
        serde_json::json!({
            "lease": lease.name, "group": lease.spec.name, "provider": lease.id.provider,
        })
    };
    let leases: Vec<_> = leases.iter().map(known).collect();
    let (address, root, endpoints) = peer;
    let state = serde_json::json!({
        "deployments": { id: { "version": "", "rules": [], "earlier": [], "leases": leases } },
        "providers": {
            address: { "roots": [hex::encode(root.certificate())], "endpoints": endpoints },
        },
        "credentials": {},
        "slots": {},
    });
    std::fs::write(dir.join("overlay.json"), state.to_string()).unwrap();
}

fn open_overlay(config: &Config, own: &str, root: &Identity, planes: &Arc<Planes>) -> Arc<Overlay> {
    let peers = Arc::new(Peers::new(Arc::new(Nowhere), own, root.clone()));
    let config = Arc::new(config.clone());
    Arc::new(Overlay::open(config, own, root.clone(), peers, Arc::clone(planes)).unwrap())
}

fn joined<'a>(leases: &[&'a LeaseView]) -> Vec<Joined<'a>> {
    let manifest = stoa_manifest::parse(SDL, &Default::default()).unwrap().manifest;
    let (version, root) = ("v".to_string(), blake3::hash(b"v"));
    let stored = Arc::new(StoredManifest { version, root, bytes: 1, manifest });
    leases.iter().map(|lease| Joined { lease, manifests: vec![Arc::clone(&stored)] }).collect()
}

async fn push(front: &mut Front, overlay: OverlayTable) {
    front.push(RouteTable { overlay: Some(overlay), ..RouteTable::default() }).await;
}

/// The daemon with its control of the overlay.
struct Control {
    daemon: Daemon,
    root: Identity,
    config: Config,
    overlay: Arc<Overlay>,
    front: Front,
}

impl Control {
    /// What the reconciler does at each look.
    async fn look(&mut self, leases: &[&LeaseView]) {
        let seen = self.daemon.fleet.observe().await.unwrap();
        self.overlay.note_plane(&self.front.control.status().await.unwrap());
        let table = self.overlay.table(&joined(leases), &seen, 1);
        push(&mut self.front, table).await;
    }

    async fn again(&mut self) {
        self.daemon.again().await;
        let own = &self.daemon.provider.id;
        self.overlay = open_overlay(&self.config, own, &self.root, &self.daemon.planes);
    }

    fn outgoing(&self) -> Vec<Told> {
        let mut told = self.overlay.told_all();
        told.retain(|one| one.direction == Direction::Outgoing);
        told
    }

    fn names(&self, key: &InstanceKey) -> stoa_provider::runtime::InstanceNames {
        self.daemon.provider.backend.names().instance(key)
    }
}

/// Does something inside a process' network namespace.
fn inside<T: Send + 'static>(pid: i64, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let thread = std::thread::spawn(move || {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}

fn pid_of(seen: &Observation, key: &InstanceKey) -> i64 {
    seen.instances[key].workload.as_ref().unwrap().pid.unwrap()
}

/// Gives back what comes, at a port of a workload's.
fn echo_at(pid: i64, port: u16) {
    let listener = inside(pid, move || TcpListener::bind(("0.0.0.0", port)).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut from = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut from, &mut &stream);
            });
        }
    });
}

fn says(mut stream: &TcpStream, words: &str) -> std::io::Result<String> {
    stream.write_all(words.as_bytes())?;
    let mut answer = vec![0; words.len()];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8(answer).unwrap())
}

/// A page, by a name with a port, from a workload on the machine.
fn page(machine: &Machine, workload: &str, name: &str, port: u16, path: &str) -> String {
    let line =
        format!("printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' | timeout 4 nc -w 2 {name} {port}; true");
    machine.docker(&["exec", workload, "/bin/sh", "-c", &line])
}

async fn await_page(machine: &Machine, workload: &str, place: (&str, u16, &str), body: &str) {
    let (name, port, path) = place;
    until(&format!("{body} from {name}:{port}{path}"), || async {
        page(machine, workload, name, port, path).ends_with(body).then_some(())
    })
    .await;
}

fn look_up(machine: &Machine, workload: &str, name: &str) -> String {
    let line = format!("timeout 10 nslookup {name}; true");
    let text = machine.docker(&["exec", workload, "/bin/sh", "-c", &line]);
    // Behind the resolver's own address.
    text.split_once("Name:").map(|(_, answer)| answer.into()).unwrap_or_default()
}

/// Has one name, with one IPv4 address.
fn resolver(at: IpAddr) -> SocketAddr {
    let socket = UdpSocket::bind((at, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let asked = &buffer[..length];
            let end = 12 + asked[12..].iter().position(|b| *b == 0).unwrap() + 5;
            let labels = PUBLIC_NAME.split('.').map(|l| [&[l.len() as u8], l.as_bytes()].concat());
            let known = asked[12..].starts_with(&labels.collect::<Vec<_>>().concat());
            let mut reply = asked[..end].to_vec();
            reply[2..12].copy_from_slice(&[
                0x81,
                if known { 0x80 } else { 0x83 },
                0,
                1,
                0,
                0,
                0,
                0,
                0,
                0,
            ]);
            if known && asked[end - 3] == 1 {
                reply[7] = 1;
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
                reply.extend(PUBLIC_ADDRESS);
            }
            let _ = socket.send_to(&reply, from);
        }
    });
    address
}

/// An address of the public internet, on this side of the machine's wire.
fn public_page(machine: &Machine) -> IpAddr {
    let number = std::process::id();
    let address = IpAddr::from([8, 148, (number >> 8) as u8, number as u8 | 1]);
    let wire = machine.told("link");
    let add = ["address", "add", &format!("{address}/32"), "dev", &wire];
    assert!(std::process::Command::new("ip").args(add).status().unwrap().success());
    let listener = TcpListener::bind((address, 80)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\npublic\n");
        }
    });
    address
}

/// Two ports that nobody had a moment ago, and not the same one twice.
fn free_ports() -> (u16, u16) {
    let (one, other) = (TcpListener::bind("0.0.0.0:0"), TcpListener::bind("0.0.0.0:0"));
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    (port(&one.unwrap()), port(&other.unwrap()))
}

/// The data plane of the machine's links.
fn kill_links(machine: &Machine) {
    let socket = machine.dir.join("agent/links/control.sock").display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|entry| {
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let is_it = line.split('\0').any(|word| word == socket);
        is_it.then(|| entry.file_name().to_str()?.parse::<i32>().ok()).flatten()
    });
    let found: Vec<i32> = found.collect();
    assert_eq!(found.len(), 1, "one process looks after the links");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(found[0]), nix::sys::signal::SIGKILL)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_on_a_further_machine_dials_by_name_with_or_without_the_daemon() {
    stoa_client::install_crypto();
    let root = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (file, address) = settings(dir.path());
    let mut n1 = Machine::start("n1", root.path());
    n1.join(&file, "4");
    n1.run_agent();
    let host: IpAddr = n1.told("host").parse().unwrap();

    // Provider A over two machines, provider B beside it.
    let (root_a, root_b) = (provider_root(&address, 30).unwrap(), provider_root("b", 30).unwrap());
    let b = Provider::start("peer").await;
    let (web_lease, api_lease) = (lease(&address, "away", 1), lease(&address, "near", 2));
    let far_lease = lease(&b.id, "there", 3);
    let all = [&web_lease, &api_lease, &far_lease];
    let (port_a, port_b) = free_ports();
    let dir_b = tempfile::tempdir().unwrap();
    write_known(dir.path(), &all, (&b.id, &root_b, &[format!("{host}:{port_b}")]));
    write_known(dir_b.path(), &all, (&address, &root_a, &[]));

    let daemon = Daemon::start(dir, file, &address).await;
    let mut config = Config::clone(&daemon.config);
    config.overlay.listen = vec![([0, 0, 0, 0], port_a).into()];
    config.overlay.resolvers = vec![resolver(host)];
    let overlay = open_overlay(&config, &address, &root_a, &daemon.planes);
    let front = Front::start(root.path()).await;
    let mut a = Control { daemon, root: root_a, config: config.clone(), overlay, front };
    a.daemon.await_state("n1", HostState::Up).await;

    let mut web = spec(&web_lease, "web", 500);
    let mut open = spec(&web_lease, "open", 500);
    let mut api = spec(&api_lease, "api", 50);
    assert_eq!(a.daemon.run_spec(&mut api).await, None);
    assert_eq!(a.daemon.run_spec(&mut web).await.as_deref(), Some("n1"));
    assert_eq!(a.daemon.run_spec(&mut open).await.as_deref(), Some("n1"));
    let image = b.busybox().await;
    let mut far = spec(&far_lease, "far", 50);
    far.image = b.spec("x", "x", &image).image;
    // It shows its image's mark, by which it is known.
    far.command = ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/"].map(String::from).into();
    b.backend.apply(&far).await.unwrap();
    until("far serves", || async {
        let seen = b.backend.observe().await.unwrap();
        seen.instances[&far.key].is_serving().then_some(())
    })
    .await;
    until("api and open serve", || async {
        let seen = a.daemon.fleet.observe().await.unwrap();
        let serves = |spec: &WorkloadSpec| seen.instances[&spec.key].is_serving();
        (serves(&api) && serves(&open)).then_some(())
    })
    .await;

    config.data_dir = dir_b.path().into();
    config.overlay.listen = vec![([0, 0, 0, 0], port_b).into()];
    let overlay_b = open_overlay(&config, &b.id, &root_b, &Arc::default());
    let mut front_b = Front::start(dir_b.path()).await;
    let table = overlay_b.table(&joined(&[&far_lease]), &b.backend.observe().await.unwrap(), 1);
    push(&mut front_b, table).await;
    let own = [&web_lease, &api_lease];
    a.look(&own).await;

    // By name: a service on the daemon's machine, and one at another provider.
    let workload = a.names(&web.key).workload;
    await_page(&n1, &workload, API, "hello\n").await;
    await_page(&n1, &workload, FAR, &b.id).await;
    // And one on the same machine, by way of the daemon's.
    await_page(&n1, &workload, ("open", 83, "/"), "hello\n").await;
    let api_address = look_up(&n1, &workload, "api");
    // What is not declared has no name, and public ones only who has egress.
    assert_eq!(look_up(&n1, &workload, PUBLIC_NAME), "");
    let opened = a.names(&open.key).workload;
    assert_eq!(look_up(&n1, &workload, &opened), "");
    assert_eq!(look_up(&n1, &opened, "api"), "");
    let found = look_up(&n1, &opened, PUBLIC_NAME);
    assert!(found.contains(&IpAddr::from(PUBLIC_ADDRESS).to_string()), "{found}");
    // The internet, and nothing that is not public: the agent minds its walls.
    let public = public_page(&n1).to_string();
    await_page(&n1, &opened, (&public, 80, "/"), "public\n").await;
    assert_eq!(page(&n1, &workload, &public, 80, "/"), "");
    let private = TcpListener::bind((host, 0)).unwrap();
    let port = private.local_addr().unwrap().port();
    private.set_nonblocking(true).unwrap();
    for from in [&workload, &opened] {
        assert_eq!(page(&n1, from, &host.to_string(), port, "/"), "");
    }
    assert!(private.accept().is_err(), "no connection may arrive at the host");

    // What the machine's data plane says comes back, and is told as one.
    let told = until("the tunnels are told of", || async {
        let told = a.outgoing();
        let up = |one: &Told| {
            let status = one.status.as_ref();
            status.is_some_and(|s| s.state == TunnelState::Up && s.rtt_micros.is_some())
        };
        (told.len() == 4 && told.iter().all(up)).then_some(told)
    })
    .await;
    let bytes = |told: &[Told], port| {
        let one = told.iter().find(|one| one.port == port).unwrap();
        one.status.as_ref().map(|s| (s.bytes_in, s.bytes_out)).unwrap()
    };
    assert!(bytes(&told, 80).0 > 0 && bytes(&told, 81).1 > 0, "{told:?}");
    assert_eq!(a.overlay.problems(), [""; 0]);
    // This machine's own data plane has neither those tunnels nor their keys.
    let status = a.front.control.status().await.unwrap();
    assert!(status.tunnels.iter().all(|one| one.direction == Direction::Incoming), "{status:?}");

    // A connection outlives the daemon, its start, and the agent.
    let seen = a.daemon.fleet.observe().await.unwrap();
    echo_at(pid_of(&seen, &api.key), 9000);
    let words = api_address.split_whitespace();
    let target: IpAddr = words.filter_map(|word| word.parse().ok()).next().unwrap();
    let web_pid = pid_of(&seen, &web.key);
    let dial = move || {
        inside(web_pid, move || {
            let stream = TcpStream::connect_timeout(&(target, 82).into(), Duration::from_secs(5))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            Ok::<_, std::io::Error>(stream)
        })
    };
    let stream = dial().unwrap();
    assert_eq!(says(&stream, "before").unwrap(), "before");
    a.daemon.stop();
    assert_eq!(says(&stream, "without the daemon").unwrap(), "without the daemon");
    a.again().await;
    // The first look comes before the machine has answered: it changes nothing.
    a.look(&own).await;
    a.daemon.await_state("n1", HostState::Up).await;
    a.look(&own).await;
    let known = || a.daemon.planes.said().get("n1").and_then(|said| said.status.clone());
    let generation = until("n1 says how it is", || async { known() }).await.generation;
    assert_eq!(says(&stream, "again").unwrap(), "again");
    n1.agent = None;
    n1.run_agent();
    a.daemon.await_state("n1", HostState::Up).await;
    assert_eq!(says(&stream, "another agent").unwrap(), "another agent");
    until("the new agent gave its table again", || async {
        known().filter(|status| status.generation > generation)
    })
    .await;
    assert_eq!(says(&stream, "still").unwrap(), "still");

    // Without the daemon a link that restarts is bound again, and a data plane
    // that is killed comes back.
    a.daemon.stop();
    n1.docker(&["restart", "-t", "0", &a.names(&web.key).link]);
    await_page(&n1, &workload, API, "hello\n").await;
    await_page(&n1, &workload, FAR, &b.id).await;
    kill_links(&n1);
    await_page(&n1, &workload, API, "hello\n").await;

    // A lease that is over takes its tunnels with it, there too.
    a.again().await;
    a.daemon.await_state("n1", HostState::Up).await;
    a.look(&own).await;
    let stream = until("a connection", || async { dial().ok() }).await;
    assert_eq!(says(&stream, "one more").unwrap(), "one more");
    a.look(&[&web_lease]).await;
    until("the connection is cut", || async { says(&stream, "?").is_err().then_some(()) }).await;
    assert_eq!(page(&n1, &workload, "api", 80, "/"), "");
    await_page(&n1, &workload, FAR, &b.id).await;
    a.daemon.fleet.remove_lease(&web_lease.name).await.unwrap();
    a.look(&[]).await;
    let empty =
        |said: &stoa_tunnel::control::Status| said.links.is_empty() && said.tunnels.is_empty();
    let said = || a.daemon.planes.said().get("n1").and_then(|said| said.status.clone());
    until("nothing is left there", || async { said().filter(empty) }).await;
    let kept = std::fs::read_to_string(n1.dir.join("agent/links/overlay.json")).unwrap();
    assert!(!kept.contains("PRIVATE"), "no key is left");
}
