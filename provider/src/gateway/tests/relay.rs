//! A provider behind a relay, with real TLS at every joint.

use std::sync::Mutex;

use stoa_client::gateway::stream;
use stoa_client::tls::{leaf, server_config, TenantVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::peers::Other;
use super::*;
use crate::relay::{Behind, Own, ALPN};

/// More than a relay takes on a busy machine.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);
const WORDS: &str = "attack at dawn, and tell nobody of it";

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// A relay with one port, and a provider that is to be behind it.
async fn relay(settle: impl FnOnce(&mut crate::config::Config)) -> (Stage, Other, u16) {
    let port = free_port().await;
    let stage = Stage::set_whole(|config| {
        config.peering.relay_ports = format!("{port}-{port}");
        settle(config);
    })
    .await;
    let other = Other::joins(&stage);
    (stage, other, port)
}

/// A gateway of the other's, on its own machine: says back what it hears.
async fn gateway_of(other: &Other) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shown = leaf(&other.root, &other.address, &[], 30).unwrap();
    let config = server_config(&shown, TenantVerifier::new(true)).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut heard = vec![0; WORDS.len()];
            if stream.read_exact(&mut heard).await.is_ok() {
                let _ = stream.write_all(&heard).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

/// Passes connections on to a port, and keeps all bytes that go by: what the
/// relay sees.
async fn tap(port: u16) -> (std::net::SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(vec![]));
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((inner, _)) = listener.accept().await {
            let outer = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (a, b) = (inner.into_split(), outer.into_split());
            tokio::spawn(copy(a.0, b.1, kept.clone()));
            tokio::spawn(copy(b.0, a.1, kept.clone()));
        }
    });
    (address, seen)
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        seen.lock().unwrap().extend_from_slice(&buffer[..n]);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// What a tenant does with the provider as the chain names it.
async fn says_back(record: &Provider, tenant: &Identity) -> stoa_client::Result<String> {
    let mut stream = stream(record, Some(tenant), b"h2").await?;
    stream.write_all(WORDS.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    Ok(text)
}

/// How a tunnel begins.
fn tunnel_hello() -> Vec<u8> {
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![stoa_tunnel::overlay::TUNNEL_ALPN.to_vec()];
    let name = "tunnel.example".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = vec![];
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_provider_behind_a_relay_is_reached_and_verified_and_the_relay_sees_ciphertext_alone() {
    let (stage, other, port) = relay(|_| {}).await;
    let plane = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tunnels = plane.local_addr().unwrap();
    let own = Own { gateway: gateway_of(&other).await, tunnels };
    let (address, root) = (other.address.clone(), other.root.clone());
    let peers = Arc::new(other.peers);
    let behind = Behind::new(peers.clone(), &me(), port, own);
    let mut at = behind.port();
    let running = tokio::spawn(behind.run());
    tokio::time::timeout(LONG, at.wait_for(|at| *at == Some(port))).await.unwrap().unwrap();

    let (tapped, seen) = tap(port).await;
    let record = Provider {
        owner: address.clone(),
        host_uri: format!("https://{tapped}"),
        root_certificate: root.certificate().to_vec(),
        ..Provider::default()
    };
    for _ in 0..3 {
        assert_eq!(says_back(&record, &stage.tenant).await.unwrap(), WORDS);
    }
    {
        let seen = seen.lock().unwrap();
        assert!(seen.len() > 3 * 2 * WORDS.len(), "{} bytes went by", seen.len());
        assert!(!seen.windows(6).any(|bytes| bytes == b"attack"));
    }
    // A tunnel through the same port comes to the data plane, as it was sent.
    let hello = tunnel_hello();
    let mut dialled = TcpStream::connect(tapped).await.unwrap();
    dialled.write_all(&hello).await.unwrap();
    let (mut taken, _) = plane.accept().await.unwrap();
    let mut came = vec![0; hello.len()];
    taken.read_exact(&mut came).await.unwrap();
    assert!(came == hello);
    taken.write_all(b"back").await.unwrap();
    let mut back = [0; 4];
    dialled.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"back");
    // Whoever expects another provider there is not deceived.
    let wrong = Provider {
        root_certificate: provider_root(&address, 30).unwrap().certificate().to_vec(),
        ..record.clone()
    };
    assert!(says_back(&wrong, &stage.tenant).await.is_err());

    // After its daemon's restart it has the same port again.
    running.abort();
    let again = Behind::new(peers, &me(), port, own);
    let mut at = again.port();
    tokio::spawn(again.run());
    tokio::time::timeout(LONG, at.wait_for(|at| *at == Some(port))).await.unwrap().unwrap();
    assert_eq!(says_back(&record, &stage.tenant).await.unwrap(), WORDS);
}

#[tokio::test]
async fn a_relay_listens_for_those_alone_that_it_is_for_and_hands_no_connection_to_another() {
    let (_stage, other, port) =
        relay(|config| config.peering.relay_allowed = vec![Address::from([3; 20]).to_string()])
            .await;
    let mut stream = other.peers.stream(&me(), ALPN).await.unwrap();
    let [high, low] = port.to_be_bytes();
    stream.write_all(&[1, high, low]).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 3, "refused");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "nobody listens");

    // A token that was never given leads nowhere.
    let mut stream = other.peers.stream(&me(), ALPN).await.unwrap();
    stream.write_all(&[5]).await.unwrap();
    stream.write_all(&[7; 16]).await.unwrap();
    let mut rest = vec![];
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
