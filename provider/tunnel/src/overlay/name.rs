//! The name in a tunnel's certificates.

use sha2::{Digest, Sha256};

/// Under which all tunnels' names are: a domain that never exists (RFC 6761).
pub const TUNNEL_DOMAIN: &str = "tunnel.stoa.invalid";
/// RFC 4648's alphabet in lower case, without padding.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The DNS name of both certificates of a tunnel, and the server name that
/// its client asks for: the descriptor's SHA-256 in base32, 52 characters,
/// under [`TUNNEL_DOMAIN`].
pub fn tunnel_name(descriptor: &str) -> String {
    format!("{}.{TUNNEL_DOMAIN}", base32(&Sha256::digest(descriptor)))
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    char::from(BASE32[(value & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_tunnels_name_is_a_host_name_of_52_characters_under_the_domain() {
        let name = tunnel_name("a to b");
        assert_eq!(name.split_once('.').unwrap(), (&name[..52], TUNNEL_DOMAIN));
        assert!(crate::routes::is_host_name(&name));
        assert_ne!(name, tunnel_name("a to c"));
    }
}
