//! What is done inside a link's namespace: addresses put on its interface, and
//! sockets bound. No byte is read or written there.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use super::{netlink, Place};
use crate::netns::Identity;
use crate::routes::Transport;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// What a namespace is to have.
pub(super) struct Binding {
    /// The link's own address, by which its interface is known.
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    pub(super) virtual_addresses: HashSet<IpAddr>,
    pub(super) places: Vec<Place>,
}

/// What it has.
pub(super) struct Outcome {
    pub(super) namespace: Identity,
    pub(super) places: Vec<(Place, io::Result<Bound>)>,
    pub(super) problem: Option<String>,
}

/// A socket of the namespace.
pub(super) enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Runs on the thread that is in the namespace.
pub(super) fn bind(binding: &Binding) -> io::Result<Outcome> {
    let namespace = Identity::of_this_thread()?;
    let problem = lay_out(binding).err().map(|error| format!("its addresses: {error}"));
    let places = binding.places.iter().map(|place| (place.clone(), open(place))).collect();
    Ok(Outcome { namespace, places, problem })
}

/// All addresses on the interface beside the link's own are ours: the engine
/// gives one of a kind, and nobody else is in the namespace.
fn lay_out(binding: &Binding) -> io::Result<()> {
    let interfaces: Vec<(String, IpAddr)> = getifaddrs()?
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
            Some((interface.interface_name, v4.or(v6)?))
        })
        .collect();
    let own = interfaces.iter().find(|(_, address)| *address == binding.address);
    let words = || format!("no interface has the link's address {}", binding.address);
    let (name, _) = own.ok_or_else(|| io::Error::other(words()))?;
    let index = if_nametoindex(name.as_str())?;
    let there: HashSet<IpAddr> = interfaces
        .iter()
        .filter(|(interface, _)| interface == name)
        .map(|(_, address)| *address)
        .collect();
    let mut channel = netlink::Channel::open()?;
    for address in binding.virtual_addresses.difference(&there) {
        channel.change(netlink::Change::Add, index, *address, binding.prefix)?;
    }
    let ours = |address: &&IpAddr| {
        **address != binding.address
            && !binding.virtual_addresses.contains(address)
            && same_subnet(**address, binding.address, binding.prefix)
    };
    for surplus in there.iter().filter(ours) {
        channel.change(netlink::Change::Remove, index, *surplus, binding.prefix)?;
    }
    Ok(())
}

fn same_subnet(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let shift = 32u32.saturating_sub(prefix.into());
            let differ = one.to_bits() ^ other.to_bits();
            differ.checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let shift = 128u32.saturating_sub(prefix.into());
            let differ = one.to_bits() ^ other.to_bits();
            differ.checked_shr(shift).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn open(place: &Place) -> io::Result<Bound> {
    let address: SocketAddr = place.address();
    let (kind, protocol) = match place.transport() {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    // Connections of the last run that linger do not keep the port.
    socket.set_reuse_address(place.transport() == Transport::Tcp)?;
    socket.bind(&address.into())?;
    match place.transport() {
        Transport::Tcp => {
            socket.listen(BACKLOG)?;
            Ok(Bound::Tcp(socket.into()))
        }
        Transport::Udp => Ok(Bound::Udp(socket.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_workloads_subnet_are_taken_away() {
        let same = |one: &str, other: &str, prefix| {
            same_subnet(one.parse().unwrap(), other.parse().unwrap(), prefix)
        };
        assert!(same("10.9.0.3", "10.9.0.14", 28));
        assert!(!same("10.9.0.3", "10.9.0.17", 28));
        assert!(!same("10.9.0.3", "10.9.0.4", 32));
        assert!(same("fd00::1", "fd00::ffff", 64));
        assert!(!same("fe80::1", "fd00::1", 64) && !same("10.9.0.3", "fd00::1", 28));
    }
}
