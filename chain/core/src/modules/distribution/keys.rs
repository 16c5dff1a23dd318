//! Keys of distribution.

use crate::types::Address;

const PARAMS: u8 = 0x58;
const VALIDATOR: u8 = 0x59;
const START: u8 = 0x5a;
const SLASH: u8 = 0x5b;
const REMAINDER: u8 = 0x5c;
const WITHDRAW_ADDRESS: u8 = 0x5d;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn validators() -> Vec<u8> {
    vec![VALIDATOR]
}

pub fn validator(operator: &Address) -> Vec<u8> {
    of_account(VALIDATOR, operator)
}

pub fn starts() -> Vec<u8> {
    vec![START]
}

pub fn start(delegator: &Address, validator: &Address) -> Vec<u8> {
    [&[START], delegator.as_bytes().as_slice(), validator.as_bytes()].concat()
}

pub fn start_parts(key: &[u8]) -> Option<(Address, Address)> {
    let (delegator, rest) = split_address(key.split_first()?.1)?;
    let (validator, rest) = split_address(rest)?;
    rest.is_empty().then_some((delegator, validator))
}

pub fn all_slashes() -> Vec<u8> {
    vec![SLASH]
}

pub fn slashes(validator: &Address) -> Vec<u8> {
    of_account(SLASH, validator)
}

/// By height, then period, for a validator may be slashed twice in a block.
pub fn slash(validator: &Address, height: u64, period: u64) -> Vec<u8> {
    [&slashes(validator)[..], &height.to_be_bytes(), &period.to_be_bytes()].concat()
}

pub fn slash_parts(key: &[u8]) -> Option<(Address, u64, u64)> {
    let (validator, rest) = split_address(key.split_first()?.1)?;
    let (height, rest) = rest.split_first_chunk()?;
    let period = rest.try_into().ok()?;
    Some((validator, u64::from_be_bytes(*height), u64::from_be_bytes(period)))
}

pub fn remainders() -> Vec<u8> {
    vec![REMAINDER]
}

pub fn remainder(delegator: &Address) -> Vec<u8> {
    of_account(REMAINDER, delegator)
}

pub fn withdraw_addresses() -> Vec<u8> {
    vec![WITHDRAW_ADDRESS]
}

pub fn withdraw_address(delegator: &Address) -> Vec<u8> {
    of_account(WITHDRAW_ADDRESS, delegator)
}

/// Whose the key of a validator, a remainder or a withdraw address is.
pub fn account(key: &[u8]) -> Option<Address> {
    let (address, rest) = split_address(key.split_first()?.1)?;
    rest.is_empty().then_some(address)
}

fn of_account(kind: u8, address: &Address) -> Vec<u8> {
    [&[kind], address.as_bytes().as_slice()].concat()
}

fn split_address(key: &[u8]) -> Option<(Address, &[u8])> {
    let (address, rest) = key.split_first_chunk()?;
    Some((Address::new(*address), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::new([1; 20]);
    const B: Address = Address::new([2; 20]);

    #[test]
    fn keys_are_what_they_were() {
        assert_eq!(params(), [0x58]);
        assert_eq!(validator(&A), [&[0x59][..], &[1; 20]].concat());
        assert_eq!(start(&A, &B), [&[0x5a][..], &[1; 20], &[2; 20]].concat());
        let numbers = [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(slash(&A, 7, 9), [&[0x5b][..], &[1; 20], &numbers].concat());
        assert_eq!(remainder(&A), [&[0x5c][..], &[1; 20]].concat());
        assert_eq!(withdraw_address(&A), [&[0x5d][..], &[1; 20]].concat());
    }

    #[test]
    fn keys_read_back_as_they_were_built() {
        assert_eq!(start_parts(&start(&A, &B)), Some((A, B)));
        assert_eq!(slash_parts(&slash(&A, 7, 9)), Some((A, 7, 9)));
        assert_eq!(account(&remainder(&B)), Some(B));
        assert_eq!(account(&start(&A, &B)), None);
    }
}
