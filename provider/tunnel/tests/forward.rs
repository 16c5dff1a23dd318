//! Forwarded ports: TCP and UDP from the world, through network namespaces,
//! to little servers of our own. Needs root and `ip` (iproute2).

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use stoa_tunnel::routes::{Forward, HostAddress, RouteTable, Target, Transport};
use support::{request, Container, DataPlane, Namespace, Speak};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(10);

fn forward(transport: Transport, listen: SocketAddr, targets: &[&Target]) -> Forward {
    Forward { transport, listen, targets: targets.iter().map(|t| (*t).clone()).collect() }
}

fn table(generation: u64, forwards: Vec<Forward>) -> RouteTable {
    RouteTable { generation, forwards, ..RouteTable::default() }
}

/// A port that nobody had a moment ago.
fn free(transport: Transport) -> SocketAddr {
    let any = (Ipv4Addr::LOCALHOST, 0);
    match transport {
        Transport::Tcp => std::net::TcpListener::bind(any).unwrap().local_addr().unwrap(),
        Transport::Udp => std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap(),
    }
}

/// As many TCP ports, no two the same: none is given back before all are known.
fn free_tcp<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let bind = |()| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    [(); COUNT].map(bind).map(|listener| listener.local_addr().unwrap())
}

/// Says something over a connection of its own, ends its half, and reads all.
async fn ask(port: SocketAddr, words: &[u8]) -> std::io::Result<String> {
    let asking = async {
        let mut stream = TcpStream::connect(port).await?;
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
}

/// A UDP client with an address of its own.
struct Client(UdpSocket);

impl Client {
    async fn to(port: SocketAddr) -> Self {
        let socket = UdpSocket::bind((port.ip(), 0)).await.unwrap();
        socket.connect(port).await.unwrap();
        Self(socket)
    }

    async fn ask(&self, words: &[u8]) -> Option<Vec<u8>> {
        self.0.send(words).await.ok()?;
        self.hear(Duration::from_secs(5)).await
    }

    /// Asks until there is an answer: UDP may lose, and a refusal is told
    /// only to the datagram after it.
    async fn insist(&self, words: &[u8]) -> Vec<u8> {
        for _ in 0..50 {
            self.0.send(words).await.unwrap();
            if let Some(answer) = self.hear(Duration::from_millis(200)).await {
                return answer;
            }
        }
        panic!("no answer");
    }

    async fn hear(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        let count = tokio::time::timeout(patience, self.0.recv(&mut buffer)).await.ok()?.ok()?;
        buffer.truncate(count);
        Some(buffer)
    }
}

#[tokio::test]
async fn a_tcp_port_reaches_the_workload_and_passes_each_sides_end_on() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.speak(1, Transport::Tcp, Speak::AtTheEnd("got: "));
    let port = free(Transport::Tcp);
    plane.push(table(1, vec![forward(Transport::Tcp, port, &[&workload])])).await;
    // The workload answers only after the client has ended its half.
    assert_eq!(ask(port, b"question").await.unwrap(), "got: question");
    let long = vec![b'x'; 3_000_000];
    assert_eq!(ask(port, &long).await.unwrap().len(), long.len() + "got: ".len());
    let status = plane.control.status().await.unwrap();
    assert_eq!((status.listening, status.counters.forwarded), (1, 2));
    assert!(status.unbound.is_empty());
}

#[tokio::test]
async fn connections_spread_over_instances_and_a_dead_one_is_passed_over() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let one = namespace.speak(1, Transport::Tcp, Speak::AtTheEnd("one"));
    let two = namespace.speak(2, Transport::Tcp, Speak::AtTheEnd("two"));
    let dead = namespace.nobody(3);
    let port = free(Transport::Tcp);
    plane.push(table(1, vec![forward(Transport::Tcp, port, &[&one, &dead, &two])])).await;
    let mut answers = vec![];
    for _ in 0..8 {
        answers.push(ask(port, b"").await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer == "one" || answer == "two"), "{answers:?}");
    assert!(answers.contains(&"one".into()) && answers.contains(&"two".into()), "{answers:?}");
    let status = plane.control.status().await.unwrap();
    assert_eq!(status.failing.len(), 1, "{:?}", status.failing);
    // Where nothing answers, the client learns it at once.
    plane.push(table(2, vec![forward(Transport::Tcp, port, &[&dead])])).await;
    assert!(ask(port, b"").await.is_err());
}

