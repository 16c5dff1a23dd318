//! Where a workload's packets go, and where they do not: real containers, and
//! a network namespace that plays the internet with all that a host may have
//! behind it. What must not be reached listens, is reached by an ordinary
//! container in the same place, and counts every packet that comes to it.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{setns, CloneFlags};
use stoa_provider::runtime::{
    Applied, Backend, DockerBackend, FirewallChoice, InstanceKey, ObservedInstance, WorkloadSpec,
};
use support::{docker, exec, exec_fails, Provider};

/// Addresses that the world has besides its public one: metadata services,
/// private networks, everything that is not the public internet.
const BARRED: [&str; 8] = [
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
fn host(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A network namespace at the other end of a link of the host's, with web
/// servers at all its addresses.
struct World {
    name: String,
    /// A number of a routing table that is this world's.
    table: u32,
    /// Its public address, and the host's on the link.
    public: Ipv4Addr,
    hosts: Ipv4Addr,
    server: Option<Child>,
    /// What the server shows.
    pages: tempfile::TempDir,
}

impl World {
    fn make() -> Self {
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
        world
    }

    /// From now on what comes out of this bridge finds the barred addresses
    /// here. The rest of the machine does not.
    fn is_behind(&self, bridge: &str) {
        host(&format!("ip rule add iif {bridge} lookup {}", self.table));
    }

    /// Packets that came to the barred addresses, and to the public one.
    fn came(&self) -> (u64, u64) {
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

fn egress(service: &str, image: &str, egress: bool) -> WorkloadSpec {
    let key = InstanceKey { lease: "out-lease".into(), service: service.into(), index: 0 };
    let mut spec = support::spec(key, image);
    spec.network.egress = egress;
    spec
}

/// A shell line that prints each of the addresses of which it got a page.
fn pages_of(addresses: &[String]) -> String {
    let one = "(printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 3 nc -w 2 $a $p | grep -q hello && \
               echo $a) &";
    let all: Vec<String> = addresses.iter().map(|a| a.replace(':', " ")).collect();
    let all: Vec<String> =
        all.iter().map(|pair| format!("set -- {pair}; a=$1 p=${{2:-80}}; {one}")).collect();
    format!("{} wait", all.join(" "))
}

fn texts(addresses: &[&str]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// Sets the programs' rules of a provider aside, as a flush would.
fn flush(choice: FirewallChoice, provider: &Provider) {
    let owner = provider.backend.names().provider_short();
    match choice {
        FirewallChoice::Iptables => {
            host(&format!("iptables -w -t mangle -F STOA-{owner}-FROM"));
            host(&format!("iptables -w -t nat -F STOA-{owner}-NAT"));
        }
        _ => {
            host(&format!("nft delete table inet stoa_{owner}"));
        }
    }
}

async fn leads_to_the_public_internet_alone(name: &str, choice: FirewallChoice) {
    let provider = Provider::start_with(name, |config| config.firewall = Some(choice)).await;
    let image = provider.busybox().await.id;
    let backend = &provider.backend;
    let spec = egress("out", &image, true);
    let neighbour = egress("neighbour", &image, true);
    for spec in [&spec, &neighbour] {
        assert_eq!(backend.apply(spec).await.unwrap(), Applied::Created);
        assert_eq!(backend.apply(spec).await.unwrap(), Applied::Unchanged);
    }
    let names = backend.names().instance(&spec.key);
    let workload = names.workload.as_str();
    let world = World::make();
    world.is_behind(&names.egress_bridge);
    let public = world.public.to_string();

    // The public internet, by TCP and UDP.
    assert_eq!(exec(workload, &pages_of(&texts(&[&public]))).trim(), public);
    let (_, before) = world.came();
    exec(workload, &format!("timeout 1 nslookup example.com {public}; true"));
    assert!(world.came().1 > before, "its datagrams arrive");

    // Nothing that is not public, by either.
    assert_eq!(exec(workload, &pages_of(&texts(&BARRED))), "");
    let lookups: Vec<String> =
        BARRED.iter().map(|a| format!("timeout 1 nslookup example.com {a} &")).collect();
    exec(workload, &format!("{} wait", lookups.join(" ")));

    // Neither this host, by any address, nor the neighbour, by either network.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let datagrams = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = backend.observe_instance(&neighbour.key).await.unwrap();
    let (own, out) = (seen.network.unwrap(), seen.egress.unwrap());
    let mut addresses: Vec<String> = support::host_addresses();
    assert!(addresses.contains(&world.hosts.to_string()), "its public address is among them");
    addresses.iter_mut().for_each(|address| *address = format!("{address}:{port}"));
    for address in [own.workload_address, out.workload_address, own.link_address] {
        addresses.push(format!("{}:8080", address.unwrap()));
    }
    assert_eq!(exec(workload, &pages_of(&addresses)), "");
    listener.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "no connection may arrive at the host");
    assert!(datagrams.recv(&mut [0; 64]).is_err(), "no datagram may arrive at the host");
    exec_fails(workload, "busybox test -e /var/run/docker.sock");

    // It can forge nothing, and has no IPv6.
    exec_fails(workload, "busybox arping -c 1 -w 1 -I eth0 10.224.0.1");
    exec_fails(workload, "busybox ip address add 10.224.0.9/32 dev eth0");
    assert!(!exec(workload, "cat /proc/net/if_inet6").contains("eth"));

    // Nobody comes in.
    let address = backend.observe_instance(&spec.key).await.unwrap().egress.unwrap();
    let address = address.workload_address.unwrap();
    let busybox = std::env::var("BUSYBOX").unwrap_or_else(|_| "/bin/busybox".into());
    let knock = format!("ip netns exec {} {busybox} nc -w 1 {address} 8080", world.name);
    let words: Vec<&str> = knock.split_whitespace().collect();
    let knocked = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    assert!(!knocked.status.success(), "{knocked:?}");

    // Rules that somebody took away come back, and a gateway that a restart
    // took away opens behind them.
    flush(choice, &provider);
    backend.mind_egress().await.unwrap();
    assert_eq!(exec(workload, &pages_of(&texts(&BARRED))), "");
    host(&format!("ip address flush dev {}", names.egress_bridge));
    assert_eq!(exec(workload, &pages_of(&texts(&[&public]))), "", "no gateway, no way out");
    backend.mind_egress().await.unwrap();
    assert_eq!(exec(workload, &pages_of(&texts(&[&public]))).trim(), public);
    assert_eq!(world.came().0, 0, "packets came where none may");

    // An ordinary container in the same place reaches all of it.
    let bridge = format!("xi{}", world.table);
    let label = format!("stoa.provider={}", provider.id);
    docker(&[
        "network",
        "create",
        "--label",
        &label,
        "-o",
        &format!("com.docker.network.bridge.name={bridge}"),
        &bridge,
    ]);
    world.is_behind(&bridge);
    let line = pages_of(&texts(&BARRED));
    let run =
        ["run", "--rm", "--label", &label, "--network", &bridge, &image, "/bin/sh", "-c", &line];
    assert_eq!(docker(&run).lines().count(), BARRED.len());
    assert!(world.came().0 > 0);

    // Without egress there is nothing, and no trace of what was.
    let shut = egress("out", &image, false);
    assert_eq!(backend.apply(&shut).await.unwrap(), Applied::Replaced);
    let (_, before) = world.came();
    let everything: Vec<String> = texts(&BARRED).into_iter().chain([public.clone()]).collect();
    assert_eq!(exec(workload, &pages_of(&everything)), "");
    assert_eq!(world.came().1, before);
    let seen = backend.observe_instance(&shut.key).await.unwrap();
    assert!(seen.egress.is_none() && seen.network.is_some());
    let bridges = host("ip -br link show type bridge");
    assert!(!bridges.contains(&names.egress_bridge), "{bridges}");

    backend.remove_lease("out-lease").await.unwrap();
    let bridges = host("ip -br link show type bridge");
    assert!(!bridges.contains(&backend.names().egress_bridges()), "{bridges}");
    backend.purge().await.unwrap();
    let owner = backend.names().provider_short();
    let rules = [host("nft list tables"), host("iptables-save -t mangle")].concat();
    assert!(!rules.contains(owner), "{rules}");
}

#[tokio::test]
async fn egress_leads_to_the_public_internet_alone_by_nft() {
    leads_to_the_public_internet_alone("egress-nft", FirewallChoice::Nft).await;
}

#[tokio::test]
async fn egress_leads_to_the_public_internet_alone_by_iptables() {
    leads_to_the_public_internet_alone("egress-ipt", FirewallChoice::Iptables).await;
}

/// Answers at the link's address, from inside its namespace, as the data plane
/// does: `db` with a virtual address, nothing else.
fn answer_names(instance: &ObservedInstance) -> (Ipv4Addr, std::sync::mpsc::Receiver<String>) {
    let netns: PathBuf = instance.link.as_ref().unwrap().netns.clone().unwrap();
    let network = instance.network.clone().unwrap();
    let answer = network.virtual_addresses[0];
    let (sender, receiver) = std::sync::mpsc::channel();
    let (ready, bound) = std::sync::mpsc::channel();
    let link = SocketAddr::new(IpAddr::V4(network.link_address.unwrap()), 53);
    let workload = IpAddr::V4(network.workload_address.unwrap());
    std::thread::spawn(move || {
        let file = std::fs::File::open(netns).unwrap();
        setns(file.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        let socket = UdpSocket::bind(link).unwrap();
        ready.send(()).unwrap();
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let asked = &buffer[..length];
            let end = 12 + asked[12..].iter().position(|b| *b == 0).unwrap();
            let name = String::from_utf8_lossy(&asked[12..end]).into_owned();
            assert_eq!(from.ip(), workload, "the workload itself asks");
            let known = name == "\u{2}db";
            let mut reply = asked[..end + 5].to_vec();
            let code = if known { 0x80 } else { 0x83 };
            reply[2..12].copy_from_slice(&[0x81, code, 0, 1, 0, 0, 0, 0, 0, 0]);
            const A: u8 = 1;
            if known && asked[end + 2] == A {
                reply[7] = 1;
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
                reply.extend(answer.octets());
            }
            socket.send_to(&reply, from).unwrap();
            if sender.send(name).is_err() {
                return;
            }
        }
    });
    bound.recv_timeout(Duration::from_secs(10)).unwrap();
    (answer, receiver)
}

/// A server at a virtual address in the link's namespace.
fn serve_at(instance: &ObservedInstance, address: Ipv4Addr) {
    let netns = instance.link.as_ref().unwrap().netns.clone().unwrap().display().to_string();
    host(&format!("nsenter --net={netns} ip address add {address}/28 dev eth0"));
    let (ready, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let file = std::fs::File::open(netns).unwrap();
        setns(file.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        let listener = TcpListener::bind((address, 80)).unwrap();
        ready.send(()).unwrap();
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Read::read(&mut stream, &mut [0; 512]);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.0 200 OK\r\n\r\nhello\n");
        }
    });
    bound.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[tokio::test]
async fn names_are_looked_up_at_the_link_and_lead_to_its_virtual_addresses() {
    let provider = Provider::start("names").await;
    let image = provider.busybox().await.id;
    let backend: &DockerBackend = &provider.backend;
    let neighbour = egress("neighbour", &image, false);
    backend.apply(&neighbour).await.unwrap();
    let neighbour = backend.names().instance(&neighbour.key);
    for (service, reaches_out) in [("shut", false), ("open", true)] {
        let spec = egress(service, &image, reaches_out);
        backend.apply(&spec).await.unwrap();
        let names = backend.names().instance(&spec.key);
        let seen = backend.observe_instance(&spec.key).await.unwrap();
        let (address, asked) = answer_names(&seen);
        serve_at(&seen, address);

        let found = exec(&names.workload, "nslookup db");
        assert!(found.contains(&address.to_string()), "{found}");
        assert_eq!(exec(&names.workload, &pages_of(&texts(&["db"]))).trim(), "db", "{service}");
        let asked: Vec<String> = asked.try_iter().collect();
        assert!(asked.contains(&"\u{2}db".to_string()), "{asked:?}");
        for other in [&neighbour.workload, &neighbour.link, "neighbour", "example.com"] {
            exec_fails(&names.workload, &format!("nslookup {other}"));
        }
        let settings = exec(&names.workload, "cat /etc/resolv.conf");
        assert!(!settings.lines().any(|line| line.starts_with("search ")), "{settings}");
    }
}
