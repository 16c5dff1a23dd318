//! Tunnels when things break: peers and instances die, packets are lost, the
//! wire is cut, a data plane is killed again and again. Needs root, `ip`, `tc`,
//! `nft` and `nsenter`.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use stoa_tunnel::overlay::{Backend, Served, TunnelState};
use stoa_tunnel::routes::RouteTable;
use support::overlay::{
    eventually, serve_tcp, serve_udp, tcp, udp, Declared, Site, World, VIRTUAL,
};
use support::DataPlane;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

const TUNNEL: &str = "web of 1 to api of 2 tcp 8080";
const SECOND: &str = "web of 1 to api of 3 tcp 8080";

const DATAGRAMS: &str = "web of 1 to api of 2 udp 5353";
const MORE_DATAGRAMS: &str = "web of 1 to api of 3 udp 5353";

/// A flow has moved by then: a peer is pinged every 20 s or so and has 10 s to
/// answer; a connection's own patience of 120 s would be too long.
const MOVED: Duration = Duration::from_secs(75);

/// How long the wire is cut.
const CUT: Duration = Duration::from_secs(30);

/// A's table with two leases of the service, both at B's host.
fn two_backends(world: &World, first: &Declared, second: &Declared) -> RouteTable {
    let mut table = world.table_a(std::slice::from_ref(first));
    let more = world.table_a(std::slice::from_ref(second)).overlay.unwrap();
    let overlay = table.overlay.as_mut().unwrap();
    overlay.credentials.extend(more.credentials);
    let second: Vec<Backend> = more.outgoing.into_iter().flat_map(|c| c.backends).collect();
    overlay.outgoing[0].backends.extend(second);
    // The second of the calls above took a later number.
    table.generation += 1;
    table
}

#[tokio::test]
async fn connections_are_spread_over_backends_and_instances_and_go_round_dead_ones() {
    let world = World::new().await;
    let (second, third) = (Site::new(), Site::new());
    let first = serve_tcp(&world.dialled, 8080, "1");
    serve_tcp(&second, 8080, "2");
    serve_tcp(&third, 8080, "3");
    let mut table = world.table_b(&[tcp(TUNNEL, 8080), tcp(SECOND, 8080)]);
    let incoming: &mut Vec<Served> = &mut table.overlay.as_mut().unwrap().incoming;
    incoming[0].targets.push(second.target(8080));
    incoming[1].targets = vec![third.target(8080)];
    world.plane_b.push(table.clone()).await;
    world.plane_a.push(two_backends(&world, &tcp(TUNNEL, 8080), &tcp(SECOND, 8080))).await;
    world.bound().await;
    let ask = || async { world.dialling.ask(8080, b"").await };
    let mut met = HashSet::new();
    for _ in 0..12 {
        met.insert(ask().await.unwrap());
    }
    assert_eq!(met.len(), 3, "{met:?}");
    // An instance dies: its namespace is gone, and no connection fails.
    drop(second);
    for _ in 0..8 {
        assert_ne!(ask().await.unwrap(), b"2");
    }
    // A lease closes at its provider, before this side knows.
    table.generation += 100;
    table.overlay.as_mut().unwrap().incoming.remove(0);
    world.plane_b.push(table).await;
    let reached = first.read();
    for _ in 0..8 {
        assert_eq!(ask().await.unwrap(), b"3");
    }
    assert_eq!(first.read(), reached);
    let status = World::tunnel(&world.plane_a, TUNNEL).await.unwrap();
    assert_eq!(status.state, TunnelState::Down, "{status:?}");
}

#[tokio::test]
async fn a_wire_that_loses_packets_or_is_cut_for_half_a_minute_loses_no_byte() {
    let world = World::new().await;
    let counts = serve_tcp(&world.dialled, 8080, "api:");
    world.declare(&[tcp(TUNNEL, 8080)]).await;
    world.a.lose(20);
    world.b.lose(20);
    let words: Vec<u8> = (0..2_000_000u32).map(|n| (n * 31 + n / 253) as u8).collect();
    let answer = world.dialling.ask(8080, &words).await.unwrap();
    assert!(answer[4..] == words[..], "all came back as it went");
    // What is lost after long silence is sent again after as long: twice that
    // is more than a test's patience.
    world.a.lose_none();
    world.b.lose_none();
    let slow = ["rate", "16mbit", "burst", "32k", "latency", "50ms"];
    world.a.tc(&[&["qdisc", "add", "dev", "eth0", "root", "tbf"][..], &slow].concat());
    // What was lost is sent again after a pause that has grown as long.
    let transfer = world.dialling.ask_for(CUT * 4, 8080, &words);
    let cut = async {
        let half = words.len() as u64 + 300_000;
        eventually("a part is there", || async { (counts.read().1 > half).then_some(()) }).await;
        world.a.ip(&["link", "set", "eth0", "down"]);
        tokio::time::sleep(CUT).await;
        world.a.ip(&["link", "set", "eth0", "up"]);
    };
    let (answer, ()) = tokio::join!(transfer, cut);
    assert!(answer.unwrap()[4..] == words[..], "all came back as it went");
    assert_eq!(world.dialling.ask_for(CUT, 8080, b"new").await.unwrap(), b"api:new");
}