#[tokio::test]
async fn a_new_table_cuts_only_what_it_drops() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let echo = namespace.speak(1, Transport::Tcp, Speak::Echo);
    let other = namespace.speak(2, Transport::Tcp, Speak::AtTheEnd("other"));
    let [kept, dropped] = free_tcp();
    let both =
        vec![forward(Transport::Tcp, kept, &[&echo]), forward(Transport::Tcp, dropped, &[&echo])];
    plane.push(table(1, both)).await;
    let mut stays = TcpStream::connect(kept).await.unwrap();
    let mut goes = TcpStream::connect(dropped).await.unwrap();
    for stream in [&mut stays, &mut goes] {
        stream.write_all(b"one").await.unwrap();
        let mut got = [0; 3];
        stream.read_exact(&mut got).await.unwrap();
    }
    // Another instance for new connections, and one port less.
    plane.push(table(2, vec![forward(Transport::Tcp, kept, &[&other])])).await;
    let mut rest = vec![];
    let ended = tokio::time::timeout(PATIENCE, goes.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() || rest.is_empty());
    assert!(TcpStream::connect(dropped).await.is_err());
    assert_eq!(ask(kept, b"").await.unwrap(), "other");
    stays.write_all(b"two").await.unwrap();
    let mut got = [0; 3];
    stays.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"two");
}

#[tokio::test]
async fn one_client_and_one_port_have_a_bounded_number_of_connections() {
    let plane = DataPlane::start_with(&["--max-port-connections", "3"]).await;
    let namespace = Namespace::new();
    let echo = namespace.speak(1, Transport::Tcp, Speak::Echo);
    let [full, free_one] = free_tcp();
    let both =
        vec![forward(Transport::Tcp, full, &[&echo]), forward(Transport::Tcp, free_one, &[&echo])];
    plane.push(table(1, both)).await;
    let mut held = vec![];
    for _ in 0..3 {
        let mut stream = TcpStream::connect(full).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        held.push(stream);
    }
    // The fourth waits until one goes; the other port is not concerned.
    let mut fourth = TcpStream::connect(full).await.unwrap();
    fourth.write_all(b"y").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), fourth.read_u8()).await;
    assert!(early.is_err(), "a fourth connection was carried");
    assert_eq!(ask(free_one, b"z").await.unwrap(), "z");
    held.pop();
    let late = tokio::time::timeout(PATIENCE, fourth.read_u8()).await.unwrap();
    assert_eq!(late.unwrap(), b'y');
}

#[tokio::test]
async fn udp_flows_keep_their_instance_and_answers_find_their_client() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let one = namespace.speak(1, Transport::Udp, Speak::Source("one"));
    let two = namespace.speak(2, Transport::Udp, Speak::Source("two"));
    let port = free(Transport::Udp);
    plane.push(table(1, vec![forward(Transport::Udp, port, &[&one, &two])])).await;
    let clients = futures::future::join_all((0..4).map(|_| Client::to(port))).await;
    let mut seen = vec![];
    for client in &clients {
        let first = client.ask(b"a").await.unwrap();
        let second = client.ask(b"b").await.unwrap();
        // Instance, and the client's port as the instance sees it.
        assert_eq!(first[..first.len() - 1], second[..second.len() - 1], "one flow, one source");
        assert_eq!((first.last(), second.last()), (Some(&b'a'), Some(&b'b')));
        seen.push(String::from_utf8(first).unwrap());
    }
    assert!(seen.iter().any(|s| s.starts_with("one")) && seen.iter().any(|s| s.starts_with("two")));
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 4, "each client has a source of its own: {seen:?}");
    assert_eq!(plane.control.status().await.unwrap().counters.flows_open, 4);
    // The largest datagram that UDP over IPv4 has, unchanged.
    let echo = namespace.speak(3, Transport::Udp, Speak::Echo);
    plane.push(table(2, vec![forward(Transport::Udp, port, &[&echo])])).await;
    let large: Vec<u8> = (0..65_507_u32).map(|n| (n % 251) as u8).collect();
    let client = Client::to(port).await;
    assert!(client.ask(&large).await == Some(large), "a large datagram came back changed");
    // A flow whose instance is gone goes on with another.
    assert_eq!(clients[0].insist(b"x").await, b"x");
}

