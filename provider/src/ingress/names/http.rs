//! Fetching a small text from a web server of a tenant's choice, in a way
//! that is of no use to reach anything else: no address of this network, no
//! redirect, one KiB, five seconds, and nobody is told what came.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(5);
/// Of the answer, head included.
const MOST: u64 = 16 << 10;
/// Addresses of a name that are tried.
const ADDRESSES: usize = 2;

/// Where such a fetch may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) port: u16,
    /// Addresses that are not of the public internet, too.
    pub(super) private: bool,
}

/// The body of `http://host/path`.
pub(super) async fn fetch(
    host: &str,
    addresses: &[IpAddr],
    path: &str,
    reach: Reach,
) -> Result<String, String> {
    let allowed = addresses.iter().filter(|ip| reach.private || is_public(**ip));
    let allowed: Vec<&IpAddr> = allowed.take(ADDRESSES).collect();
    let mut last = match addresses.is_empty() {
        true => format!("{host} has no address"),
        false => format!("{host} has no public address"),
    };
    for ip in allowed {
        let address = SocketAddr::new(*ip, reach.port);
        match tokio::time::timeout(PATIENCE, get(host, address, path)).await {
            Ok(Ok(body)) => return Ok(body),
            Ok(Err(error)) => last = format!("http://{host}{path}: {error}"),
            Err(_) => last = format!("http://{host}{path} does not answer"),
        }
    }
    Err(last)
}

async fn get(host: &str, address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the body ends with the connection and is never in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![];
    stream.take(MOST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("not an HTTP answer"))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        status => Err(std::io::Error::other(format!("answers {}", status.unwrap_or("nonsense")))),
    }
}

/// Whether an address is one of the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By IANA's registry of special addresses.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !special
}

/// Of the one block that is given out, without what leads back into IPv4.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let is_given_out = (0x2000..0x4000).contains(&first);
    let special = first == 0x2001 && (second < 0x0200 || second == 0x0db8) || first == 0x2002;
    is_given_out && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached() {
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "192.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "64:ff9b::a00:1",
            "2001:db8::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[tokio::test]
    async fn a_private_address_is_not_even_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reach = |private| Reach { port: address.port(), private };
        let refused = fetch("a.example", &[address.ip()], "/x", reach(false)).await.unwrap_err();
        assert!(refused.contains("no public address"), "{refused}");
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let count = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\ntoken\n").await.unwrap();
            String::from_utf8_lossy(&request[..count]).into_owned()
        };
        let own = [address.ip()];
        let (request, body) = tokio::join!(serving, fetch("a.example", &own, "/x", reach(true)));
        assert_eq!(body.unwrap(), "token\n");
        assert!(request.starts_with("GET /x HTTP/1.0\r\nHost: a.example\r\n"), "{request}");
    }
}
