//! Connecting to an endpoint that has addresses of both families: one that
//! leads nowhere costs a moment, and not the whole time that there is (RFC
//! 8305, "Happy Eyeballs"). stoa-client has the same for what it connects to.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::StreamExt;
use tokio::net::{lookup_host, TcpStream};
use tokio::time::sleep;

/// Between the beginnings of two tries (RFC 8305, 5: Connection Attempt Delay).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried, at most.
const MOST: usize = 8;

/// Connects to an endpoint, `host:port`, at the first of its addresses that
/// answers. The caller bounds the time.
///
/// # Errors
/// Where the name has no address, or none of them connects: the last one's.
pub(super) async fn connect(endpoint: &str) -> io::Result<TcpStream> {
    to_first(in_turn(lookup_host(endpoint).await?.collect())).await
}

/// The families take turns, the resolver's first one first (RFC 8305, 4).
fn in_turn(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_six = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == is_six);
    let mut order = vec![];
    while !(first.is_empty() && second.is_empty()) {
        order.extend(first.pop_front().into_iter().chain(second.pop_front()));
    }
    order.truncate(MOST);
    order
}

/// Tries each a little after the one before, or as soon as that failed; the
/// others are dropped when one connects.
async fn to_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut rest = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    loop {
        match rest.next() {
            Some(address) => tries.push(to(address)),
            None if tries.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(tried) = tries.next() => match tried {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = sleep(STAGGER), if rest.len() > 0 => {}
        }
    }
}

async fn to(address: SocketAddr) -> io::Result<TcpStream> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    use super::*;

    /// More than any try here takes, and less than the kernel's patience.
    const LONG: Duration = Duration::from_secs(20);

    /// An address that answers nothing: the queue of who listens there is full.
    async fn black_hole() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = vec![];
        while let Ok(stream) =
            timeout(Duration::from_millis(700), TcpStream::connect(address)).await
        {
            waiting.push(stream.unwrap());
        }
        (address, listener, waiting)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_does_not_keep_from_the_next() {
        let (dead, _listener, _waiting) = black_hole().await;
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = alive.local_addr().unwrap();
        let stream = timeout(LONG, to_first(vec![dead, dead, address])).await;
        let stream = stream.expect("the first one was waited for").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn where_none_connects_it_is_told_of_one_and_why() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = to_first(vec![closed, closed]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&closed.to_string()), "{error}");
        assert_eq!(to_first(vec![]).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn families_take_turns_and_what_is_tried_is_bounded() {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let found = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let order = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(in_turn(found), order);
        assert_eq!(in_turn(parse(&["1.1.1.1:1"; 50])).len(), MOST);
        assert!(in_turn(vec![]).is_empty());
    }
}
