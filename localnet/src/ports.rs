//! Ports that nothing uses.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{bail, Result};
use rand::Rng;

/// Where the search begins at the lowest.
const FIRST: u16 = 15_000;

/// Where the kernel takes the ports of outgoing connections from, if it does not say.
const DEFAULT_EPHEMERAL: u16 = 32_768;

/// Gives out each port once.
///
/// The ports lie below those that the kernel gives to outgoing connections: a node that is killed
/// and started again finds its own still free.
#[derive(Debug, Default)]
pub struct Ports {
    given: BTreeSet<u16>,
}

impl Ports {
    /// A port of the loopback on which nothing listens.
    ///
    /// # Errors
    /// If there is none left.
    pub fn free(&mut self) -> Result<u16> {
        let end = ephemeral_start(
            &fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default(),
        );
        let count = end.saturating_sub(FIRST).max(1);
        let start = rand::thread_rng().gen_range(0..count);
        for offset in 0..count {
            let port = FIRST + (start + offset) % count;
            if !self.given.contains(&port) && is_free(port) {
                self.given.insert(port);
                return Ok(port);
            }
        }
        bail!("no free port from {FIRST} to {end}");
    }
}

/// Whether nothing listens on this port of the loopback, or has it reserved.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The first of the kernel's ports for outgoing connections, from its setting's text.
fn ephemeral_start(range: &str) -> u16 {
    let first = range.split_whitespace().next().and_then(|text| text.parse().ok());
    first.filter(|first| *first > FIRST).unwrap_or(DEFAULT_EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_free_and_given_once() {
        let mut ports = Ports::default();
        let given: BTreeSet<u16> = (0..50).map(|_| ports.free().unwrap()).collect();
        assert_eq!(given.len(), 50);
        let port = *given.first().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }

    #[test]
    fn the_kernels_own_ports_are_left_to_it() {
        assert_eq!(ephemeral_start("32768\t60999\n"), 32_768);
        assert_eq!(ephemeral_start("20000 60999"), 20_000);
        assert_eq!(ephemeral_start(""), DEFAULT_EPHEMERAL);
        assert_eq!(ephemeral_start("1024 65535"), DEFAULT_EPHEMERAL, "too low to stay below");
    }
}
