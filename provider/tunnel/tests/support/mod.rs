//! A data plane, namespaces with little servers in them, and a container.

// Each test program uses a part of it.
#![allow(dead_code)]

pub mod overlay;
pub mod pebble;
pub mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{setns, CloneFlags};
use stoa_tunnel::routes::{HttpOptions, Route, RouteTable, Target, Transport};
use stoa_tunnel::ControlClient;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// A name that no other test on this machine uses.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("these tests need {program}: {error}");
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

/// The process under test.
pub struct DataPlane {
    pub control: ControlClient,
    address: SocketAddr,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    /// The network namespace it runs in; the test's own where there is none.
    network: Option<PathBuf>,
    child: Child,
}

impl DataPlane {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(arguments: &[&str]) -> Self {
        Self::start_at(None, arguments).await
    }

    /// In a network namespace of its own: stands in for another host.
    pub async fn start_in(network: PathBuf) -> Self {
        Self::start_at(Some(network), &[]).await
    }

    async fn start_at(network: Option<PathBuf>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let control = ControlClient::new(directory.path().join("control.sock"));
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let child = spawn(&directory, &arguments, network.as_ref());
        let address = await_ready(&control).await;
        Self { control, address, directory, arguments, network, child }
    }

    pub fn http(&self) -> SocketAddr {
        self.address
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Sends text, reads until the other side ends the connection.
    pub async fn send_all(&self, text: &str) -> String {
        let mut connection = self.open(text).await;
        let mut answer = vec![];
        let reading = connection.0.read_to_end(&mut answer);
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("an end in time");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a head, then zeros as long as they are taken.
    pub async fn send_with_body(&self, head: &str, length: usize) -> String {
        let (reader, mut writer) = TcpStream::connect(self.address).await.unwrap().into_split();
        writer.write_all(head.as_bytes()).await.unwrap();
        let writing = tokio::spawn(async move {
            let _ = writer.write_all(&vec![0; length]).await;
            writer
        });
        let mut answer = String::new();
        let mut reader = BufReader::new(reader);
        while !answer.ends_with("\r\n\r\n") {
            let reading = reader.read_line(&mut answer);
            let read = tokio::time::timeout(PATIENCE, reading).await.expect(&answer).unwrap_or(0);
            if read == 0 {
                break;
            }
        }
        writing.abort();
        answer
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    /// It is there and does nothing any more, until it is killed.
    pub fn freeze(&self) {
        self.signal(nix::sys::signal::Signal::SIGSTOP);
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.child = spawn(&self.directory, &self.arguments, self.network.as_ref());
        self.address = await_ready(&self.control).await;
    }

    pub async fn push(&self, table: RouteTable) {
        self.control.set_routes(&table).await.unwrap();
    }

    pub async fn get(&self, path: &str, host: &str, headers: &str) -> String {
        self.send(&request("GET", path, host, headers)).await
    }

    /// Sends text, reads until the answer's end.
    pub async fn send(&self, text: &str) -> String {
        let mut connection = self.open(text).await;
        connection.read_answer().await
    }

    pub async fn open(&self, text: &str) -> Connection {
        Connection::open(self.address, text).await.unwrap()
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    directory: &tempfile::TempDir,
    arguments: &Vec<String>,
    network: Option<&PathBuf>,
) -> Child {
    let path = |name: &str| directory.path().join(name);
    let program = env!("CARGO_BIN_EXE_stoa-tunnel");
    let mut command = match network {
        None => Command::new(program),
        Some(network) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", network.display())).arg(program);
            command
        }
    };
    command
        .args(["--listen", "127.0.0.1:0"])
        .arg("--control")
        .arg(path("control.sock"))
        .arg("--state")
        .arg(path("state"))
        .args(arguments)
        // `STOA_TEST_LOG=1` with `--nocapture` shows what it says.
        .stderr(match std::env::var_os("STOA_TEST_LOG") {
            Some(_) => Stdio::inherit(),
            None => Stdio::null(),
        })
        .spawn()
        .unwrap()
}

async fn await_ready(control: &ControlClient) -> SocketAddr {
    for _ in 0..600 {
        if let Ok(status) = control.status().await {
            return status.listen;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("stoa-tunnel did not become ready; these tests need root");
}

/// A raw HTTP/1.1 connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub async fn open(address: SocketAddr, text: &str) -> std::io::Result<Self> {
        let mut connection = Self(BufReader::new(TcpStream::connect(address).await?));
        connection.write(text).await;
        Ok(connection)
    }

    pub async fn write(&mut self, text: &str) {
        // A refused request may be cut off while it is written.
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    pub async fn read_head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let reading = self.0.read_line(&mut head);
            let read = tokio::time::timeout(PATIENCE, reading).await.expect(&head).unwrap_or(0);
            if read == 0 {
                break;
            }
        }
        head
    }

    pub async fn read_exact(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        let reading = self.0.read_exact(&mut bytes);
        tokio::time::timeout(PATIENCE, reading).await.expect("bytes in time").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Head and body by Content-Length, else until the end.
    pub async fn read_answer(&mut self) -> String {
        let head = self.read_head().await;
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length: ").and_then(|length| length.trim().parse().ok())
        });
        match length {
            Some(length) => head + &self.read_exact(length).await,
            None => {
                let mut body = Vec::new();
                let reading = self.0.read_to_end(&mut body);
                let _ = tokio::time::timeout(PATIENCE, reading).await.expect("an end in time");
                head + &String::from_utf8_lossy(&body)
            }
        }
    }
}

pub fn request(method: &str, path: &str, host: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
}

pub fn one_route(generation: u64, host: &str, targets: &[&Target]) -> RouteTable {
    let route = Route {
        hosts: vec![host.into()],
        http: HttpOptions::default(),
        targets: targets.iter().map(|target| (*target).clone()).collect(),
    };
    RouteTable { generation, routes: vec![route], ..RouteTable::default() }
}

/// A network namespace with three addresses; stands in for a link
/// container's.
pub struct Namespace {
    name: String,
}

/// What a little server does.
#[derive(Clone, Copy)]
pub enum Reply {
    /// Sends the request's head back as the body.
    Echo,
    Name(&'static str),
    /// Answers requests on one connection after the other with its number.
    Connection,
    /// Says that it keeps the connection, and ends it with the next request.
    Fickle,
    Unavailable,
    /// Answers with this status.
    Status(u16),
    /// Answers with so many bytes of a header.
    BigHead(usize),
    /// Reads the head and ends the connection.
    HangUp,
    /// Reads the head, then nothing more, and never answers.
    Deaf,
    /// Reads and never answers.
    Silence,
    /// 101, then sends back what comes.
    Upgrade,
    /// Answers at once, then sends back the body's bytes as they come.
    EchoChunks,
}

/// What a little server without HTTP does.
#[derive(Clone, Copy)]
pub enum Speak {
    /// Sends back what comes.
    Echo,
    /// Sends the words and all that came, once the client has ended its half.
    AtTheEnd(&'static str),
    /// Sends the words, the sender's port, and what came.
    Source(&'static str),
    /// Sends back what comes where it is this, else nothing.
    OnlyTo(&'static [u8]),
}

impl Namespace {
    pub fn new() -> Self {
        let name = unique("stoatest");
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        for last in 1..=3 {
            namespace.ip(&["addr", "add", &format!("10.9.9.{last}/32"), "dev", "lo"]);
        }
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    fn ip(&self, arguments: &[&str]) {
        run("ip", &[&["-n", self.name.as_str()], arguments].concat());
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A target where nobody listens.
    pub fn nobody(&self, last: u8) -> Target {
        Target {
            instance: format!("lease/{}[{last}]", self.name),
            link: format!("{}-link", self.name),
            netns: self.path(),
            address: ([10, 9, 9, last], 8080).into(),
            hop: None,
        }
    }

    /// A server at 10.9.9.`last` inside the namespace.
    pub fn serve(&self, last: u8, reply: Reply) -> Target {
        self.serve_target(self.nobody(last), reply)
    }

    /// A server at 10.9.9.2 with a port of the test's choice.
    pub fn serve_at(&self, port: u16, reply: Reply) -> Target {
        let mut target = self.nobody(2);
        target.address.set_port(port);
        self.serve_target(target, reply)
    }

    fn serve_target(&self, target: Target, reply: Reply) -> Target {
        let (path, address) = (self.path(), target.address);
        let listener = inside(path, move || std::net::TcpListener::bind(address).unwrap());
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                let stream = BufReader::new(stream);
                match reply {
                    Reply::Connection => tokio::spawn(serve_many(stream, number, usize::MAX)),
                    Reply::Fickle => tokio::spawn(serve_many(stream, number, 1)),
                    _ => tokio::spawn(serve_one(stream, reply)),
                };
            }
        });
        target
    }
}

impl Namespace {
    /// A server at 10.9.9.`last`, port 8080, inside the namespace.
    pub fn speak(&self, last: u8, transport: Transport, speak: Speak) -> Target {
        let target = self.nobody(last);
        let (path, address) = (self.path(), target.address);
        match transport {
            Transport::Tcp => {
                let listener = inside(path, move || std::net::TcpListener::bind(address).unwrap());
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(speak_tcp(stream, speak));
                    }
                });
            }
            Transport::Udp => {
                let socket = inside(path, move || std::net::UdpSocket::bind(address).unwrap());
                socket.set_nonblocking(true).unwrap();
                let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
                tokio::spawn(speak_udp(socket, speak));
            }
        }
        target
    }
}

/// Runs on a thread of its own, which stays in the namespace for ever.
pub fn inside<T: Send + 'static>(path: PathBuf, make: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(move || {
        let file = std::fs::File::open(path).unwrap();
        setns(&file, CloneFlags::CLONE_NEWNET).expect("entering a namespace takes root");
        make()
    })
    .join()
    .unwrap()
}