#[tokio::test]
async fn udp_answers_leave_from_the_address_that_was_asked() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let echo = namespace.speak(1, Transport::Udp, Speak::Echo);
    let port = free(Transport::Udp).port();
    let all = SocketAddr::from(([0, 0, 0, 0], port));
    plane.push(table(1, vec![forward(Transport::Udp, all, &[&echo])])).await;
    // A connected socket takes answers from that address alone.
    for host in [[127, 0, 0, 1], [127, 0, 0, 2], [127, 1, 2, 3]] {
        let client = Client::to((host, port).into()).await;
        assert_eq!(client.ask(b"hello").await.as_deref(), Some(&b"hello"[..]), "{host:?}");
    }
}

#[tokio::test]
async fn a_refusing_instance_loses_its_flows_to_another() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let (dead, alive) = (namespace.nobody(1), namespace.speak(2, Transport::Udp, Speak::Echo));
    let port = free(Transport::Udp);
    plane.push(table(1, vec![forward(Transport::Udp, port, &[&dead, &alive])])).await;
    for _ in 0..4 {
        assert_eq!(Client::to(port).await.insist(b"x").await, b"x");
    }
}

#[tokio::test]
async fn flows_are_bounded_and_answered_ones_are_not_pushed_out() {
    let plane = DataPlane::start_with(&["--max-port-flows", "2"]).await;
    let namespace = Namespace::new();
    let picky = namespace.speak(1, Transport::Udp, Speak::OnlyTo(b"please"));
    let port = free(Transport::Udp);
    plane.push(table(1, vec![forward(Transport::Udp, port, &[&picky])])).await;
    let first = Client::to(port).await;
    assert_eq!(first.ask(b"please").await.as_deref(), Some(&b"please"[..]));
    // Many that are never answered: each gives way to the next.
    for _ in 0..10 {
        Client::to(port).await.0.send(b"noise").await.unwrap();
    }
    let second = Client::to(port).await;
    assert_eq!(second.insist(b"please").await, b"please");
    assert_eq!(first.ask(b"please").await.as_deref(), Some(&b"please"[..]));
    // Both places are now of flows that were answered.
    let third = Client::to(port).await;
    third.0.send(b"please").await.unwrap();
    assert_eq!(third.hear(Duration::from_millis(300)).await, None);
    let counters = plane.control.status().await.unwrap().counters;
    assert!(counters.flows_open <= 2 && counters.over_limits >= 1, "{counters:?}");
}

