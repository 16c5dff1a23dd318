//! UDP: each client's address has a flow of its own to one instance, which
//! it keeps, and from whose socket the instance sees it.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::socket::{
    recvmsg, sendmsg, setsockopt, sockopt, ControlMessage, ControlMessageOwned, MsgFlags,
    SockaddrStorage,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::flow::{self, Handle};
use super::{listen, Port};
use crate::slots::client;

/// The largest datagram there is.
const DATAGRAM: usize = 65_535;

/// Who speaks, and to which address of this host: answers leave from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    local: IpAddr,
}

/// A port that knows to which of the host's addresses a datagram came.
pub(super) struct Socket {
    inner: UdpSocket,
    is_ipv6: bool,
}

impl Socket {
    pub(super) fn open(address: SocketAddr, own: listen::Own) -> io::Result<Self> {
        let inner = listen::udp(address, own)?;
        let is_ipv6 = address.is_ipv6();
        if is_ipv6 {
            setsockopt(&inner, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&inner, sockopt::Ipv4PacketInfo, &true)?;
        }
        Ok(Self { inner, is_ipv6 })
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Peer)> {
        self.inner.async_io(Interest::READABLE, || self.receive_now(buffer)).await
    }

    fn receive_now(&self, buffer: &mut [u8]) -> io::Result<(usize, Peer)> {
        let mut space = nix::cmsg_space!(nix::libc::in_pktinfo, nix::libc::in6_pktinfo);
        let mut pieces = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.inner.as_raw_fd(),
            &mut pieces,
            Some(&mut space),
            MsgFlags::empty(),
        )?;
        let from = message.address.as_ref().and_then(socket_address);
        let address = from.ok_or_else(|| io::Error::other("a datagram from nowhere"))?;
        let local = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(info.ipi6_addr.s6_addr.into()),
            _ => None,
        });
        let local = local.ok_or_else(|| io::Error::other("a datagram to nowhere"))?;
        Ok((message.bytes, Peer { address, local }))
    }

    /// Sends from the address that the peer spoke to.
    pub(super) async fn send(&self, bytes: &[u8], peer: Peer) -> io::Result<()> {
        self.inner.async_io(Interest::WRITABLE, || self.send_now(bytes, peer)).await
    }

    fn send_now(&self, bytes: &[u8], peer: Peer) -> io::Result<()> {
        let (v4, v6);
        let control = match peer.local {
            IpAddr::V4(local) if !self.is_ipv6 => {
                v4 = nix::libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
                    ipi_addr: nix::libc::in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            local => {
                let local = match local {
                    IpAddr::V4(local) => local.to_ipv6_mapped(),
                    IpAddr::V6(local) => local,
                };
                v6 = nix::libc::in6_pktinfo {
                    ipi6_addr: nix::libc::in6_addr { s6_addr: local.octets() },
                    ipi6_ifindex: 0,
                };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let to = SockaddrStorage::from(peer.address);
        let pieces = [IoSlice::new(bytes)];
        sendmsg(self.inner.as_raw_fd(), &pieces, &[control], MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// A port's flows.
struct Flows {
    socket: Arc<Socket>,
    port: Port,
    by_peer: HashMap<Peer, Handle>,
    by_client: HashMap<IpAddr, usize>,
    tasks: JoinSet<(Peer, u64)>,
    next_id: u64,
}

/// Serves a port until told to end; its flows end with this.
pub(super) async fn serve(socket: Socket, port: Port) {
    let mut flows = Flows {
        socket: Arc::new(socket),
        port,
        by_peer: HashMap::new(),
        by_client: HashMap::new(),
        tasks: JoinSet::new(),
        next_id: 0,
    };
    let socket = Arc::clone(&flows.socket);
    let mut buffer = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            received = socket.receive(&mut buffer) => match received {
                Ok((count, peer)) => flows.take(peer, &buffer[..count]),
                // An earlier answer met nobody, or the like: UDP goes on.
                Err(error) => tracing::debug!(%error, "a datagram could not be received"),
            },
            Some(ended) = flows.tasks.join_next(), if !flows.tasks.is_empty() => {
                if let Ok((peer, id)) = ended {
                    flows.forget(peer, id);
                }
            }
            () = flows.port.ended() => return,
        }
    }
}

impl Flows {
    fn take(&mut self, peer: Peer, bytes: &[u8]) {
        let counters = Arc::clone(&self.port.shared.counters);
        if let Some(flow) = self.by_peer.get(&peer) {
            if !flow.give(Bytes::copy_from_slice(bytes)) {
                counters.over_limits.add();
            }
            return;
        }
        if !self.has_room(client(peer.address.ip())) {
            counters.over_limits.add();
            return;
        }
        let Ok(place) = Arc::clone(&self.port.shared.flows).try_acquire_owned() else {
            counters.over_limits.add();
            return;
        };
        self.next_id += 1;
        let (handle, flow) =
            flow::new(self.next_id, peer, Arc::clone(&self.socket), &self.port, place);
        handle.give(Bytes::copy_from_slice(bytes));
        self.by_peer.insert(peer, handle);
        *self.by_client.entry(client(peer.address.ip())).or_default() += 1;
        self.tasks.spawn(flow.run());
    }

    /// Room for one more. Where the port is full, a flow that was never
    /// answered gives way: so strangers' forged senders shut nobody out.
    fn has_room(&mut self, client: IpAddr) -> bool {
        let limits = &self.port.shared.limits;
        if self.by_client.get(&client).is_some_and(|count| *count >= limits.flows_per_client) {
            return false;
        }
        if self.by_peer.len() < limits.flows_per_port {
            return true;
        }
        let unanswered = self.by_peer.iter().find(|(_, flow)| !flow.is_answered());
        let Some((peer, id)) = unanswered.map(|(peer, flow)| (*peer, flow.id())) else {
            return false;
        };
        self.forget(peer, id);
        true
    }

    /// Its task ends with its handle. A newer flow of the same client stays.
    fn forget(&mut self, peer: Peer, id: u64) {
        if self.by_peer.get(&peer).is_none_or(|flow| flow.id() != id) {
            return;
        }
        self.by_peer.remove(&peer);
        let client = client(peer.address.ip());
        if let Some(count) = self.by_client.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}
