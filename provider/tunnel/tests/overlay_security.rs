//! Who is refused at a tunnel's end, each time with no byte at the workload.
//! Needs root, `ip` and `nsenter`.

// Clippy's own exception for tests does not see helpers.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::ClientConfig;
use stoa_tunnel::overlay::{tunnel_name, Credential, TunnelState};
use stoa_tunnel::routes::Transport;
use support::overlay::{eventually, serve_tcp, tcp, Declared, Leaf, Root, World};
use support::tls::Blind;
use support::Container;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(10);
const TUNNEL: &str = "web of 1 to api of 2 tcp 8080";
const OTHER: &str = "web of 1 to api of 2 tcp 9090";
const PREFACE: &[u8] = b"ST\x01\x01\x00\x00\x00\x07";
const READY: &[u8] = b"ST\x01\x00\x00\x00\x00\x07";

/// How somebody tries to get in.
struct Attempt<'a> {
    asks_for: &'a str,
    shows: Option<&'a Credential>,
    speaks: &'a [u8],
}

impl<'a> Attempt<'a> {
    fn with(shows: &'a Credential) -> Self {
        Self { asks_for: TUNNEL, shows: Some(shows), speaks: b"stoa-tunnel/1" }
    }

    fn config(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Blind));
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(credential) => {
                let chain = CertificateDer::pem_slice_iter(credential.chain.as_bytes());
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(credential.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols =
            if self.speaks.is_empty() { vec![] } else { vec![self.speaks.to_vec()] };
        config
    }

    /// What comes back, to the preface and to words behind it.
    async fn run(&self, world: &World) -> std::io::Result<Vec<u8>> {
        let name = ServerName::try_from(tunnel_name(self.asks_for)).unwrap();
        let connector = TlsConnector::from(Arc::new(self.config()));
        let trying = async {
            let mut stream = connector.connect(name, world.dial_b().await).await?;
            // Each in a record of its own.
            stream.write_all(PREFACE).await?;
            stream.flush().await?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
            stream.flush().await?;
            let mut answer = vec![0; READY.len() + 3];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        tokio::time::timeout(PATIENCE, trying).await.expect("a word in time")
    }
}

/// What a workload can tell of what came to it.
type Reading<'a> = &'a dyn Fn() -> (u64, u64);

async fn refused(world: &World, reading: Reading<'_>, attempt: Attempt<'_>, case: &str) {
    let before = reading();
    let answer = attempt.run(world).await;
    assert!(answer.is_err(), "{case}: {answer:?}");
    assert_eq!(reading(), before, "{case}: something reached the workload");
}

#[tokio::test]
async fn nobody_but_the_tunnels_own_peer_gets_a_byte_to_the_workload() {
    let world = World::new().await;
    let counts = serve_tcp(&world.dialled, 8080, "api");
    let other = serve_tcp(&world.dialled, 9090, "other");
    world.plane_b.push(world.table_b(&[tcp(TUNNEL, 8080), tcp(OTHER, 9090)])).await;
    let right = Leaf::of(TUNNEL);
    // The way in, so that what follows is refused for its own reason alone.
    let good = world.root_a.issue("x", &right);
    let answer = Attempt::with(&good).run(&world).await.unwrap();
    assert_eq!(answer, [READY, b"api"].concat());
    // All that was said has been counted before anything else is tried.
    let settled = || async { (counts.read() == (1, 18)).then_some(()) };
    eventually("the words are counted", settled).await;

    let reading = || counts.read();
    everyone_else_is_refused(&world, &reading, &good).await;
    assert_eq!(other.read(), (0, 0));

    // The lease closes; the certificate is as good as before.
    world.plane_b.push(world.table_b(&[tcp(OTHER, 9090)])).await;
    refused(&world, &reading, Attempt::with(&good), "replayed after its lease closed").await;
    assert_eq!(counts.read().0, 1, "the one that was let in");
}

/// A container as a lease has it, by its own kernel's counts.
#[tokio::test]
async fn a_container_gets_no_byte_of_anybody_but_its_tunnels_own_peer() {
    let world = World::new().await;
    let container = Container::start();
    let declared = Declared { target: Some(container.target.clone()), ..tcp(TUNNEL, 8080) };
    world.plane_b.push(world.table_b(&[declared])).await;
    let good = world.root_a.issue("x", &Leaf::of(TUNNEL));
    let let_in = || async { Attempt::with(&good).run(&world).await.ok() };
    let answer = eventually("its server listens", let_in).await;
    assert_eq!(answer, [READY, b"HTT"].concat());
    let mut last = container.tcp();
    let settled = || {
        let now = container.tcp();
        let same = std::mem::replace(&mut last, now) == now;
        async move { same.then_some(()) }
    };
    eventually("that connection is over", settled).await;

    let reading = || container.tcp();
    let before = reading();
    everyone_else_is_refused(&world, &reading, &good).await;
    world.plane_b.push(world.table_b(&[])).await;
    refused(&world, &reading, Attempt::with(&good), "replayed after its lease closed").await;
    assert_eq!(reading(), before);
}

/// All who show something else than `good`, which opens the tunnel.
async fn everyone_else_is_refused(world: &World, reading: Reading<'_>, good: &Credential) {
    let stranger = Root::new("provider a");
    let of = |root: &Root, change: fn(&mut Leaf)| {
        let mut leaf = Leaf::of(TUNNEL);
        change(&mut leaf);
        root.issue("x", &leaf)
    };
    let own = |change| of(&world.root_a, change);
    for (case, credential) in [
        ("a root of the same name that the chain does not record", of(&stranger, |_| {})),
        ("the dialled provider's own root", of(&world.root_b, |_| {})),
        ("another tunnel's name", own(|leaf| leaf.names = vec![tunnel_name(OTHER)])),
        ("two names", own(|leaf| leaf.names.push(tunnel_name(OTHER)))),
        ("a name and an address", own(|leaf| leaf.names.push("10.0.0.1".into()))),
        ("no name", own(|leaf| leaf.names.clear())),
        ("a wildcard", own(|leaf| leaf.names = vec!["*.tunnel.stoa.invalid".into()])),
        ("expired", own(|leaf| leaf.to = -60)),
        ("not yet valid", own(|leaf| leaf.from = 600)),
        ("for servers alone", own(|leaf| leaf.uses = vec![ExtendedKeyUsagePurpose::ServerAuth])),
        ("for clients alone", own(|leaf| leaf.uses = vec![ExtendedKeyUsagePurpose::ClientAuth])),
        ("for anything", own(|leaf| leaf.uses.clear())),
    ] {
        refused(world, reading, Attempt::with(&credential), case).await;
    }
    let nothing = Attempt { shows: None, ..Attempt::with(good) };
    refused(world, reading, nothing, "no certificate").await;
    let silent = Attempt { speaks: b"", ..Attempt::with(good) };
    refused(world, reading, silent, "no protocol").await;
    let web = Attempt { speaks: b"h2", ..Attempt::with(good) };
    refused(world, reading, web, "another protocol").await;
    // The certificate of one tunnel does not open the other.
    let sideways = Attempt { asks_for: OTHER, ..Attempt::with(good) };
    refused(world, reading, sideways, "another tunnel").await;
    let undeclared = "web of 1 to api of 2 tcp 22";
    let ssh = world.root_a.issue("x", &Leaf::of(undeclared));
    let port = Attempt { asks_for: undeclared, ..Attempt::with(&ssh) };
    refused(world, reading, port, "a port that is not declared").await;
    plain_tcp_is_refused(world, reading).await;
}

/// Strangers on many addresses, all silent, as many as there are places.
#[tokio::test]
async fn whoever_belongs_to_a_tunnel_is_let_in_while_strangers_take_all_places() {
    let world = World::new().await;
    serve_tcp(&world.dialled, 8080, "api");
    world.plane_b.push(world.table_b(&[tcp(TUNNEL, 8080)])).await;
    let mut silent = vec![];
    for last in 11..=15_u8 {
        let address = [10, 77, 0, last];
        let text = format!("10.77.0.{last}/24");
        world.a.ip(&["addr", "add", &text, "dev", "eth0"]);
        let host = world.host_b;
        silent.extend(support::inside(world.a.path(), move || {
            let one = || {
                let any = socket2::Type::STREAM;
                let socket = socket2::Socket::new(socket2::Domain::IPV4, any, None).unwrap();
                socket.bind(&std::net::SocketAddr::from((address, 0)).into()).unwrap();
                socket.connect(&host.into()).map(|()| socket)
            };
            (0..120).filter_map(|_| one().ok()).collect::<Vec<_>>()
        }));
    }
    assert!(silent.len() > 512, "{} strangers", silent.len());
    let good = world.root_a.issue("x", &Leaf::of(TUNNEL));
    let connector = TlsConnector::from(Arc::new(Attempt::with(&good).config()));
    let name = ServerName::try_from(tunnel_name(TUNNEL)).unwrap();
    connector.connect(name, world.dial_b().await).await.unwrap();
    // None had to be given up for its silence first: the last who came still
    // has a place.
    let mut one = silent.pop().unwrap();
    one.set_nonblocking(true).unwrap();
    let read = std::io::Read::read(&mut one, &mut [0]);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

async fn plain_tcp_is_refused(world: &World, reading: Reading<'_>) {
    let before = reading();
    for words in
        [PREFACE, b"GET / HTTP/1.1\r\nHost: api\r\n\r\n", b"\x16\x03\x01\xff\xff", &[23; 64]]
    {
        let mut stream = world.dial_b().await;
        stream.write_all(words).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = vec![];
        let reading = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(PATIENCE, reading).await.expect("an end in time");
        let told = read.is_err() || answer.is_empty() || answer[0] == 21;
        assert!(told, "{words:?}: {answer:?}");
    }
    assert_eq!(reading(), before, "plain TCP reached the workload");
}

/// The other way round: whom the dialling side believes.
#[tokio::test]
async fn the_dialling_side_gives_its_bytes_to_nobody_but_the_tunnels_own_peer() {
    let world = World::new().await;
    let counts = serve_tcp(&world.dialled, 8080, "api");
    let declared = [tcp(TUNNEL, 8080)];
    let stranger = Root::new("provider b");
    for (case, root, change) in [
        ("another root", &stranger, (|_| {}) as fn(&mut Leaf)),
        ("expired", &world.root_b, |leaf| leaf.to = -60),
        ("not yet valid", &world.root_b, |leaf| leaf.from = 600),
        ("for servers alone", &world.root_b, |leaf| {
            leaf.uses = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
    ] {
        let mut table = world.table_b(&declared);
        let mut leaf = Leaf::of(TUNNEL);
        change(&mut leaf);
        let overlay = table.overlay.as_mut().unwrap();
        let id = overlay.credentials[0].id.clone();
        overlay.credentials[0] = root.issue(&id, &leaf);
        world.plane_b.push(table).await;
        world.plane_a.push(world.table_a(&declared)).await;
        world.bound().await;
        let answer = world.dialling.ask(8080, b"secret").await;
        assert!(answer.is_err(), "{case}: {answer:?}");
        let status = World::tunnel(&world.plane_a, TUNNEL).await.unwrap();
        assert_eq!(status.state, TunnelState::Down, "{case}");
        assert!(status.last_error.is_some(), "{case}");
        // Without it the next case would find what this one left.
        world.plane_a.push(world.table_a(&[])).await;
    }
    // A certificate of one's own that is another tunnel's is told, not used.
    let mut table = world.table_b(&declared);
    let overlay = table.overlay.as_mut().unwrap();
    let id = overlay.credentials[0].id.clone();
    overlay.credentials[0] = world.root_b.issue(&id, &Leaf::of(OTHER));
    world.plane_b.push(table).await;
    let status = World::tunnel(&world.plane_b, TUNNEL).await.unwrap();
    assert_eq!(status.state, TunnelState::Down);
    assert!(status.last_error.unwrap().contains("names"));
    assert_eq!(counts.read(), (0, 0));
    // With the right one all is well.
    world.declare(&declared).await;
    let answer =
        eventually("the tunnel is up", || async { world.dialling.ask(8080, b"!").await.ok() });
    assert_eq!(answer.await, b"api!");
}

#[tokio::test]
async fn a_tunnel_carries_what_it_is_declared_for_and_answers_other_prefaces_with_a_refusal() {
    let world = World::new().await;
    let counts = serve_tcp(&world.dialled, 8080, "api");
    let mut declared = tcp(TUNNEL, 8080);
    declared.transport = Transport::Udp;
    world.plane_b.push(world.table_b(&[declared])).await;
    let good = world.root_a.issue("x", &Leaf::of(TUNNEL));
    let name = ServerName::try_from(tunnel_name(TUNNEL)).unwrap();
    let connector = TlsConnector::from(Arc::new(Attempt::with(&good).config()));
    let mut stream = connector.connect(name.clone(), world.dial_b().await).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let mut answer = vec![0; READY.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"ST\x01\x03\x00\x00\x00\x07", "TCP in a tunnel of datagrams");
    // What is no preface ends the connection.
    let mut stream = connector.connect(name, world.dial_b().await).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    assert_eq!(counts.read(), (0, 0));
}
