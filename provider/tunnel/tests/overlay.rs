//! Tunnels between two data planes in network namespaces of their own, with
//! workloads and links beside them. Needs root, `ip`, `tc` and `nsenter`.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use stoa_tunnel::overlay::{Direction, TunnelState};
use support::overlay::{eventually, link, serve_tcp, serve_udp, tcp, udp, World, LINK, VIRTUAL};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a link's name service; the code and the addresses of the answer.
async fn look_up(socket: &UdpSocket, name: &str, kind: u16) -> Option<(u8, Vec<IpAddr>)> {
    let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.push(0);
    question.extend(kind.to_be_bytes());
    question.extend([0, 1]);
    for _ in 0..10 {
        socket.send_to(&question, SocketAddr::from((LINK, 53))).await.ok()?;
        let mut answer = vec![0; 4096];
        let receiving = socket.recv_from(&mut answer);
        let Ok(received) = tokio::time::timeout(Duration::from_secs(1), receiving).await else {
            continue;
        };
        let Ok((count, _)) = received else { continue };
        return Some(read(&answer[..count], question.len()));
    }
    None
}

/// An answer all of whose records are addresses with a pointer as their name.
fn read(answer: &[u8], question: usize) -> (u8, Vec<IpAddr>) {
    let mut addresses = vec![];
    let mut rest = &answer[question..];
    for _ in 0..answer[7] {
        let length = usize::from(rest[11]);
        let data = &rest[12..12 + length];
        addresses.push(match length {
            4 => IpAddr::from(<[u8; 4]>::try_from(data).unwrap()),
            _ => IpAddr::from(<[u8; 16]>::try_from(data).unwrap()),
        });
        rest = &rest[12 + length..];
    }
    (answer[3] & 15, addresses)
}

#[tokio::test]
async fn a_workload_reaches_another_at_another_provider_by_name_over_tcp_and_udp() {
    let world = World::new().await;
    let counts = serve_tcp(&world.dialled, 8080, "api:");
    serve_udp(&world.dialled, 5353, "udp:");
    world.declare(&[tcp("web to api 8080", 8080), udp("web to api 5353 udp", 5353)]).await;
    let socket = world.dialling.udp();
    let virtual_address = IpAddr::from(VIRTUAL);
    assert_eq!(look_up(&socket, "API", 1).await, Some((0, vec![virtual_address])));
    assert_eq!(look_up(&socket, "api", 28).await, Some((0, vec![])));
    assert_eq!(look_up(&socket, "example.com", 1).await, Some((3, vec![])));
    // Much, in both directions at once, with an end of one direction first.
    let words: Vec<u8> = (0..8_000_000u32).map(|n| (n * 7 + n / 251) as u8).collect();
    let answer = world.dialling.ask(8080, &words).await.unwrap();
    assert_eq!(&answer[..4], b"api:");
    assert!(answer[4..] == words[..], "all came back as it went");
    assert_eq!(counts.read(), (1, words.len() as u64));
    let api = SocketAddr::from((VIRTUAL, 5353));
    let large = vec![b'x'; 60_000];
    for datagram in [&b"one"[..], b"", &large] {
        let expected = [&b"udp:"[..], datagram].concat();
        let answer = eventually("a datagram comes back", || async {
            socket.send_to(datagram, api).await.unwrap();
            let mut answer = vec![0; 65_535];
            let receiving = socket.recv_from(&mut answer);
            let received = tokio::time::timeout(Duration::from_secs(1), receiving).await;
            let (count, from) = received.ok()?.unwrap();
            assert_eq!(from, api);
            answer.truncate(count);
            // A copy of an earlier one may come late.
            (answer == expected).then_some(answer)
        });
        assert_eq!(answer.await, expected);
    }
    for (plane, direction) in
        [(&world.plane_a, Direction::Outgoing), (&world.plane_b, Direction::Incoming)]
    {
        let status = World::tunnel(plane, "web to api 8080").await.unwrap();
        assert_eq!((status.direction, status.state), (direction, TunnelState::Up));
        let many = words.len() as u64;
        let (there, back) = match direction {
            Direction::Outgoing => (status.bytes_out, status.bytes_in),
            Direction::Incoming => (status.bytes_in, status.bytes_out),
        };
        assert_eq!((there, back), (many, many + 4), "{status:?}");
        assert_eq!((status.connections_open, status.connections_total), (0, 1));
        assert!(status.not_after.is_some() && status.peer_not_after.is_some());
        assert_eq!(status.rtt_micros.is_some(), direction == Direction::Outgoing);
    }
}

