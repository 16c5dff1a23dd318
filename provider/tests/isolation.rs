//! Where a workload's packets go, and where they do not: real containers, and
//! a network namespace that plays the internet with all that a host may have
//! behind it. What must not be reached listens, is reached by an ordinary
//! container in the same place, and counts every packet that comes to it.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

// It has what the runtime's own tests need besides.
#[allow(dead_code)]
mod support;
#[path = "support/world.rs"]
#[allow(dead_code)]
mod world;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{setns, CloneFlags};
use stoa_provider::runtime::{
    Applied, Backend, DockerBackend, FirewallChoice, InstanceKey, ObservedInstance, WorkloadSpec,
};
use support::{docker, exec, exec_fails, Provider};
use world::{host, inside, World, BARRED};

fn egress(service: &str, image: &str, egress: bool) -> WorkloadSpec {
    let key = InstanceKey { lease: "out-lease".into(), service: service.into(), index: 0 };
    let mut spec = support::spec(key, image);
    spec.network.egress = egress;
    spec
}

/// In seconds, for a page that is to come, and for one that is not: whoever waits for the latter
/// waits to the end.
const COMES: u32 = 30;
const NONE_COMES: u32 = 3;

/// A shell line that prints each of the addresses of which it got a page in so many seconds.
fn pages_of(addresses: &[String], patience: u32) -> String {
    let quiet = patience - 1;
    let one = format!(
        "(printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout {patience} nc -w {quiet} $a $p | \
         grep -q hello && echo $a) &"
    );
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

async fn pid_of(backend: &DockerBackend, spec: &WorkloadSpec) -> i64 {
    let seen = backend.observe_instance(&spec.key).await.unwrap();
    seen.workload.unwrap().pid.unwrap()
}

/// Whether this host hears what a process' network sends to groups that it
/// has joined on the bridge with that address.
fn hears_groups(gateway: &str, pid: i64) -> bool {
    const GROUPS: [Ipv4Addr; 2] =
        [Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::new(239, 255, 255, 250)];
    let gateway: Ipv4Addr = gateway.parse().unwrap();
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    GROUPS.iter().for_each(|group| socket.join_multicast_v4(group, &gateway).unwrap());
    let port = socket.local_addr().unwrap().port();
    inside(pid, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for group in GROUPS {
            // A firewall that says so is as well as one that drops.
            let _ = socket.send_to(b"x", (group, port));
        }
    });
    // What is sent on this machine has arrived when the call returns.
    socket.set_nonblocking(true).unwrap();
    let heard = GROUPS.map(|_| socket.recv(&mut [0; 8]).is_ok());
    heard.contains(&true)
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
    assert_eq!(exec(workload, &pages_of(&texts(&[&public]), COMES)).trim(), public);
    let (_, before) = world.came();
    // The lookup itself is answered by nobody: it may be cut off before it asked.
    let asks = (0..30).any(|_| {
        exec(workload, &format!("timeout 1 nslookup example.com {public}; true"));
        world.came().1 > before
    });
    assert!(asks, "its datagrams arrive");

    // Nothing that is not public, by either.
    assert_eq!(exec(workload, &pages_of(&texts(&BARRED), NONE_COMES)), "");
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
    assert_eq!(exec(workload, &pages_of(&addresses, NONE_COMES)), "");
    listener.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "no connection may arrive at the host");
    assert!(datagrams.recv(&mut [0; 64]).is_err(), "no datagram may arrive at the host");
    exec_fails(workload, "busybox test -e /var/run/docker.sock");

    // Nor many at once.
    let pid = pid_of(backend, &spec).await;
    let gateway = support::interface_addresses(&names.egress_bridge).remove(0);
    assert!(!hears_groups(&gateway, pid), "no multicast may arrive at the host");

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
    assert_eq!(exec(workload, &pages_of(&texts(&BARRED), NONE_COMES)), "");
    host(&format!("ip address flush dev {}", names.egress_bridge));
    let none = exec(workload, &pages_of(&texts(&[&public]), NONE_COMES));
    assert_eq!(none, "", "no gateway, no way out");
    backend.mind_egress().await.unwrap();
    assert_eq!(exec(workload, &pages_of(&texts(&[&public]), COMES)).trim(), public);
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
    let line = pages_of(&texts(&BARRED), COMES);
    let run =
        ["run", "--rm", "--label", &label, "--network", &bridge, &image, "/bin/sh", "-c", &line];
    assert_eq!(docker(&run).lines().count(), BARRED.len());
    assert!(world.came().0 > 0);
    let run = ["run", "-d", "--label", &label, "--network", &bridge, &image];
    let ordinary = docker(&run);
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", ordinary.trim()]);
    let gateway = support::interface_addresses(&bridge).remove(0);
    assert!(hears_groups(&gateway, pid.trim().parse().unwrap()));

    // Without egress there is nothing, and no trace of what was.
    let shut = egress("out", &image, false);
    assert_eq!(backend.apply(&shut).await.unwrap(), Applied::Replaced);
    let (_, before) = world.came();
    let everything: Vec<String> = texts(&BARRED).into_iter().chain([public.clone()]).collect();
    assert_eq!(exec(workload, &pages_of(&everything, NONE_COMES)), "");
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
        let page = exec(&names.workload, &pages_of(&texts(&["db"]), COMES));
        assert_eq!(page.trim(), "db", "{service}");
        let asked: Vec<String> = asked.try_iter().collect();
        assert!(asked.contains(&"\u{2}db".to_string()), "{asked:?}");
        for other in [&neighbour.workload, &neighbour.link, "neighbour", "example.com"] {
            exec_fails(&names.workload, &format!("nslookup {other}"));
        }
        let settings = exec(&names.workload, "cat /etc/resolv.conf");
        assert!(!settings.lines().any(|line| line.starts_with("search ")), "{settings}");
    }
}
