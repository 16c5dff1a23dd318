//! Keys of escrow.

use crate::types::{Denom, DeploymentId};

const PARAMS: u8 = 0x40;
const ACCOUNT: u8 = 0x41;
const POOL: u8 = 0x42;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn accounts() -> Vec<u8> {
    vec![ACCOUNT]
}

pub fn account(id: DeploymentId) -> Vec<u8> {
    [&[ACCOUNT][..], &id.to_key()].concat()
}

pub fn account_id(key: &[u8]) -> Option<DeploymentId> {
    DeploymentId::from_key(key.split_first()?.1)
}

pub fn pools() -> Vec<u8> {
    vec![POOL]
}

pub fn pool(denom: &Denom) -> Vec<u8> {
    [&[POOL], denom.as_str().as_bytes()].concat()
}

pub fn pool_denom(key: &[u8]) -> Option<Denom> {
    std::str::from_utf8(key.split_first()?.1).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Address;

    #[test]
    fn keys_are_what_they_were() {
        let id = DeploymentId { owner: Address::new([5; 20]), dseq: 1 };
        assert_eq!(account(id), [&[0x41][..], &[5; 20], &[0, 0, 0, 0, 0, 0, 0, 1]].concat());
        assert_eq!(account_id(&account(id)), Some(id));
        let denom = Denom::try_from("ustoa").unwrap();
        assert_eq!(pool(&denom), b"\x42ustoa");
        assert_eq!(pool_denom(&pool(&denom)), Some(denom));
        assert_eq!(params(), [0x40]);
    }
}
