//! Measures tunnels beside plain TCP, and beside haproxy and stunnel as pairs
//! with certificates on both sides, in one run on one machine:
//!
//! ```text
//! cargo build --release -p stoa-tunnel --bins --example overlay
//! PROXIES=$(scripts/proxies.sh) target/release/examples/overlay
//! ```
//!
//! Prints one figure a line: name, value, unit. Needs root, `ip` and
//! `nsenter`; without `PROXIES` the pairs of others are left out.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{ensure, Context, Result};
use nix::sched::{setns, CloneFlags};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256,
};
use stoa_tunnel::overlay::{
    tunnel_name, Backend, Connection, Credential, Link, Name, OverlayTable, PeerRoot, Port, Served,
    TunnelId,
};
use stoa_tunnel::routes::{RouteTable, Target, Transport};
use stoa_tunnel::ControlClient;

const LINK: [u8; 4] = [10, 88, 0, 2];
const WORKLOAD: [u8; 4] = [10, 88, 0, 3];
const VIRTUAL: [u8; 4] = [10, 88, 0, 5];
/// What the server does is told by its port.
const SINK: u16 = 8080;
const ECHO: u16 = 8081;
const TUNNEL_PORT: u16 = 18_444;
/// How long each throughput is measured, after a warm-up.
const LASTS: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
const ROUND_TRIPS: usize = 20_000;
const CONNECTIONS: usize = 300;
const PASSES: usize = 3;
const IDLE_TUNNELS: usize = 1_000;
const PIECE: usize = 128 << 10;

fn main() -> Result<()> {
    let world = World::new()?;
    let mut ways = vec![Way { name: "plain", address: WORKLOAD, offset: 0, pids: vec![] }];
    let planes = Planes::start(&world)?;
    ways.push(Way { name: "overlay", address: VIRTUAL, offset: 0, pids: planes.pids() });
    let proxies = std::env::var_os("PROXIES").map(PathBuf::from);
    let others = match &proxies {
        Some(directory) => Others::start(&world, directory)?,
        None => Others::default(),
    };
    for (name, offset, pids) in &others.ways {
        ways.push(Way { name, address: LINK, offset: *offset, pids: pids.clone() });
    }
    // Ways take turns, so that what else the machine does touches all.
    let mut all: Vec<Vec<Measured>> = ways.iter().map(|_| vec![]).collect();
    for pass in 0..PASSES {
        for (way, results) in ways.iter().zip(&mut all) {
            eprintln!("pass {pass}: {}", way.name);
            results.push(measure(&world, way)?);
        }
    }
    let medians: Vec<Measured> = all.into_iter().map(Measured::median).collect();
    let plain = medians[0];
    for (way, measured) in ways.iter().zip(&medians) {
        report(way.name, measured, &plain);
    }
    drop(others);
    let per_tunnel = planes.idle_memory(&world)?;
    figure("idle.kib_a_tunnel_and_side", per_tunnel, "KiB");
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.4} {unit}");
}

fn report(name: &str, measured: &Measured, plain: &Measured) {
    let own = |what: &str, value: f64, unit: &str| figure(&format!("{name}.{what}"), value, unit);
    own("one_stream", measured.one, "Gbit/s");
    own("four_streams", measured.four, "Gbit/s");
    own("one_stream_of_plain", measured.one / plain.one, "of plain");
    own("four_streams_of_plain", measured.four / plain.four, "of plain");
    own("p50", measured.p50 * 1e6, "us");
    own("p99", measured.p99 * 1e6, "us");
    own("p50_added", (measured.p50 - plain.p50) * 1e6, "us");
    own("connect_first_byte", measured.first_byte * 1e3, "ms");
    own("cpu", measured.cpu_per_gbit * 1e3, "ms of CPU a Gbit");
    own("memory", measured.memory_mib, "MiB");
}

/// One way from the client to the server.
struct Way {
    name: &'static str,
    address: [u8; 4],
    /// Added to the server's port.
    offset: u16,
    /// The processes between.
    pids: Vec<u32>,
}

impl Way {
    fn to(&self, port: u16) -> SocketAddr {
        (self.address, port + self.offset).into()
    }
}

#[derive(Clone, Copy, Default)]
struct Measured {
    one: f64,
    four: f64,
    p50: f64,
    p99: f64,
    first_byte: f64,
    cpu_per_gbit: f64,
    memory_mib: f64,
}

impl Measured {
    fn median(all: Vec<Self>) -> Self {
        let of = |part: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(part).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            one: of(|m| m.one),
            four: of(|m| m.four),
            p50: of(|m| m.p50),
            p99: of(|m| m.p99),
            first_byte: of(|m| m.first_byte),
            cpu_per_gbit: of(|m| m.cpu_per_gbit),
            memory_mib: of(|m| m.memory_mib),
        }
    }
}