async fn speak_tcp(mut stream: TcpStream, speak: Speak) -> std::io::Result<()> {
    if let Speak::AtTheEnd(words) = speak {
        let mut all = words.as_bytes().to_vec();
        stream.read_to_end(&mut all).await?;
        stream.write_all(&all).await?;
        return stream.shutdown().await;
    }
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn speak_udp(socket: tokio::net::UdpSocket, speak: Speak) {
    let mut buffer = vec![0; 65_535];
    while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
        let came = &buffer[..count];
        let answer = match speak {
            Speak::Source(words) => [format!("{words}:{}:", from.port()).as_bytes(), came].concat(),
            Speak::OnlyTo(words) if words != came => continue,
            _ => came.to_vec(),
        };
        let _ = socket.send_to(&answer, from).await;
    }
}

/// An interface without a wire, with an address of its own.
pub struct Dummy {
    name: String,
    last: u8,
}

impl Dummy {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sd{}x{number}", std::process::id() % 1_000_000);
        run("ip", &["link", "add", &name, "type", "bridge"]);
        // Of a net for documentation, and of this process's own numbers.
        let last = u8::try_from((std::process::id() + number) % 120).unwrap() * 2;
        let dummy = Self { name, last };
        run("ip", &["link", "set", &dummy.name, "up"]);
        let own = format!("{}/32", dummy.address(1));
        run("ip", &["addr", "add", &own, "dev", &dummy.name]);
        dummy
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn address(&self, step: u8) -> std::net::IpAddr {
        std::net::IpAddr::from([198, 51, 100, self.last + step])
    }