#[tokio::test]
async fn an_idle_flow_ends() {
    let plane = DataPlane::start_with(&["--flow-idle-seconds", "1"]).await;
    let namespace = Namespace::new();
    let echo = namespace.speak(1, Transport::Udp, Speak::Echo);
    let port = free(Transport::Udp);
    plane.push(table(1, vec![forward(Transport::Udp, port, &[&echo])])).await;
    let client = Client::to(port).await;
    client.ask(b"x").await.unwrap();
    let open = || async { plane.control.status().await.unwrap().counters.flows_open };
    assert_eq!(open().await, 1);
    tokio::time::timeout(PATIENCE, async {
        while open().await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the flow ends by itself");
    assert_eq!(client.ask(b"y").await.as_deref(), Some(&b"y"[..]), "and begins anew");
}

#[tokio::test]
async fn a_port_in_use_is_told_and_had_once_it_is_free() {
    let plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.speak(1, Transport::Tcp, Speak::AtTheEnd("here"));
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap();
    plane.push(table(1, vec![forward(Transport::Tcp, port, &[&workload])])).await;
    let status = plane.control.status().await.unwrap();
    assert_eq!((status.listening, status.unbound.len()), (0, 1));
    assert_eq!(status.unbound[0].listen, port);
    assert!(status.unbound[0].error.contains("in use"), "{:?}", status.unbound);
    drop(holder);
    tokio::time::timeout(PATIENCE, async {
        while plane.control.status().await.unwrap().listening == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the port is taken once it is free");
    assert_eq!(ask(port, b"").await.unwrap(), "here");
}

#[tokio::test]
async fn after_a_kill_every_port_is_back_from_what_is_on_disk() {
    let mut plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let tcp = namespace.speak(1, Transport::Tcp, Speak::AtTheEnd("back"));
    let udp = namespace.speak(1, Transport::Udp, Speak::Echo);
    let ports = free_tcp::<20>();
    let datagrams = free(Transport::Udp);
    let mut forwards: Vec<Forward> =
        ports.iter().map(|port| forward(Transport::Tcp, *port, &[&tcp])).collect();
    forwards.push(forward(Transport::Udp, datagrams, &[&udp]));
    plane.push(table(1, forwards)).await;
    assert_eq!(ask(ports[0], b"").await.unwrap(), "back");
    plane.kill_and_restart().await;
    let status = plane.control.status().await.unwrap();
    assert_eq!((status.listening, status.unbound.len()), (21, 0), "{:?}", status.unbound);
    for port in ports {
        assert_eq!(ask(port, b"").await.unwrap(), "back");
    }
    assert_eq!(Client::to(datagrams).await.ask(b"x").await.as_deref(), Some(&b"x"[..]));
}

#[tokio::test]
async fn a_connection_under_way_may_finish_when_the_process_is_told_to_end() {
    let mut plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let workload = namespace.speak(1, Transport::Tcp, Speak::AtTheEnd("done: "));
    let port = free(Transport::Tcp);
    plane.push(table(1, vec![forward(Transport::Tcp, port, &[&workload])])).await;
    let mut stream = TcpStream::connect(port).await.unwrap();
    stream.write_all(b"half").await.unwrap();
    // Carried before the end is told.
    while plane.control.status().await.unwrap().counters.forwarded_open == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    plane.terminate();
    tokio::time::timeout(PATIENCE, async {
        while TcpStream::connect(port).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("no new connections");
    stream.write_all(b" and half").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "done: half and half");
    assert!(plane.wait().success());
}

#[tokio::test]
async fn a_leased_address_comes_and_goes_with_the_table_and_shares_ports() {
    let mut plane = DataPlane::start().await;
    let namespace = Namespace::new();
    let interface = support::Dummy::new();
    let own = interface.address(1);
    let leased = interface.unique_address();
    let workload = namespace.speak(1, Transport::Tcp, Speak::AtTheEnd("leased"));
    let general = namespace.speak(2, Transport::Tcp, Speak::AtTheEnd("general"));
    // The same port on all addresses is another's: the exact one wins.
    let port = free(Transport::Tcp).port();
    let forwards = vec![
        forward(Transport::Tcp, ([0, 0, 0, 0], port).into(), &[&general]),
        forward(Transport::Tcp, (leased, port).into(), &[&workload]),
    ];
    let on = |address| HostAddress { interface: interface.name().into(), address };
    let addresses = vec![on(leased), on(own)];
    let full = RouteTable { generation: 1, forwards, addresses, ..RouteTable::default() };
    plane.push(full.clone()).await;
    let status = plane.control.status().await.unwrap();
    assert_eq!((status.unbound.len(), status.problems.len()), (0, 0), "{status:?}");
    assert_eq!(ask((leased, port).into(), b"").await.unwrap(), "leased");
    assert_eq!(ask((own, port).into(), b"").await.unwrap(), "general");
    plane.kill_and_restart().await;
    assert_eq!(ask((leased, port).into(), b"").await.unwrap(), "leased");
    // Both are given up: what the operator had put there stays.
    plane.push(RouteTable { generation: 2, ..RouteTable::default() }).await;
    assert!(!interface.has(leased), "the leased address is still there");
    assert!(interface.has(own), "the operator's own address was taken away");
    let bad = HostAddress { interface: "nosuchif0".into(), address: leased };
    let table = RouteTable { generation: 3, addresses: vec![bad], ..RouteTable::default() };
    plane.push(table).await;
    let status = plane.control.status().await.unwrap();
    assert!(status.problems[0].contains("nosuchif0"), "{:?}", status.problems);
}

#[tokio::test]
async fn a_container_is_reached_by_a_port_of_the_host_through_its_link() {
    let plane = DataPlane::start().await;
    let container = Container::start();
    let port = free(Transport::Tcp);
    plane.push(table(1, vec![forward(Transport::Tcp, port, &[&container.target])])).await;
    let question = request("GET", "/", "any", "Connection: close\r\n");
    let mut answer = String::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(question.as_bytes()).await.unwrap();
        answer.clear();
        let reading = stream.read_to_string(&mut answer);
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time");
        if answer.contains(" 200 ") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(answer.ends_with("from the container\n"), "{answer}");
}
