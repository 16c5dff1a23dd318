//! Addresses of interfaces by rtnetlink(7): a process for each would cost more
//! than all the rest of a link.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    recv, sendto, setsockopt, socket, sockopt, AddressFamily, MsgFlags, NetlinkAddr, SockFlag,
    SockProtocol, SockType,
};
use nix::sys::time::TimeVal;

/// What to do with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
}

/// A socket to the kernel of the namespace it was opened in.
pub(super) struct Channel {
    socket: OwnedFd,
    sequence: u32,
}

/// An address that was there (or gone) already is as well.
const ALREADY: [i32; 2] = [libc::EEXIST, libc::EADDRNOTAVAIL];
const HEADER: usize = 16;
const ANSWER: usize = 4096;

impl Channel {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        // The kernel answers at once; a thread that serves all must not hang.
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(2, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes the change and waits for the kernel's word.
    pub(super) fn change(
        &mut self,
        change: Change,
        interface: u32,
        address: IpAddr,
        prefix: u8,
    ) -> io::Result<()> {
        self.sequence += 1;
        let message = message(change, interface, address, prefix, self.sequence);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.socket.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
        let mut answer = [0; ANSWER];
        let count = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        match error_of(&answer[..count]) {
            Some(0) => Ok(()),
            Some(error) if ALREADY.contains(&-error) => Ok(()),
            Some(error) => {
                let cause = io::Error::from_raw_os_error(-error);
                Err(io::Error::new(cause.kind(), format!("{change:?} {address}: {cause}")))
            }
            None => Err(io::Error::other("the kernel's answer is no acknowledgement")),
        }
    }
}

/// nlmsghdr, ifaddrmsg, then IFA_LOCAL and IFA_ADDRESS; all in the machine's
/// byte order but the address.
fn message(change: Change, interface: u32, address: IpAddr, prefix: u8, sequence: u32) -> Vec<u8> {
    let (family, bytes) = match address {
        IpAddr::V4(v4) => (libc::AF_INET as u8, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6 as u8, v6.octets().to_vec()),
    };
    let (kind, extra) = match change {
        Change::Add => (libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL),
        Change::Remove => (libc::RTM_DELADDR, 0),
    };
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | extra) as u16;
    // IPv6: usable at once, not after a search for others that have it.
    let no_search = if address.is_ipv6() { libc::IFA_F_NODAD as u8 } else { 0 };
    let length = HEADER + 8 + 2 * (4 + bytes.len());
    let mut message = Vec::with_capacity(length);
    message.extend((length as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend([0; 4]);
    message.extend([family, prefix, no_search, 0]);
    message.extend(interface.to_ne_bytes());
    for attribute in [libc::IFA_LOCAL, libc::IFA_ADDRESS] {
        message.extend((4 + bytes.len() as u16).to_ne_bytes());
        message.extend(attribute.to_ne_bytes());
        message.extend(&bytes);
    }
    message
}

/// The error of an NLMSG_ERROR message, negative; 0 acknowledges.
fn error_of(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(HEADER..HEADER + 4)?.try_into().ok()?);
    (i32::from(kind) == libc::NLMSG_ERROR).then_some(error)
}
