//! A namespace with a server in it, and its clients.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use nix::sched::{setns, CloneFlags};

pub const LINK: [u8; 4] = [10, 88, 0, 2];
pub const WORKLOAD: [u8; 4] = [10, 88, 0, 3];
pub const VIRTUAL: [u8; 4] = [10, 88, 0, 5];
/// What the server does is told by its port.
pub const SINK: u16 = 8080;
pub const ECHO: u16 = 8081;
pub const PIECE: usize = 128 << 10;

/// A namespace with a server in it, and its clients.
pub struct World {
    name: String,
    more: usize,
    pub taken: Arc<AtomicU64>,
    pub directory: tempfile::TempDir,
}

impl World {
    pub fn new() -> Result<Self> {
        let name = format!("stoabench{}", std::process::id());
        run("ip", &["netns", "add", &name])?;
        let world = Self { name, more: 0, taken: Arc::default(), directory: tempfile::tempdir()? };
        lay_out(&world.name)?;
        run("ip", &["-n", &world.name, "addr", "add", "10.88.0.3/32", "dev", "lo"])?;
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

    pub fn netns(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Namespaces of links: the one that is measured, and those of
    /// [`Self::add_links`].
    pub fn links(&self) -> Vec<PathBuf> {
        let more =
            (1..=self.more).map(|number| PathBuf::from("/run/netns").join(self.link(number)));
        std::iter::once(self.netns()).chain(more).collect()
    }

    /// So many more, in which nothing happens.
    pub fn add_links(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let name = self.link(self.more + 1);
            run("ip", &["netns", "add", &name])?;
            self.more += 1;
            lay_out(&name)?;
        }
        Ok(())
    }

    fn link(&self, number: usize) -> String {
        format!("{}l{number}", self.name)
    }

    pub fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
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
        for number in 1..=self.more {
            let _ = run("ip", &["netns", "del", &self.link(number)]);
        }
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

fn lay_out(netns: &str) -> Result<()> {
    run("ip", &["-n", netns, "link", "set", "lo", "up"])?;
    run("ip", &["-n", netns, "addr", "add", "10.88.0.2/32", "dev", "lo"])
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

/// A process that ends with this.
pub struct Running(pub Child);

impl Running {
    /// Kills it and waits for its end.
    pub fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