#[tokio::test]
async fn hosts_that_have_ipv6_alone_between_them_carry_tcp_and_udp() {
    let world = World::over_ipv6().await;
    let counts = serve_tcp(&world.dialled, 8080, "api:");
    serve_udp(&world.dialled, 5353, "udp:");
    world.declare(&[tcp("web to api 8080", 8080), udp("web to api 5353 udp", 5353)]).await;
    assert_eq!(world.dialling.ask(8080, b"six").await.unwrap(), b"api:six");
    assert_eq!(counts.read(), (1, 3));
    let socket = world.dialling.udp();
    let answer = eventually("a datagram comes back", || async {
        socket.send_to(b"six", SocketAddr::from((VIRTUAL, 5353))).await.unwrap();
        let mut answer = [0; 100];
        let receiving = socket.recv_from(&mut answer);
        let (count, _) = tokio::time::timeout(PATIENCE / 10, receiving).await.ok()?.unwrap();
        Some(answer[..count].to_vec())
    });
    assert_eq!(answer.await, b"udp:six");
    let status = World::tunnel(&world.plane_a, "web to api 8080").await.unwrap();
    assert_eq!(status.endpoint, Some(world.host_b.to_string()));
}

#[tokio::test]
async fn a_link_that_restarts_and_a_data_plane_that_restarts_are_bound_again() {
    let mut world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api");
    let declared = [tcp("web to api 8080", 8080)];
    world.declare(&declared).await;
    assert_eq!(world.dialling.ask(8080, b"1").await.unwrap(), b"api1");
    world.dialling.restart_link();
    let again = eventually("the new namespace is bound", || async {
        world.dialling.ask(8080, b"2").await.ok()
    });
    assert_eq!(again.await, b"api2");
    // From what is on disk alone.
    world.plane_a.kill_and_restart().await;
    world.plane_b.kill_and_restart().await;
    world.bound().await;
    let again = eventually("it is served after a restart", || async {
        world.dialling.ask(8080, b"3").await.ok()
    });
    assert_eq!(again.await, b"api3");
    // One broken link is told, and holds up no other.
    let mut table = world.table_a(&declared);
    let overlay = table.overlay.as_mut().unwrap();
    let mut broken = link(&world.dialled, &declared);
    (broken.link, broken.netns) = ("nowhere".into(), "/run/netns/stoanowhere".into());
    overlay.links.insert(0, broken);
    world.plane_a.push(table).await;
    assert_eq!(world.dialling.ask(8080, b"4").await.unwrap(), b"api4");
    let status = eventually("the broken link is told", || async {
        let status = world.plane_a.control.status().await.unwrap();
        let broken = status.links.into_iter().find(|link| link.link == "nowhere").unwrap();
        broken.problem
    });
    assert!(status.await.contains("stoanowhere"));
}

#[tokio::test]
async fn virtual_addresses_and_ports_go_with_the_table() {
    let world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api");
    world.declare(&[tcp("web to api 8080", 8080), tcp("web to api 8081", 8081)]).await;
    let shown = || world.dialling.link.ip(&["-o", "addr", "show", "dev", "eth0"]);
    assert!(shown().contains("10.88.0.5/28"), "{}", shown());
    world.plane_a.push(world.table_a(&[tcp("web to api 8080", 8080)])).await;
    eventually("the port is gone", || async { world.dialling.connect(8081).await.err() }).await;
    assert_eq!(world.dialling.ask(8080, b"!").await.unwrap(), b"api!");
    let mut table = world.table_a(&[]);
    table.overlay.as_mut().unwrap().links[0].names.clear();
    world.plane_a.push(table).await;
    eventually("the address is gone", || async { (!shown().contains("10.88.0.5")).then_some(()) })
        .await;
    assert!(shown().contains("10.88.0.2/28"), "the link's own stays: {}", shown());
}

