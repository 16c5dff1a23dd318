//! Keys of cert.

use super::Serial;
use crate::types::Address;

const CERTIFICATE: u8 = 0x20;

pub fn certificates() -> Vec<u8> {
    vec![CERTIFICATE]
}

pub fn certificates_of(owner: &Address) -> Vec<u8> {
    [&[CERTIFICATE][..], owner.as_bytes()].concat()
}

pub fn certificate(owner: &Address, serial: &Serial) -> Vec<u8> {
    [&[CERTIFICATE][..], owner.as_bytes(), serial.as_bytes()].concat()
}

pub fn certificate_parts(key: &[u8]) -> Option<(Address, Serial)> {
    let (_, rest) = key.split_first()?;
    let (owner, serial) = rest.split_first_chunk::<{ Address::LEN }>()?;
    Some((Address::new(*owner), Serial::new(serial)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let (owner, serial) = (Address::new([1; 20]), Serial::new(&[9, 8]).unwrap());
        let key = certificate(&owner, &serial);
        assert_eq!(key, [&[0x20][..], &[1; 20], &[9, 8]].concat());
        assert!(key.starts_with(&certificates_of(&owner)));
        assert!(key.starts_with(&certificates()));
        assert_eq!(certificate_parts(&key), Some((owner, serial)));
    }
}
