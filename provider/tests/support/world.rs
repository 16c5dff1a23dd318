//! A network namespace that plays the internet, with all that a host may have
//! behind it: what must not be reached listens there, and counts every packet
//! that comes to it.

use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{setns, CloneFlags};

/// Addresses that the world has besides its public one: metadata services,
/// private networks, everything that is not the public internet.
pub const BARRED: [&str; 8] = [
    "169.254.169.254",
    "168.63.129.16",
    "10.77.0.7",
    "172.30.0.7",
    "192.168.77.7",
    "100.64.0.7",
    "198.18.0.7",
    "203.0.113.7",
];

/// Runs a program of the host's; its failure is the test's.
pub fn host(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// How long its web server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of the page `/large`.
pub const LARGE_BYTES: u64 = 64 << 20;

/// A network namespace at the other end of a link of the host's, with web
/// servers at all its addresses.
pub struct World {
    pub name: String,
    /// A number of a routing table that is this world's.
    pub table: u32,
    /// Its public address, and the host's on the link.
    pub public: Ipv4Addr,
    pub hosts: Ipv4Addr,
    server: Option<Child>,
    /// What the server shows.
    pages: tempfile::TempDir,
}

impl World {
    pub fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() % 8192 * 8 + NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("iso{number}");
        // A public network that nothing of this machine's is in.
        let [high, low] = [(number >> 8) as u8, number as u8 & 0xfc];
        let base = Ipv4Addr::new(8, 144 + (number & 3) as u8, high, low);
        let at = |offset: u32| Ipv4Addr::from(u32::from(base) + offset);
        let (hosts, public) = (at(1), at(2));
        let table = 40_000 + number;
        let pages = tempfile::tempdir().unwrap();
        std::fs::write(pages.path().join("index.html"), "hello from outside\n").unwrap();
        std::fs::File::create(pages.path().join("large")).unwrap().set_len(LARGE_BYTES).unwrap();
        // It clears up also after what fails below.
        let mut world = Self { name, table, public, hosts, server: None, pages };
        let Self { name, .. } = &world;
        host(&format!("ip netns add {name}"));
        host(&format!("ip link add {name} type veth peer name eth0 netns {name}"));
        host(&format!("ip address add {hosts}/30 dev {name}"));
        host(&format!("ip link set {name} up"));
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0").unwrap();
        let inside = |line: &str| host(&format!("ip -n {name} {line}"));
        inside("link set lo up");
        inside("link set eth0 up");
        inside(&format!("address add {public}/30 dev eth0"));
        inside(&format!("route add default via {hosts}"));
        for address in BARRED {
            inside(&format!("address add {address}/32 dev lo"));
            host(&format!("ip route add {address}/32 via {public} dev {name} table {table}"));
        }
        let mut counters = Command::new("ip")
            .args(["netns", "exec", name, "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let rules = format!(
            "table ip world {{ counter strays {{\n}}\ncounter guests {{\n}}\n\
             chain in {{ type filter hook prerouting priority -300; iifname != \"eth0\" accept\n\
             ip daddr {public} counter name guests accept\ncounter name strays\n}}\n}}\n"
        );
        std::io::Write::write_all(counters.stdin.as_mut().unwrap(), rules.as_bytes()).unwrap();
        drop(counters.stdin.take());
        assert!(counters.wait().unwrap().success());
        let busybox = std::env::var("BUSYBOX").unwrap_or_else(|_| "/bin/busybox".into());
        let server = Command::new("ip")
            .args(["netns", "exec", name, &busybox, "httpd", "-f", "-p", "80", "-h"])
            .arg(world.pages.path())
            .spawn()
            .unwrap();
        world.server = Some(server);
        world.await_server();
        world
    }

    fn await_server(&self) {
        let (page, begun) = ((self.public, 80).into(), Instant::now());
        while let Err(error) = TcpStream::connect_timeout(&page, Duration::from_secs(1)) {
            assert!(begun.elapsed() < PATIENCE, "the world's web server: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// From now on what comes out of this bridge finds the barred addresses
    /// here. The rest of the machine does not.
    pub fn is_behind(&self, bridge: &str) {
        host(&format!("ip rule add iif {bridge} lookup {}", self.table));
    }

    /// Packets that came to the barred addresses, and to the public one.
    pub fn came(&self) -> (u64, u64) {
        let listed = host(&format!("ip netns exec {} nft list counters", self.name));
        let packets = |name: &str| -> u64 {
            let after = listed.split_once(&format!("counter {name} ")).unwrap().1;
            let after = after.split_once("packets ").unwrap().1;
            after.split_whitespace().next().unwrap().parse().unwrap()
        };
        (packets("strays"), packets("guests"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        let quietly = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let _ = Command::new("ip").args(words).stderr(Stdio::null()).status();
        };
        let rules = host("ip rule show");
        let lookup = format!("lookup {}", self.table);
        rules
            .lines()
            .filter(|rule| rule.trim_end().ends_with(&lookup))
            .for_each(|_| quietly(&format!("rule del {lookup}")));
        quietly(&format!("route flush table {}", self.table));
        quietly(&format!("link del {}", self.name));
        quietly(&format!("netns del {}", self.name));
    }
}

/// Does something inside a process' network namespace, as what runs there
/// could.
pub fn inside<T: Send + 'static>(pid: i64, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let thread = std::thread::spawn(move || {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}