#[tokio::test]
async fn a_tunnel_that_is_taken_away_is_cut_at_once_and_rotation_cuts_nothing() {
    let world = World::new().await;
    let counts = serve_tcp(&world.dialled, 8080, "api");
    let declared = [tcp("web to api 8080", 8080)];
    world.declare(&declared).await;
    let mut live = world.dialling.connect(8080).await.unwrap();
    let mut said = [0; 3];
    live.read_exact(&mut said).await.unwrap();
    let before = World::tunnel(&world.plane_a, "web to api 8080").await.unwrap().not_after;
    // Fresh certificates on both sides, one after the other.
    world.rotate();
    world.plane_b.push(world.table_b(&declared)).await;
    assert_eq!(world.dialling.ask(8080, b"between").await.unwrap(), b"apibetween");
    world.plane_a.push(world.table_a(&declared)).await;
    assert_eq!(world.dialling.ask(8080, b"after").await.unwrap(), b"apiafter");
    let after = World::tunnel(&world.plane_a, "web to api 8080").await.unwrap().not_after;
    assert!(before.is_some() && after >= before);
    live.write_all(b"still").await.unwrap();
    let mut still = [0; 5];
    tokio::time::timeout(PATIENCE, live.read_exact(&mut still)).await.unwrap().unwrap();
    assert_eq!(&still, b"still");
    // The lease closes at the dialled side alone.
    world.plane_b.push(world.table_b(&[])).await;
    let mut byte = [0];
    let ended = tokio::time::timeout(PATIENCE, live.read(&mut byte)).await.unwrap();
    assert!(ended.is_err(), "a break, no end: {ended:?}");
    let (connections, _) = counts.read();
    assert!(world.dialling.ask(8080, b"replayed").await.is_err());
    assert_eq!(counts.read().0, connections, "nothing reached the workload any more");
}

#[tokio::test]
async fn a_peers_new_root_is_followed_and_its_old_one_ends() {
    let mut world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api");
    let declared = [tcp("web to api 8080", 8080)];
    world.declare(&declared).await;
    let mut live = world.dialling.connect(8080).await.unwrap();
    let mut said = [0; 3];
    live.read_exact(&mut said).await.unwrap();
    let new = support::overlay::Root::new("provider a, again");
    // B takes both for a while: what goes on under the old one stays.
    let mut both = world.table_b(&declared);
    let roots = &mut both.overlay.as_mut().unwrap().incoming[0].tunnel.peer_roots;
    roots.push(stoa_tunnel::overlay::PeerRoot(new.der.clone()));
    world.plane_b.push(both).await;
    world.root_a = new;
    world.rotate();
    // B's own certificate changes with it here; A knows B's root as before.
    let table = world.table_a(&declared);
    world.plane_a.push(table).await;
    assert_eq!(world.dialling.ask(8080, b"new").await.unwrap(), b"apinew");
    live.write_all(b"old").await.unwrap();
    tokio::time::timeout(PATIENCE, live.read_exact(&mut said)).await.unwrap().unwrap();
    // Then the old one is no longer on chain.
    world.plane_b.push(world.table_b(&declared)).await;
    let mut byte = [0];
    let ended = tokio::time::timeout(PATIENCE, live.read(&mut byte)).await.unwrap();
    assert!(ended.is_err(), "{ended:?}");
    let again = eventually("the new root goes on", || async {
        world.dialling.ask(8080, b"more").await.ok()
    });
    assert_eq!(again.await, b"apimore");
}

