//! What is public: addresses that a public name may have, and names that may
//! be looked up outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Domains that are somebody's own (RFC 6761, 6762, 8375, and ICANN's
/// `internal`) or that never exist.
const INTERNAL: &[&str] = &[
    "localhost",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "invalid",
    "test",
    "onion",
    "localdomain",
    "home.arpa",
];

/// Whether an address belongs to the public internet. Others in the answer for
/// a public name lead into somebody's network (DNS rebinding).
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA's registry of special addresses: what is not globally reachable.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 100 && (64..128).contains(&b)
        || [a, b, c] == [192, 0, 0]
        || [a, b, c] == [192, 88, 99]
        || a == 198 && (b == 18 || b == 19)
        || a >= 224;
    !special
}

/// Global unicast without documentation, and without what carries an IPv4
/// address in it (6to4, Teredo).
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let documentation = a == 0x2001 && b == 0x0db8 || a == 0x3fff && b < 0x1000;
    a & 0xe000 == 0x2000 && !documentation && a != 0x2002 && !(a == 0x2001 && b < 0x0200)
}

/// Whether a name, in lower case, may be looked up outside.
pub(super) fn is_public_name(name: &str) -> bool {
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        return reversed_v4(reversed).is_some_and(is_public_v4);
    }
    if let Some(reversed) = name.strip_suffix(".ip6.arpa") {
        return reversed_v6(reversed).is_some_and(is_public_v6);
    }
    let under = |domain: &&str| {
        name == *domain || name.strip_suffix(*domain).is_some_and(|front| front.ends_with('.'))
    };
    name.contains('.') && !name.ends_with(".arpa") && !INTERNAL.iter().any(under)
}

fn reversed_v4(name: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut labels = name.rsplit('.');
    for octet in &mut octets {
        *octet = labels.next()?.parse().ok()?;
    }
    labels.next().is_none().then(|| octets.into())
}

fn reversed_v6(name: &str) -> Option<Ipv6Addr> {
    let mut value = 0u128;
    let mut labels = name.rsplit('.');
    for _ in 0..32 {
        let digit = labels.next().filter(|label| label.len() == 1)?;
        value = value << 4 | u128::from(u8::from_str_radix(digit, 16).ok()?);
    }
    labels.next().is_none().then(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_somebodys_network_are_not_public() {
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.1",
            "192.168.1.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!is_public_address(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "9.9.9.9", "2606:4700::1111"] {
            assert!(is_public_address(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn internal_names_are_not_public() {
        for name in [
            "",
            "localhost",
            "db",
            "a.localhost",
            "metadata.google.internal",
            "printer.local",
            "1.0.0.10.in-addr.arpa",
            "254.169.254.169.in-addr.arpa",
            "10.in-addr.arpa",
            "home.arpa",
            "x.home.arpa",
            "internal",
            "a.lan",
        ] {
            assert!(!is_public_name(name), "{name}");
        }
        for name in ["example.com", "notlocal.example", "xinternal.io", "1.1.1.1.in-addr.arpa"] {
            assert!(is_public_name(name), "{name}");
        }
    }
}
