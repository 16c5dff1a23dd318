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
use support::overlay::{eventually, serve_tcp, serve_udp, tcp, udp, Site, World, VIRTUAL};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TUNNEL: &str = "web of 1 to api of 2 tcp 8080";
const SECOND: &str = "web of 1 to api of 3 tcp 8080";

/// How long the wire is cut.
const CUT: Duration = Duration::from_secs(30);

/// A's table with two leases of the service, both at B's host.
fn two_backends(world: &World) -> RouteTable {
    let mut table = world.table_a(&[tcp(TUNNEL, 8080)]);
    let more = world.table_a(&[tcp(SECOND, 8080)]).overlay.unwrap();
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
    world.plane_a.push(two_backends(&world)).await;
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

#[tokio::test]
async fn a_peer_that_is_away_for_a_while_is_met_again_over_tcp_and_udp() {
    let mut world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api:");
    serve_udp(&world.dialled, 5353, "udp:");
    world.declare(&[tcp(TUNNEL, 8080), udp("web to api udp", 5353)]).await;
    let socket = world.dialling.udp();
    async fn heard(socket: &tokio::net::UdpSocket) -> Option<Vec<u8>> {
        let api = SocketAddr::from((VIRTUAL, 5353));
        socket.send_to(b"?", api).await.unwrap();
        let mut answer = vec![0; 100];
        let receiving = socket.recv_from(&mut answer);
        let (count, _) =
            tokio::time::timeout(Duration::from_millis(500), receiving).await.ok()?.ok()?;
        Some(answer[..count].to_vec())
    }
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
