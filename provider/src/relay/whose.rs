//! For which of this provider's own listeners a connection is that came
//! through a relay: its first TLS message says whether it is a tunnel.

use std::io;
use std::net::SocketAddr;

use rustls::server::Acceptor;
use stoa_tunnel::overlay::TUNNEL_ALPN;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a first message: the largest record of TLS with its head.
const MOST: usize = (16 << 10) + 5;

/// What listens on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    pub gateway: SocketAddr,
    /// Where the data plane takes tunnels.
    pub tunnels: SocketAddr,
}

/// Reads as much as is needed to tell, and gives it back with the listener.
/// What is no TLS is the gateway's to refuse.
pub(super) async fn of(
    stream: &mut (impl AsyncRead + Unpin),
    own: Own,
) -> io::Result<(Vec<u8>, SocketAddr)> {
    let mut acceptor = Acceptor::default();
    let mut begin = Vec::with_capacity(2048);
    while begin.len() < MOST {
        let known = begin.len();
        if stream.read_buf(&mut begin).await? == 0 {
            break;
        }
        let mut fresh = &begin[known..];
        while !fresh.is_empty() {
            if acceptor.read_tls(&mut fresh)? == 0 {
                return Ok((begin, own.gateway));
            }
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(hello)) => {
                let is_tunnel = hello
                    .client_hello()
                    .alpn()
                    .is_some_and(|mut offered| offered.any(|one| one == TUNNEL_ALPN));
                return Ok((begin, if is_tunnel { own.tunnels } else { own.gateway }));
            }
            Err(_) => break,
        }
    }
    Ok((begin, own.gateway))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn own() -> Own {
        Own { gateway: ([127, 0, 0, 1], 1).into(), tunnels: ([127, 0, 0, 1], 2).into() }
    }

    fn hello(alpn: &[&[u8]]) -> Vec<u8> {
        stoa_client::install_crypto();
        let mut config = ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
        let name = "p.example".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = vec![];
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// What comes in pieces of a size.
    async fn told(bytes: &[u8], piece: usize) -> (Vec<u8>, SocketAddr) {
        let (mut near, mut far) = tokio::io::duplex(piece);
        let sending = async {
            far.write_all(bytes).await.unwrap();
            far.shutdown().await.unwrap();
        };
        let (told, ()) = tokio::join!(of(&mut near, own()), sending);
        told.unwrap()
    }

    #[tokio::test]
    async fn a_tunnel_is_known_by_its_protocol_and_all_else_is_the_gateways() {
        let (tunnel, call) = (hello(&[TUNNEL_ALPN]), hello(&[b"h2", b"http/1.1"]));
        for piece in [1, 7, 1 << 14] {
            assert_eq!(told(&tunnel, piece).await, (tunnel.clone(), own().tunnels));
            assert_eq!(told(&call, piece).await, (call.clone(), own().gateway));
        }
        assert_eq!(told(&hello(&[]), 64).await.1, own().gateway);
        for none in [b"".as_slice(), b"GET / HTTP/1.1\r\n\r\n", &tunnel[..40]] {
            let (begin, goes) = told(none, 64).await;
            assert_eq!(goes, own().gateway);
            assert!(none.starts_with(&begin));
        }
        let endless = vec![0x16; 4 * MOST];
        let (mut near, mut far) = tokio::io::duplex(4 * MOST);
        far.write_all(&endless).await.unwrap();
        let (begin, goes) = of(&mut near, own()).await.unwrap();
        assert!(goes == own().gateway && begin.len() <= 2 * MOST, "{} bytes", begin.len());
    }
}