    /// One that the interface does not have yet.
    pub fn unique_address(&self) -> std::net::IpAddr {
        self.address(0)
    }

    pub fn has(&self, address: std::net::IpAddr) -> bool {
        run("ip", &["-o", "addr", "show", "dev", &self.name]).contains(&format!(" {address}/"))
    }
}

impl Drop for Dummy {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.name]).status();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Answers so many requests with the connection's number and ends with the next.
async fn serve_many(
    mut stream: BufReader<TcpStream>,
    number: usize,
    most: usize,
) -> std::io::Result<()> {
    let mut answered = 0;
    let mut head = String::new();
    while stream.read_line(&mut head).await? > 0 {
        if head.ends_with("\r\n\r\n") {
            if answered == most {
                return Ok(());
            }
            let body = format!("connection {number}");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await?;
            answered += 1;
            head.clear();
        }
    }
    Ok(())
}

async fn serve_one(mut stream: BufReader<TcpStream>, reply: Reply) -> std::io::Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let plain = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let answer = match reply {
        Reply::Echo => plain("200 OK", &head),
        Reply::Name(name) => plain("200 OK", name),
        Reply::Unavailable => plain("503 Service Unavailable", "not now"),
        Reply::Status(code) => plain(&format!("{code} As Told"), "as told"),
        Reply::BigHead(bytes) => {
            format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\nContent-Length: 0\r\n\r\n", "b".repeat(bytes))
        }
        Reply::HangUp | Reply::Connection | Reply::Fickle => return Ok(()),
        Reply::Deaf => std::future::pending().await,
        Reply::Silence => String::new(),
        Reply::Upgrade => {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                .into()
        }
        Reply::EchoChunks => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
    };
    stream.write_all(answer.as_bytes()).await?;
    let sends_back = matches!(reply, Reply::Upgrade | Reply::EchoChunks);
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if sends_back {
            stream.write_all(&buffer[..read]).await?;
        }
    }
}