fn measure(world: &World, way: &Way) -> Result<Measured> {
    let before = cpu(&way.pids);
    let (one, bytes) = throughput(world, way, 1)?;
    let used = cpu(&way.pids) - before;
    let (four, _) = throughput(world, way, 4)?;
    let memory_mib = way.pids.iter().map(|pid| memory_kib(*pid)).sum::<f64>() / 1024.0;
    let (p50, p99) = round_trips(world, way)?;
    let first_byte = first_bytes(world, way)?;
    let cpu_per_gbit = used / (bytes as f64 * 8.0 / 1e9);
    Ok(Measured { one, four, p50, p99, first_byte, cpu_per_gbit, memory_mib })
}

/// Gbit/s that the server takes in, and the bytes of the whole time.
fn throughput(world: &World, way: &Way, streams: usize) -> Result<(f64, u64)> {
    let ending = Arc::new(AtomicBool::new(false));
    let start = world.taken.load(Ordering::Relaxed);
    let mut senders = vec![];
    for _ in 0..streams {
        let mut stream = world.connect(way.to(SINK))?;
        let ending = Arc::clone(&ending);
        senders.push(std::thread::spawn(move || {
            let piece = vec![b'x'; PIECE];
            while !ending.load(Ordering::Relaxed) && stream.write_all(&piece).is_ok() {}
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    std::thread::sleep(WARM_UP);
    let (begin, from) = (Instant::now(), world.taken.load(Ordering::Relaxed));
    std::thread::sleep(LASTS);
    let (took, to) = (begin.elapsed(), world.taken.load(Ordering::Relaxed));
    ending.store(true, Ordering::Relaxed);
    for sender in senders {
        let _ = sender.join();
    }
    std::thread::sleep(Duration::from_millis(200));
    let whole = world.taken.load(Ordering::Relaxed) - start;
    ensure!(to > from, "{}: nothing came", way.name);
    Ok(((to - from) as f64 * 8.0 / 1e9 / took.as_secs_f64(), whole))
}

fn round_trips(world: &World, way: &Way) -> Result<(f64, f64)> {
    let mut stream = world.connect(way.to(ECHO))?;
    stream.set_nodelay(true)?;
    let mut byte = [0; 64];
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for number in 0..ROUND_TRIPS + 1_000 {
        let begin = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        if number >= 1_000 {
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// The median from the connection's beginning to its first byte back.
fn first_bytes(world: &World, way: &Way) -> Result<f64> {
    let mut times = vec![];
    for _ in 0..CONNECTIONS {
        // As a client that comes now and then: pools may be filled again.
        std::thread::sleep(Duration::from_millis(5));
        let begin = Instant::now();
        let mut stream = world.connect(way.to(ECHO))?;
        stream.set_nodelay(true)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Seconds of CPU that processes have used.
fn cpu(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    pids.iter().filter_map(ticks).sum::<f64>() / 100.0
}

fn memory_kib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// A namespace with a server in it, and its clients.
struct World {
    name: String,
    taken: Arc<AtomicU64>,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Result<Self> {
        let name = format!("stoabench{}", std::process::id());
        run("ip", &["netns", "add", &name])?;
        let world = Self { name, taken: Arc::default(), directory: tempfile::tempdir()? };
        let inside = |words: &[&str]| run("ip", &[&["-n", world.name.as_str()], words].concat());
        inside(&["link", "set", "lo", "up"])?;
        inside(&["addr", "add", "10.88.0.2/32", "dev", "lo"])?;
        inside(&["addr", "add", "10.88.0.3/32", "dev", "lo"])?;
        let path = world.netns();
        let taken = Arc::clone(&world.taken);
        std::thread::spawn(move || -> Result<()> {
            setns(fs::File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            let echo = TcpListener::bind(SocketAddr::from((WORKLOAD, ECHO)))?;
            std::thread::spawn(move || {
                for stream in echo.incoming().flatten() {
                    std::thread::spawn(move || echo_back(stream));
                }
            });
            let sink = TcpListener::bind(SocketAddr::from((WORKLOAD, SINK)))?;
            for stream in sink.incoming().flatten() {
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || take_in(stream, &taken));
            }
            Ok(())
        });
        std::thread::sleep(Duration::from_millis(200));
        Ok(world)
    }

    fn netns(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        thread_local! {
            static ENTERED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        // The main thread goes in and stays: entering is not what is measured.
        if !ENTERED.replace(true) {
            setns(fs::File::open(self.netns())?, CloneFlags::CLONE_NEWNET)?;
        }
        TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .with_context(|| format!("connecting to {address}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

fn echo_back(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let _ = stream.set_nodelay(true);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn take_in(mut stream: TcpStream, taken: &AtomicU64) {
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        taken.fetch_add(count as u64, Ordering::Relaxed);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().context(program.to_owned())?;
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    Ok(())
}

/// A provider's root, and what it signs.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

impl Root {
    fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    fn issue(&self, id: &str, name: &str) -> Result<Credential> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (SystemTime::now() - Duration::from_secs(60)).into();
        params.not_after = (SystemTime::now() + Duration::from_secs(3600)).into();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Credential { id: id.into(), chain: certificate.pem(), key: key.serialize_pem() })
    }
}

/// A process that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two data planes with a tunnel for each of the server's ports.
struct Planes {
    a: Plane,
    b: Plane,
    root_a: Root,
    root_b: Root,
    runtime: tokio::runtime::Runtime,
}

struct Plane {
    process: Running,
    control: ControlClient,
}

impl Plane {
    fn start(directory: &Path, name: &str) -> Result<Self> {
        let program = std::env::current_exe()?;
        let program = program.parent().and_then(Path::parent).context("no directory")?;
        let control = directory.join(format!("{name}.sock"));
        let process = Command::new(program.join("stoa-tunnel"))
            .args(["--listen", "127.0.0.1:0", "--control"])
            .arg(&control)
            .arg("--state")
            .arg(directory.join(name))
            .stderr(Stdio::null())
            .spawn()
            .context("stoa-tunnel beside this program")?;
        Ok(Self { process: Running(process), control: ControlClient::new(control) })
    }
}

impl Planes {
    fn start(world: &World) -> Result<Self> {
        let directory = world.directory.path();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let planes = Self {
            a: Plane::start(directory, "a")?,
            b: Plane::start(directory, "b")?,
            root_a: Root::new("a")?,
            root_b: Root::new("b")?,
            runtime,
        };
        planes.push(world, 1, 0)?;
        Ok(planes)
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.a.process.0.id(), self.b.process.0.id()]
    }

    /// Tables with the server's two ports and so many tunnels more.
    fn push(&self, world: &World, generation: u64, more: usize) -> Result<()> {
        let (mut a, mut b) = (OverlayTable::default(), OverlayTable::default());
        b.listen.push(([127, 0, 0, 1], TUNNEL_PORT).into());
        let mut ports = vec![];
        let numbers = [SINK, ECHO].into_iter().map(Some).chain((0..more).map(|_| None));
        for (number, port) in numbers.enumerate() {
            let descriptor = format!("bench {number}");
            let id = |root: &Root| TunnelId {
                descriptor: descriptor.clone(),
                peer_roots: vec![PeerRoot(root.der.clone())],
            };
            let name = tunnel_name(&descriptor);
            a.credentials.push(self.root_a.issue(&descriptor, &name)?);
            b.credentials.push(self.root_b.issue(&descriptor, &name)?);
            let backend = Backend {
                tunnel: id(&self.root_b),
                endpoints: vec![format!("127.0.0.1:{TUNNEL_PORT}")],
                credential: descriptor.clone(),
            };
            a.outgoing.push(Connection { id: descriptor.clone(), backends: vec![backend] });
            let target = Target {
                instance: "bench/server[0]".into(),
                link: "bench".into(),
                netns: world.netns(),
                address: (WORKLOAD, port.unwrap_or(ECHO)).into(),
                hop: None,
            };
            b.incoming.push(Served {
                tunnel: id(&self.root_a),
                transport: Transport::Tcp,
                credential: descriptor.clone(),
                targets: vec![target],
            });
            if let Some(port) = port {
                let transport = Transport::Tcp;
                let connection = descriptor;
                ports.push(Port { address: VIRTUAL.into(), port, transport, connection });
            }
        }
        a.links.push(Link {
            instance: "bench/client[0]".into(),
            link: "bench".into(),
            netns: world.netns(),
            prefix: 32,
            dns: (LINK, 53).into(),
            egress: false,
            search: vec![],
            names: vec![Name { name: "server".into(), address: VIRTUAL.into() }],
            ports,
        });
        self.runtime.block_on(async {
            for (plane, overlay) in [(&self.b, b), (&self.a, a)] {
                let table =
                    RouteTable { generation, overlay: Some(overlay), ..RouteTable::default() };
                let until = Instant::now() + Duration::from_secs(10);
                while let Err(error) = plane.control.set_routes(&table).await {
                    ensure!(Instant::now() < until, "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            self.up(2 + more).await
        })
    }

    async fn up(&self, wanted: usize) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.a.control.status().await?;
            let measured = status.tunnels.iter().filter(|t| t.rtt_micros.is_some()).count();
            let bound = status.links.iter().all(|link| link.bound == link.wanted);
            if measured == wanted && bound {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{measured} of {wanted} tunnels are up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// KiB that a tunnel with a session that waits takes, at each side.
    fn idle_memory(&self, world: &World) -> Result<f64> {
        let memory = || self.pids().into_iter().map(memory_kib).sum::<f64>();
        self.push(world, 2, 10)?;
        std::thread::sleep(Duration::from_secs(2));
        let before = memory();
        self.push(world, 3, 10 + IDLE_TUNNELS)?;
        std::thread::sleep(Duration::from_secs(3));
        Ok((memory() - before) / IDLE_TUNNELS as f64 / 2.0)
    }
}

/// Pairs of others' proxies: name, ports' offset, processes.
#[derive(Default)]
struct Others {
    ways: Vec<(&'static str, u16, Vec<u32>)>,
    _running: Vec<Running>,
}

impl Others {
    fn start(world: &World, programs: &Path) -> Result<Self> {
        let directory = world.directory.path();
        let (client, server) = (Root::new("client")?, Root::new("server")?);
        for (side, root) in [("client", &client), ("server", &server)] {
            let leaf = root.issue(side, "bench.invalid")?;
            fs::write(directory.join(format!("{side}.pem")), leaf.chain + &leaf.key)?;
            fs::write(directory.join(format!("{side}-root.pem")), &root.pem)?;
        }
        let mut others = Self::default();
        for (name, offset, write) in [
            ("haproxy", 1000, haproxy as fn(&Path, &str, u16) -> String),
            ("stunnel", 2000, stunnel as fn(&Path, &str, u16) -> String),
        ] {
            let mut pids = vec![];
            for side in ["server", "client"] {
                let path = directory.join(format!("{name}-{side}.conf"));
                fs::write(&path, write(directory, side, offset))?;
                let program = if name == "haproxy" { "haproxy" } else { "stunnel4" };
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", world.netns().display()));
                command.arg(programs.join(program)).env("LD_LIBRARY_PATH", programs);
                if name == "haproxy" {
                    command.arg("-f");
                }
                let quiet = command.arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
                let running = Running(quiet.spawn()?);
                pids.push(running.0.id());
                others._running.push(running);
            }
            others.ways.push((name, offset, pids));
        }
        std::thread::sleep(Duration::from_secs(1));
        Ok(others)
    }
}

/// Where the pair's inner hop is.
fn inner(port: u16, offset: u16) -> String {
    format!("127.0.0.1:{}", port + offset + 500)
}

fn haproxy(directory: &Path, side: &str, offset: u16) -> String {
    let directory = directory.display();
    let mut text = String::from(
        "global\n nbthread 2\n tune.bufsize 131072\n tune.ssl.cachesize 0\n maxconn 1000\n\
         defaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n",
    );
    for port in [SINK, ECHO] {
        let hop = inner(port, offset);
        let suites = "TLS_AES_128_GCM_SHA256";
        text += &match side {
            "client" => format!(
                "listen l{port}\n bind 10.88.0.2:{}\n server s {hop} ssl crt {directory}/client.pem \
                 verify required ca-file {directory}/server-root.pem ssl-min-ver TLSv1.3 \
                 ciphersuites {suites}\n",
                port + offset
            ),
            _ => format!(
                "listen l{port}\n bind {hop} ssl crt {directory}/server.pem verify required \
                 ca-file {directory}/client-root.pem ssl-min-ver TLSv1.3 ciphersuites {suites}\n \
                 server s 10.88.0.3:{port}\n"
            ),
        };
    }
    text
}

fn stunnel(directory: &Path, side: &str, offset: u16) -> String {
    let directory = directory.display();
    let peer = if side == "client" { "server" } else { "client" };
    let mut text = format!(
        "foreground = yes\npid =\ndebug = 0\nsslVersion = TLSv1.3\n\
         ciphersuites = TLS_AES_128_GCM_SHA256\nverifyChain = yes\n\
         CAfile = {directory}/{peer}-root.pem\ncert = {directory}/{side}.pem\n\
         socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
    );
    for port in [SINK, ECHO] {
        let hop = inner(port, offset);
        text += &match side {
            "client" => format!(
                "[l{port}]\nclient = yes\naccept = 10.88.0.2:{}\nconnect = {hop}\n",
                port + offset
            ),
            _ => format!("[l{port}]\naccept = {hop}\nconnect = 10.88.0.3:{port}\n"),
        };
    }
    text
}
