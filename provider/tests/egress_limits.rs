//! What a workload may take of the internet: so many connections at a time,
//! so many bytes a second each way. Real containers, and a network namespace
//! that plays the internet and counts what comes to it.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;
#[path = "support/world.rs"]
#[allow(dead_code)]
mod world;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use stoa_provider::runtime::{Backend, FirewallChoice};
use support::Provider;
use world::{inside, World};

const MEGABITS: u32 = 8;
const BYTES_PER_SECOND: f64 = MEGABITS as f64 * 125_000.0;
const CONNECTIONS: usize = 4;
/// A datagram's payload, and what IP and UDP add.
const DATAGRAM: usize = 1_200;
const HEADERS: usize = 28;
/// 12 MB: what would take 12 s.
const DATAGRAMS: usize = 10_000;
/// What is fetched, likewise for 4 s.
const FETCHED: u64 = 4_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a limit lets through in a time: a second's worth at once, then at its
/// rate; a tenth more for how kernels count.
fn most(elapsed: Duration) -> f64 {
    1.1 * BYTES_PER_SECOND * (elapsed.as_secs_f64() + 1.0)
}

/// Sends datagrams as fast as it goes.
fn flood(to: Ipv4Addr) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let datagram = [b'x'; DATAGRAM];
    for _ in 0..DATAGRAMS {
        // Refused where nobody listens there; it counts all the same.
        let _ = socket.send_to(&datagram, (to, 9));
    }
}

fn connect(to: Ipv4Addr) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::new(to.into(), 80), Duration::from_secs(2))
}

/// A connection as soon as there is room for one.
fn await_room(to: Ipv4Addr) -> TcpStream {
    let begun = Instant::now();
    loop {
        match connect(to) {
            Ok(stream) => return stream,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "no room: {error}"),
        }
    }
}

async fn hold(name: &str, choice: FirewallChoice) {
    let provider = Provider::start_with(name, |config| {
        config.firewall = Some(choice);
        config.egress.megabits = MEGABITS;
        config.egress.connections = u32::try_from(CONNECTIONS).unwrap();
    })
    .await;
    let image = provider.busybox().await;
    let mut spec = provider.spec("limits-lease", "out", &image);
    spec.network.egress = true;
    provider.backend.apply(&spec).await.unwrap();
    let names = provider.backend.names().instance(&spec.key);
    let world = World::make();
    world.is_behind(&names.egress_bridge);
    let public = world.public;
    let seen = provider.backend.observe_instance(&spec.key).await.unwrap();
    let pid = seen.workload.unwrap().pid.unwrap();

    // Connections at a time; one that ends makes room.
    let mut open = inside(pid, move || {
        let open: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(public).unwrap()).collect();
        assert!(connect(public).is_err(), "one too many");
        open
    });
    drop(open.pop());
    open.push(inside(pid, move || await_room(public)));
    assert!(inside(pid, move || connect(public)).is_err(), "and again one too many");
    drop(open);
    drop(inside(pid, move || await_room(public)));

    // Bytes from it. This host itself has no limit on the way there.
    let bytes_of = |datagrams: u64| datagrams as f64 * (DATAGRAM + HEADERS) as f64;
    let (_, before) = world.came();
    flood(public);
    let came = world.came().1 - before;
    assert!(bytes_of(came) > most(Duration::from_secs(3)), "without a limit: {came} datagrams");
    let (_, before) = world.came();
    let begun = Instant::now();
    inside(pid, move || flood(public));
    let elapsed = begun.elapsed();
    let came = world.came().1 - before;
    assert!(came > 0, "some arrives");
    assert!(bytes_of(came) <= most(elapsed), "{came} datagrams in {elapsed:?}");

    // And to it.
    let elapsed = inside(pid, move || {
        // The datagrams have taken what there was.
        let mut stream = await_room(public);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let begun = Instant::now();
        stream.write_all(b"GET /large HTTP/1.0\r\n\r\n").unwrap();
        let mut read = vec![];
        stream.take(FETCHED).read_to_end(&mut read).unwrap();
        assert_eq!(read.len() as u64, FETCHED);
        begun.elapsed()
    });
    assert!(FETCHED as f64 <= most(elapsed), "{FETCHED} bytes in {elapsed:?}");
    provider.backend.remove_lease("limits-lease").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_connections_and_bytes_hold_by_nft() {
    hold("limits-nft", FirewallChoice::Nft).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_connections_and_bytes_hold_by_iptables() {
    hold("limits-ipt", FirewallChoice::Iptables).await;
}
