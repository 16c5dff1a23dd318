//! Two data planes with tunnels between them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use stoa_tunnel::overlay::{
    tunnel_name, Backend, Connection, Link, Name, OverlayTable, PeerRoot, Port, Served, TunnelId,
};
use stoa_tunnel::routes::{RouteTable, Target, Transport};
use stoa_tunnel::ControlClient;

use crate::measured::memory_kib;
use crate::root::Root;
use crate::world::{Running, World, ECHO, LINK, SINK, VIRTUAL, WORKLOAD};

const TUNNEL_PORT: u16 = 18_444;
const IDLE_TUNNELS: usize = 1_000;
/// Workloads whose links are bound anew.
const LINKS: usize = 100;

/// Two data planes with a tunnel for each of the server's ports.
pub struct Planes {
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
    pub fn start(world: &World) -> Result<Self> {
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

    pub fn pids(&self) -> Vec<u32> {
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
            self.tunnel(&descriptor, port.unwrap_or(ECHO), world, &mut a, &mut b)?;
            if let Some(port) = port {
                let transport = Transport::Tcp;
                let connection = descriptor;
                ports.push(Port { address: VIRTUAL.into(), port, transport, connection });
            }
        }
        for (number, netns) in world.links().into_iter().enumerate() {
            a.links.push(link(number, netns, ports.clone()));
        }
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

    /// One tunnel at both ends, to a port of the server's.
    fn tunnel(
        &self,
        descriptor: &str,
        port: u16,
        world: &World,
        a: &mut OverlayTable,
        b: &mut OverlayTable,
    ) -> Result<()> {
        let id = |root: &Root| TunnelId {
            descriptor: descriptor.into(),
            peer_roots: vec![PeerRoot(root.der.clone())],
        };
        let name = tunnel_name(descriptor);
        a.credentials.push(self.root_a.issue(descriptor, &name)?);
        b.credentials.push(self.root_b.issue(descriptor, &name)?);
        let backend = Backend {
            tunnel: id(&self.root_b),
            endpoints: vec![format!("127.0.0.1:{TUNNEL_PORT}")],
            credential: descriptor.into(),
        };
        a.outgoing.push(Connection { id: descriptor.into(), backends: vec![backend] });
        let target = Target {
            instance: "bench/server[0]".into(),
            link: "bench".into(),
            netns: world.netns(),
            address: (WORKLOAD, port).into(),
            hop: None,
        };
        b.incoming.push(Served {
            tunnel: id(&self.root_a),
            transport: Transport::Tcp,
            credential: descriptor.into(),
            targets: vec![target],
        });
        Ok(())
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
    pub fn idle_memory(&self, world: &World) -> Result<f64> {
        let memory = || self.pids().into_iter().map(memory_kib).sum::<f64>();
        self.push(world, 2, 10)?;
        std::thread::sleep(Duration::from_secs(2));
        let before = memory();
        self.push(world, 3, 10 + IDLE_TUNNELS)?;
        std::thread::sleep(Duration::from_secs(3));
        Ok((memory() - before) / IDLE_TUNNELS as f64 / 2.0)
    }

    /// Kills both data planes while they hold many links and the idle tunnels,
    /// and starts them anew: until all links are bound, and until a workload's
    /// connection is answered.
    pub fn restart(&mut self, world: &mut World) -> Result<(Duration, Duration)> {
        world.add_links(LINKS)?;
        self.push(world, 4, IDLE_TUNNELS)?;
        for plane in [&mut self.a, &mut self.b] {
            plane.process.end();
        }
        let begin = Instant::now();
        let directory = world.directory.path();
        self.a = Plane::start(directory, "a")?;
        self.b = Plane::start(directory, "b")?;
        let bound = self.runtime.block_on(self.bound())?;
        let bound = bound.duration_since(begin);
        // As a client: in the namespace, where data planes must not start.
        let answered = std::thread::scope(|scope| scope.spawn(|| first_answer(world)).join());
        let answered = answered.map_err(|_| anyhow::anyhow!("asking panicked"))??;
        Ok((bound, answered.duration_since(begin)))
    }

    async fn bound(&self) -> Result<Instant> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(status) = self.a.control.status().await {
                let bound = status.links.iter().all(|link| link.bound == link.wanted);
                if bound && status.links.len() == LINKS + 1 {
                    return Ok(Instant::now());
                }
            }
            ensure!(Instant::now() < until, "not all links are bound again");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn first_answer(world: &World) -> Result<Instant> {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_answered(world) {
        ensure!(Instant::now() < until, "no answer after the restart");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(Instant::now())
}

fn is_answered(world: &World) -> bool {
    let Ok(mut stream) = world.connect((VIRTUAL, ECHO).into()) else { return false };
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

fn link(number: usize, netns: PathBuf, ports: Vec<Port>) -> Link {
    Link {
        instance: format!("bench/client[{number}]"),
        link: format!("bench{number}"),
        netns,
        prefix: 32,
        dns: (LINK, 53).into(),
        egress: false,
        search: vec![],
        names: vec![Name { name: "server".into(), address: VIRTUAL.into() }],
        ports,
    }
}