/// Whoever is killed, a transfer is whole or told to have failed, and is with
/// the workload that it was meant for.
#[tokio::test]
async fn data_planes_that_are_killed_again_and_again_deliver_whole_or_not_at_all() {
    let mut world = World::new().await;
    let other = Site::new();
    let counts = serve_tcp(&world.dialled, 8080, "api:");
    let strangers = serve_tcp(&other, 8080, "other:");
    let mut declared = tcp(SECOND, 9090);
    declared.target = Some(other.target(8080));
    world.declare(&[tcp(TUNNEL, 8080), declared]).await;
    let words: Vec<u8> = (0..20_000_000u32).map(|n| (n * 13 + n / 241) as u8).collect();
    let (mut whole, mut broken) = (0, 0);
    for round in 0..6u64 {
        let dialling = &world.dialling;
        let words = words.as_slice();
        let transfers = async {
            let (mut whole, mut broken) = (0, 0);
            while whole < 2 {
                match dialling.ask(8080, words).await {
                    Ok(answer) => {
                        assert!(answer[..4] == *b"api:" && answer[4..] == *words, "whole, or told");
                        whole += 1;
                    }
                    Err(_) => {
                        broken += 1;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
            (whole, broken)
        };
        let plane = if round % 2 == 0 { &mut world.plane_a } else { &mut world.plane_b };
        // In the middle of a transfer, each time a bit later.
        let part = counts.read().1 + 1_000_000 * (round + 1);
        let killing = async {
            while counts.read().1 < part {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            plane.kill_and_restart().await;
        };
        let ((well, ill), ()) = tokio::join!(transfers, killing);
        (whole, broken) = (whole + well, broken + ill);
    }
    assert!(whole >= 12 && broken > 0, "{whole} whole, {broken} broken");
    assert_eq!(strangers.read(), (0, 0), "nothing came to a workload it was not meant for");
}

/// Once a killed data plane's connections ended as if all had been said: an
/// answer that was cut short looked whole.
#[tokio::test]
async fn a_killed_data_plane_breaks_its_connections_and_never_ends_them() {
    let mut world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api:");
    world.declare(&[tcp(TUNNEL, 8080)]).await;
    for is_dialling_side in [true, false] {
        eventually("it is served", || async { world.dialling.ask(8080, b"?").await.ok() }).await;
        let mut stream = world.dialling.connect(8080).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        // Nothing is left unread anywhere.
        stream.read_exact(&mut [0; 5]).await.unwrap();
        let plane = if is_dialling_side { &mut world.plane_a } else { &mut world.plane_b };
        plane.kill_and_restart().await;
        let end = stream.read(&mut [0]).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
}

/// What comes back to a datagram. All that one socket sends is one flow.
async fn heard(socket: &UdpSocket) -> Option<Vec<u8>> {
    socket.send_to(b"?", SocketAddr::from((VIRTUAL, 5353))).await.unwrap();
    let mut answer = vec![0; 100];
    let receiving = socket.recv_from(&mut answer);
    let (count, _) =
        tokio::time::timeout(Duration::from_millis(500), receiving).await.ok()?.ok()?;
    Some(answer[..count].to_vec())
}

/// Sends until exactly that comes back.
async fn comes_back(socket: &UdpSocket, expected: &[u8]) {
    let trying = eventually("the flow has moved", || async {
        heard(socket).await.filter(|answer| answer == expected)
    });
    let words = String::from_utf8_lossy(expected);
    tokio::time::timeout(MOVED, trying).await.unwrap_or_else(|_| panic!("never: {words}"));
}

#[tokio::test]
async fn a_udp_flow_follows_an_instance_that_is_replaced_and_a_link_that_restarts() {
    let mut world = World::new().await;
    let fresh = Site::new();
    serve_udp(&world.dialled, 5353, "old:");
    serve_udp(&fresh, 5353, "new:");
    let mut declared = udp(DATAGRAMS, 5353);
    world.declare(std::slice::from_ref(&declared)).await;
    let socket = world.dialling.udp();
    comes_back(&socket, b"old:?").await;
    // Its path stays, its namespace is another.
    world.dialled.restart_link();
    comes_back(&socket, b"old:?").await;
    // What the flow was bound to is there and would answer.
    declared.target = Some(fresh.target(5353));
    world.plane_b.push(world.table_b(&[declared])).await;
    comes_back(&socket, b"new:?").await;
}

#[tokio::test]
async fn a_udp_flow_leaves_a_dead_instance_and_a_backend_without_instances() {
    let world = World::new().await;
    let (second, third) = (Site::new(), Site::new());
    let servers = [serve_udp(&world.dialled, 5353, "1:"), serve_udp(&second, 5353, "2:")];
    serve_udp(&third, 5353, "3:");
    let (first, other) = (udp(DATAGRAMS, 5353), udp(MORE_DATAGRAMS, 5353));
    let mut table = world.table_b(&[first.clone(), other.clone()]);
    let incoming: &mut Vec<Served> = &mut table.overlay.as_mut().unwrap().incoming;
    incoming[0].targets.push(second.target(5353));
    incoming[1].targets = vec![];
    world.plane_b.push(table.clone()).await;
    world.plane_a.push(two_backends(&world, &first, &other)).await;
    world.bound().await;
    // The other backend has no instance: it is passed over.
    let socket = world.dialling.udp();
    let answer = eventually("UDP is there", || heard(&socket)).await;
    let (dead, living) = match answer.as_slice() {
        b"1:?" => (0, b"2:?"),
        b"2:?" => (1, b"1:?"),
        other => panic!("{}", String::from_utf8_lossy(other)),
    };
    let [one, two] = servers;
    let server = if dead == 0 { one } else { two };
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    comes_back(&socket, living).await;
    // The lease has no instance any more, and the other one has.
    table.generation += 100;
    let incoming = &mut table.overlay.as_mut().unwrap().incoming;
    incoming[0].targets.clear();
    incoming[1].targets = vec![third.target(5353)];
    world.plane_b.push(table).await;
    comes_back(&socket, b"3:?").await;
}

/// Another data plane on B's host, at a port of its own, with its table.
async fn another_plane(world: &World, declared: &Declared) -> (DataPlane, SocketAddr) {
    let plane = DataPlane::start_in(world.b.path()).await;
    let place = SocketAddr::new(world.host_b.ip(), world.host_b.port() + 1);
    let mut table = world.table_b(std::slice::from_ref(declared));
    table.overlay.as_mut().unwrap().listen = vec![place];
    plane.push(table).await;
    (plane, place)
}

#[tokio::test]
async fn a_udp_flow_leaves_a_data_plane_that_hangs() {
    let world = World::new().await;
    let site = Site::new();
    serve_udp(&world.dialled, 5353, "1:");
    serve_udp(&site, 5353, "2:");
    let (first, mut second) = (udp(DATAGRAMS, 5353), udp(MORE_DATAGRAMS, 5353));
    second.target = Some(site.target(5353));
    world.plane_b.push(world.table_b(std::slice::from_ref(&first))).await;
    let (other, place) = another_plane(&world, &second).await;
    let mut table = two_backends(&world, &first, &second);
    let backends = &mut table.overlay.as_mut().unwrap().outgoing[0].backends;
    backends[1].endpoints = vec![place.to_string()];
    world.plane_a.push(table).await;
    world.bound().await;
    let socket = world.dialling.udp();
    let answer = eventually("UDP is there", || heard(&socket)).await;
    let (hangs, living) =
        if answer == b"1:?" { (&world.plane_b, b"2:?") } else { (&other, b"1:?") };
    // Its kernel goes on taking what is sent.
    hangs.freeze();
    comes_back(&socket, living).await;
}

#[tokio::test]
async fn a_udp_flow_leaves_an_endpoint_that_is_gone_without_a_word() {
    let world = World::new().await;
    serve_udp(&world.dialled, 5353, "udp:");
    let declared = udp(DATAGRAMS, 5353);
    world.declare(std::slice::from_ref(&declared)).await;
    let socket = world.dialling.udp();
    comes_back(&socket, b"udp:?").await;
    world.b.shut(world.host_b.port());
    let (_other, place) = another_plane(&world, &declared).await;
    let mut table = world.table_a(&[declared]);
    let outgoing = &mut table.overlay.as_mut().unwrap().outgoing;
    outgoing[0].backends[0].endpoints = vec![place.to_string()];
    world.plane_a.push(table).await;
    comes_back(&socket, b"udp:?").await;
}

#[tokio::test]
async fn a_peer_that_is_away_for_a_while_is_met_again_over_tcp_and_udp() {
    let mut world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api:");
    serve_udp(&world.dialled, 5353, "udp:");
    world.declare(&[tcp(TUNNEL, 8080), udp("web to api udp", 5353)]).await;
    let socket = world.dialling.udp();
    assert_eq!(eventually("UDP is there", || heard(&socket)).await, b"udp:?");
    world.plane_b.kill();
    assert!(world.dialling.ask(8080, b"?").await.is_err());
    let status = eventually("the failure is told", || async {
        let status = World::tunnel(&world.plane_a, TUNNEL).await?;
        (status.state == TunnelState::Down).then_some(status)
    })
    .await;
    assert!(status.last_error.unwrap().contains(&world.host_b.to_string()));
    world.plane_b.kill_and_restart().await;
    let again =
        eventually("the peer is met again", || async { world.dialling.ask(8080, b"?").await.ok() });
    assert_eq!(again.await, b"api:?");
    assert_eq!(eventually("UDP is there again", || heard(&socket)).await, b"udp:?");
}
