//! Keys of auth.

use crate::types::Address;

const PARAMS: u8 = 0x01;
const NEXT_NUMBER: u8 = 0x02;
const ACCOUNT: u8 = 0x03;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn next_number() -> Vec<u8> {
    vec![NEXT_NUMBER]
}

pub fn accounts() -> Vec<u8> {
    vec![ACCOUNT]
}

pub fn account(address: &Address) -> Vec<u8> {
    let mut key = vec![ACCOUNT];
    key.extend(address.as_bytes());
    key
}

pub fn account_address(key: &[u8]) -> Option<Address> {
    let (_, address) = key.split_first()?;
    Some(Address::new(address.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        assert_eq!(params(), [0x01]);
        assert_eq!(next_number(), [0x02]);
        let address = Address::new([0xab; 20]);
        assert_eq!(account(&address), [&[0x03][..], &[0xab; 20]].concat());
        assert_eq!(account_address(&account(&address)), Some(address));
    }
}
