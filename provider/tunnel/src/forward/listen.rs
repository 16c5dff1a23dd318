//! Sockets of this host that the world speaks to.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::routes::Transport;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Whether this process has the port already, at another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    Has,
    HasNot,
}

/// Listens on a TCP port.
pub(crate) fn tcp(address: SocketAddr, own: Own) -> io::Result<TcpListener> {
    let socket = bind(address, Transport::Tcp, own)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Opens a UDP port.
pub(crate) fn udp(address: SocketAddr, own: Own) -> io::Result<UdpSocket> {
    UdpSocket::from_std(bind(address, Transport::Udp, own)?.into())
}

/// A socket that shares its port with this process's others at another
/// address of the host (the ingress on all addresses, a tenant's port 80 on
/// one), but with nobody else: the kernel then gives what comes to the one
/// whose address fits best.
fn bind(address: SocketAddr, transport: Transport, own: Own) -> io::Result<Socket> {
    // Whoever has the port without sharing it refuses either kind; whoever
    // shares it would refuse only this one.
    if address.ip().is_unspecified() && own == Own::HasNot {
        drop(open(address, transport, false)?);
    }
    open(address, transport, true)
}

fn open(address: SocketAddr, transport: Transport, share: bool) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    if transport == Transport::Tcp {
        // Connections of the last run that linger do not keep the port.
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(share)?;
    socket.bind(&address.into())?;
    if !share && transport == Transport::Tcp {
        socket.listen(1)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_of_a_port_may_be_anothers_and_a_taken_port_is_not_shared() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let all = bind("0.0.0.0:0".parse().unwrap(), transport, Own::HasNot).unwrap();
            if transport == Transport::Tcp {
                all.listen(1).unwrap();
            }
            let port = all.local_addr().unwrap().as_socket().unwrap().port();
            let again = |own| bind(([0, 0, 0, 0], port).into(), transport, own);
            assert!(again(Own::HasNot).is_err(), "{transport} twice");
            let one = bind(([127, 0, 0, 2], port).into(), transport, Own::Has).unwrap();
            if transport == Transport::Tcp {
                one.listen(1).unwrap();
            }
            drop(all);
            // The exact address first, and then all: its own is no obstacle.
            assert!(again(Own::HasNot).is_err());
            drop((again(Own::Has).unwrap(), one));
        }
        // Somebody else's, who shares with nobody.
        let foreign = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = foreign.local_addr().unwrap().port();
        for ip in [[0, 0, 0, 0], [127, 0, 0, 1]] {
            assert!(tcp((ip, port).into(), Own::HasNot).is_err());
        }
        let foreign = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(udp(foreign.local_addr().unwrap(), Own::HasNot).is_err());
    }

    #[tokio::test]
    async fn the_more_exact_address_gets_what_comes_to_it() {
        let all = tcp("0.0.0.0:0".parse().unwrap(), Own::HasNot).unwrap();
        let port = all.local_addr().unwrap().port();
        let one = tcp(([127, 0, 0, 2], port).into(), Own::Has).unwrap();
        for _ in 0..8 {
            let connecting = tokio::net::TcpStream::connect(("127.0.0.2", port));
            let (accepted, _) = tokio::join!(one.accept(), connecting);
            assert_eq!(accepted.unwrap().0.local_addr().unwrap().ip().to_string(), "127.0.0.2");
        }
    }
}
