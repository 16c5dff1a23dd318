//! The data plane's ingress, beside the same server asked directly.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use nix::sched::{setns, CloneFlags};
use stoa_tunnel::netns::Dialer;
use stoa_tunnel::routes::{HttpOptions, Route, RouteTable, Target};
use stoa_tunnel::{Config, ControlClient, ForwardLimits, IngressLimits};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::report::{Better, Report};
use crate::timing::{millis, per_second};

/// Connections at a time, each with one request after the other.
const CLIENTS: usize = 16;
/// How long each way is measured, and how long before it is left out.
const LASTS: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
const HOST: &str = "bench.example";
const SERVER: ([u8; 4], u16) = ([10, 9, 9, 1], 8080);
const BODY: &str = "hello, world\n";
const DIAL: Duration = Duration::from_secs(5);

/// Requests a second through the ingress and without it, and what it adds to a request, of small
/// answers over kept connections.
pub fn ingress(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let world = World::start().await?;
        let direct = world.measure(Way::Direct).await?;
        let through = world.measure(Way::Through).await?;
        let rate = |name, value| (name, value, "requests/s");
        for (name, value, unit) in [
            rate("tunnel.ingress_direct", direct.rate()),
            rate("tunnel.ingress_rate", through.rate()),
            ("tunnel.ingress_ratio", through.rate() / direct.rate(), "of direct"),
        ] {
            report.add(name, value, unit, None, Better::Higher);
        }
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let added = millis(through.at(part).saturating_sub(direct.at(part)));
            report.add(&format!("tunnel.ingress_{name}_added"), added, "ms", None, Better::Lower);
        }
        Ok(())
    })
}

/// How the server is asked.
#[derive(Clone, Copy)]
enum Way {
    Direct,
    Through,
}

/// A namespace with a server in it, and a data plane that leads there.
struct World {
    namespace: String,
    dialer: Dialer,
    plane: SocketAddr,
    /// The data plane ends with it.
    _ending: watch::Sender<bool>,
    _state: tempfile::TempDir,
}

/// How long each request took, in order.
struct Times {
    sorted: Vec<Duration>,
}

impl Times {
    fn rate(&self) -> f64 {
        per_second(self.sorted.len(), LASTS)
    }

    fn at(&self, part: f64) -> Duration {
        let index = (self.sorted.len() as f64 * part) as usize;
        self.sorted.get(index).copied().unwrap_or_default()
    }
}

impl World {
    async fn start() -> Result<Self> {
        let namespace = format!("stoabench{}", std::process::id());
        ip(&["netns", "add", &namespace])?;
        let (state, dialer) = (tempfile::tempdir()?, Dialer::start()?);
        let control = ControlClient::new(state.path().join("control.sock"));
        let (ending, ends) = watch::channel(false);
        let mut world = Self {
            namespace,
            dialer,
            plane: SocketAddr::from(([0; 4], 0)),
            _ending: ending,
            _state: state,
        };
        world.serve()?;
        let config = Config {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            control: control.socket().into(),
            state: world._state.path().join("state"),
            limits: IngressLimits::default(),
            forward_limits: ForwardLimits::default(),
        };
        tokio::spawn(stoa_tunnel::run(config, ends));
        world.plane = world.route(&control).await?;
        Ok(world)
    }

    fn netns(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.namespace)
    }

    /// Lays addresses out and answers there.
    fn serve(&self) -> Result<()> {
        let address = SocketAddr::from(SERVER);
        let inside =
            |arguments: &[&str]| ip(&[&["-n", self.namespace.as_str()], arguments].concat());
        inside(&["addr", "add", &format!("{}/32", address.ip()), "dev", "lo"])?;
        inside(&["link", "set", "lo", "up"])?;
        let path = self.netns();
        // A thread of its own: it stays in the namespace for ever.
        let bound = std::thread::spawn(move || -> Result<std::net::TcpListener> {
            setns(std::fs::File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            Ok(std::net::TcpListener::bind(address)?)
        });
        let bound = bound.join().map_err(|_| anyhow::anyhow!("binding panicked"))??;
        bound.set_nonblocking(true)?;
        let listener = TcpListener::from_std(bound)?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        Ok(())
    }

    async fn route(&self, control: &ControlClient) -> Result<SocketAddr> {
        let target = Target {
            instance: "bench/web[0]".into(),
            link: String::new(),
            netns: self.netns(),
            address: SERVER.into(),
            hop: None,
        };
        let route =
            Route { hosts: vec![HOST.into()], http: HttpOptions::default(), targets: vec![target] };
        let table = RouteTable { generation: 1, routes: vec![route], ..RouteTable::default() };
        let until = Instant::now() + DIAL;
        while control.status().await.is_err() {
            ensure!(Instant::now() < until, "the data plane does not start; it needs root");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        control.set_routes(&table).await?;
        Ok(control.status().await?.listen)
    }

    async fn connect(&self, way: Way) -> Result<TcpStream> {
        Ok(match way {
            Way::Direct => self.dialer.connect(&self.netns(), SERVER.into(), DIAL).await?,
            Way::Through => {
                let stream = TcpStream::connect(self.plane).await?;
                stream.set_nodelay(true)?;
                stream
            }
        })
    }

    async fn measure(&self, way: Way) -> Result<Times> {
        let begin = Instant::now() + WARM_UP;
        let mut clients = vec![];
        for _ in 0..CLIENTS {
            let stream = self.connect(way).await?;
            clients.push(tokio::spawn(ask(stream, begin, begin + LASTS)));
        }
        let mut sorted = vec![];
        for client in clients {
            sorted.extend(client.await??);
        }
        ensure!(!sorted.is_empty(), "no request was answered");
        sorted.sort();
        Ok(Times { sorted })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.namespace]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("`ip` (iproute2)")?;
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "ip {}: {errors}", arguments.join(" "));
    Ok(())
}

/// Asks until the end; keeps the times of what began after the beginning.
async fn ask(stream: TcpStream, begin: Instant, end: Instant) -> Result<Vec<Duration>> {
    let mut stream = BufReader::new(stream);
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let mut times = vec![];
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(times);
        }
        stream.write_all(request.as_bytes()).await?;
        let head = read_head(&mut stream).await?;
        ensure!(head.starts_with("HTTP/1.1 200"), "answered {head}");
        let mut body = [0; BODY.len()];
        stream.read_exact(&mut body).await?;
        if start >= begin {
            times.push(start.elapsed());
        }
    }
}

async fn answer(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
    while !read_head(&mut stream).await?.is_empty() {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// A message's head; empty at the end.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(String::new());
        }
    }
    Ok(head)
}
