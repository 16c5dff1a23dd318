//! Hosts in network namespaces, each behind a link of the same rate in both
//! directions, on one switch.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{ensure, Context, Result};
use nix::sched::{setns, CloneFlags};

/// Where peers listen.
pub const PORT: u16 = 7000;

/// The namespaces. Gone when dropped.
pub struct World {
    prefix: String,
    hosts: usize,
}

impl World {
    /// So many hosts; the rate in bits a second. Needs root.
    pub fn new(hosts: usize, rate: u64) -> Result<Self> {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let world = Self { prefix: format!("stoasw{}-{number}-", std::process::id()), hosts };
        ip(&["netns", "add", &world.switch()])?;
        let switch = world.switch();
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "switch", "up"])?;
        for host in 0..hosts {
            world.connect(host, rate)?;
        }
        Ok(world)
    }

    fn connect(&self, host: usize, rate: u64) -> Result<()> {
        let (switch, name, port) = (self.switch(), self.name(host), format!("port{host}"));
        ip(&["netns", "add", &name])?;
        ip(&[
            "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "uplink", "netns",
            &name,
        ])?;
        ip(&["-n", &switch, "link", "set", &port, "master", "switch", "up"])?;
        let address = format!("{}/24", Self::address(host).ip());
        ip(&["-n", &name, "addr", "add", &address, "dev", "uplink"])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        ip(&["-n", &name, "link", "set", "uplink", "up"])?;
        limit(&name, "uplink", rate)?;
        limit(&switch, &port, rate)
    }

    fn switch(&self) -> String {
        format!("{}s", self.prefix)
    }

    /// Of a host's namespace, as `ip netns` knows it.
    pub fn name(&self, host: usize) -> String {
        format!("{}{host}", self.prefix)
    }

    pub fn address(host: usize) -> SocketAddr {
        let last = u8::try_from(host + 1).unwrap_or(u8::MAX);
        SocketAddr::from((Ipv4Addr::new(10, 99, 0, last), PORT))
    }

    /// Puts the calling thread into a host's namespace, for ever.
    pub fn enter(&self, host: usize) -> Result<()> {
        let path = format!("/run/netns/{}", self.name(host));
        let file = File::open(&path).with_context(|| path)?;
        Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
    }

    /// A program inside a host's namespace.
    pub fn command(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(host), program]);
        command
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            let _ = ip(&["netns", "del", &self.name(host)]);
        }
        let _ = ip(&["netns", "del", &self.switch()]);
    }
}

fn limit(namespace: &str, device: &str, rate: u64) -> Result<()> {
    let rate = format!("{rate}bit");
    let bucket = ["root", "tbf", "rate", &rate, "burst", "32kb", "latency", "50ms"];
    run("tc", &[&["-n", namespace, "qdisc", "add", "dev", device][..], &bucket].concat())
}

fn ip(arguments: &[&str]) -> Result<()> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("`{program}` (iproute2)"))?;
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    Ok(())
}