/// A busybox web server and its link container on an internal network, as
/// the provider's runtime makes them.
pub struct Container {
    name: String,
    pub target: Target,
}

impl Container {
    pub fn start() -> Self {
        let name = unique("stoatunnel");
        let placeholder = Target {
            instance: format!("lease/{name}[0]"),
            link: format!("{name}-link"),
            netns: PathBuf::new(),
            address: ([10, 223, 255, 243], 8080).into(),
            hop: None,
        };
        // From here on a panic cleans up.
        let mut container = Self { name: name.clone(), target: placeholder };
        container.import_image();
        container.make_network();
        container.run_member("-link", 242, "exec sleep 600");
        let page = "mkdir /www; echo from the container > /www/index.html; ";
        container.run_member("", 243, &format!("{page} exec httpd -f -p 8080 -h /www"));
        let link = format!("{name}-link");
        let key = run("docker", &["inspect", "-f", "{{.NetworkSettings.SandboxKey}}", &link]);
        container.target.netns = key.into();
        container
    }

    /// Connections that its kernel has taken, and segments that came to it.
    pub fn tcp(&self) -> (u64, u64) {
        let read = ["exec", &self.name, "/bin/busybox", "cat", "/proc/net/snmp"];
        let text = run("docker", &read);
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let of = |wanted: &str| {
            let mut both = names.split(' ').zip(values.split(' '));
            both.find(|(name, _)| *name == wanted).unwrap().1.parse().unwrap()
        };
        (of("PassiveOpens"), of("InSegs"))
    }

    fn import_image(&self) {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        // `scripts/busybox.sh` prints one that suits.
        let busybox = std::env::var("BUSYBOX").unwrap_or_else(|_| "/bin/busybox".to_owned());
        std::fs::copy(busybox, bin.join("busybox"))
            .expect("BUSYBOX=$(scripts/busybox.sh) names a static busybox");
        for applet in ["sh", "sleep", "mkdir", "httpd"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        let tarball = root.path().join("image.tar");
        let (tarball, directory) = (tarball.to_str().unwrap(), root.path().to_str().unwrap());
        run("tar", &["-C", directory, "-cf", tarball, "bin"]);
        run("docker", &["import", tarball, &self.name]);
    }

    fn make_network(&self) {
        let options = [
            "--internal",
            "--subnet=10.223.255.240/28",
            "--opt=com.docker.network.bridge.inhibit_ipv4=true",
            self.name.as_str(),
        ];
        run("docker", &[&["network", "create"][..], &options].concat());
    }

    fn run_member(&self, suffix: &str, last: u8, script: &str) {
        let (name, ip) = (format!("{}{suffix}", self.name), format!("10.223.255.{last}"));
        let network = self.name.as_str();
        let options = ["run", "-d", "--name", &name, "--network", network, "--ip", &ip];
        run("docker", &[&options[..], &[network, "/bin/sh", "-c", script]].concat());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let link = format!("{}-link", self.name);
        for arguments in [
            &["rm", "-fv", &self.name, &link][..],
            &["network", "rm", &self.name],
            &["rmi", &self.name],
        ] {
            let _ = Command::new("docker").args(arguments).output();
        }
    }
}