/// A resolver in a host's network, which has three names: one public, one that
/// leads into a private network, one with more addresses than UDP carries.
fn resolver(host: &support::overlay::Net, address: SocketAddr) {
    let (udp, tcp) = support::inside(host.path(), move || {
        (std::net::UdpSocket::bind(address).unwrap(), std::net::TcpListener::bind(address).unwrap())
    });
    std::thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((count, client)) = udp.recv_from(&mut question) {
            // Somebody who guesses: another id, and an address of his own.
            let mut forged = resolved(&question[..count], true);
            forged[0] ^= 1;
            let _ = udp.send_to(&forged, client);
            let _ = udp.send_to(&resolved(&question[..count], false), client);
        }
    });
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in tcp.incoming().flatten() {
            let mut length = [0; 2];
            let mut question = vec![0; 4096];
            if stream.read_exact(&mut length).is_ok() {
                question.truncate(usize::from(u16::from_be_bytes(length)));
                let _ = stream.read_exact(&mut question);
                let answer = resolved(&question, true);
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                let _ = stream.write_all(&[&length[..], &answer].concat());
            }
        }
    });
}

fn resolved(question: &[u8], whole: bool) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let label = &question[13..13 + usize::from(question[12])];
    let addresses: Vec<[u8; 4]> = match label {
        b"public" => vec![[93, 184, 216, 34]],
        b"rebind" => vec![[93, 184, 216, 34], [169, 254, 169, 254]],
        b"many" if whole => (1..=100).map(|last| [93, 184, 216, last]).collect(),
        _ => vec![],
    };
    let truncated = label == b"many" && !whole;
    let code = if addresses.is_empty() && !truncated { 3 } else { 0 };
    let flags = [0x81 | if truncated { 2 } else { 0 }, 0x80 | code];
    let counts = [0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0];
    let mut answer = [&question[..2], &flags, &counts, &question[12..end]].concat();
    for address in addresses {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    answer
}

#[tokio::test]
async fn public_names_are_looked_up_from_the_host_and_never_lead_into_a_private_network() {
    let world = World::new().await;
    let server: SocketAddr = ([10, 77, 0, 1], 5300).into();
    resolver(&world.a, server);
    let mut table = world.table_a(&[]);
    let overlay = table.overlay.as_mut().unwrap();
    overlay.resolvers = vec![server];
    overlay.links[0].egress = true;
    world.plane_a.push(table.clone()).await;
    world.bound().await;
    let socket = world.dialling.udp();
    let public = vec![IpAddr::from([93, 184, 216, 34])];
    assert_eq!(look_up(&socket, "public.example", 1).await, Some((0, public.clone())));
    assert_eq!(look_up(&socket, "PUBLIC.example", 1).await, Some((0, public)), "remembered");
    assert_eq!(look_up(&socket, "rebind.example", 1).await, Some((0, vec![])));
    assert_eq!(look_up(&socket, "missing.example", 1).await, Some((3, vec![])));
    for internal in ["public", "metadata.google.internal", "public.local", "localhost"] {
        assert_eq!(look_up(&socket, internal, 1).await, Some((3, vec![])), "{internal}");
    }
    // More than UDP carries: cut off there, whole over TCP.
    assert_eq!(look_up(&socket, "many.example", 1).await, Some((0, vec![])));
    let path = world.dialling.workload.path();
    let many = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let dns = SocketAddr::from((LINK, 53));
        let mut stream = support::inside(path, move || std::net::TcpStream::connect(dns).unwrap());
        let question = b"\0\x1e\x07\x07\x01\0\0\x01\0\0\0\0\0\0\x04many\x07example\0\0\x01\0\x01";
        stream.write_all(question).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        read(&answer, question.len() - 2)
    });
    let (code, addresses) = many.await.unwrap();
    assert_eq!((code, addresses.len()), (0, 100));
    // Without egress no name leaves this host.
    table.generation += 1;
    table.overlay.as_mut().unwrap().links[0].egress = false;
    world.plane_a.push(table).await;
    eventually("public names are gone", || async {
        let answer = look_up(&socket, "public.example", 1).await;
        (answer == Some((3, vec![]))).then_some(())
    })
    .await;
}
