//! Keys of deployment.

use crate::types::{Address, DeploymentId, GroupId};

const PARAMS: u8 = 0x28;
const DEPLOYMENT: u8 = 0x29;
const GROUP: u8 = 0x2a;
const LAST_DSEQ: u8 = 0x2b;
const CLOSED_GROUP: u8 = 0x2c;

pub fn params() -> Vec<u8> {
    vec![PARAMS]
}

pub fn deployments() -> Vec<u8> {
    vec![DEPLOYMENT]
}

pub fn deployments_of(owner: &Address) -> Vec<u8> {
    [&[DEPLOYMENT][..], owner.as_bytes()].concat()
}

pub fn deployment(id: DeploymentId) -> Vec<u8> {
    [&[DEPLOYMENT][..], &id.to_key()].concat()
}

pub fn deployment_id(key: &[u8]) -> Option<DeploymentId> {
    DeploymentId::from_key(key.split_first()?.1)
}

pub fn groups() -> Vec<u8> {
    vec![GROUP]
}

pub fn groups_of(id: DeploymentId) -> Vec<u8> {
    [&[GROUP][..], &id.to_key()].concat()
}

pub fn group(id: GroupId) -> Vec<u8> {
    [&[GROUP][..], &id.to_key()].concat()
}

pub fn closed_groups() -> Vec<u8> {
    vec![CLOSED_GROUP]
}

/// Closed groups stand apart, so that nobody who works on a deployment passes
/// those that it once had.
pub fn closed_group(id: GroupId) -> Vec<u8> {
    [&[CLOSED_GROUP][..], &id.to_key()].concat()
}

/// Of a group's key, closed or not.
pub fn group_id(key: &[u8]) -> Option<GroupId> {
    GroupId::from_key(key.split_first()?.1)
}

pub fn last_dseqs() -> Vec<u8> {
    vec![LAST_DSEQ]
}

pub fn last_dseq(owner: &Address) -> Vec<u8> {
    [&[LAST_DSEQ][..], owner.as_bytes()].concat()
}

pub fn last_dseq_owner(key: &[u8]) -> Option<Address> {
    Some(Address::new(key.split_first()?.1.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were() {
        let id = DeploymentId { owner: Address::new([7; 20]), dseq: 3 };
        let id_bytes = [&[7; 20][..], &[0, 0, 0, 0, 0, 0, 0, 3]].concat();
        assert_eq!(deployment(id), [&[0x29][..], &id_bytes].concat());
        assert_eq!(group(id.group(1)), [&[0x2a][..], &id_bytes, &[0, 0, 0, 1]].concat());
        assert_eq!(closed_group(id.group(1)), [&[0x2c][..], &id_bytes, &[0, 0, 0, 1]].concat());
        assert_eq!(last_dseq(&id.owner), [&[0x2b][..], &[7; 20]].concat());
        assert_eq!(deployment_id(&deployment(id)), Some(id));
        assert_eq!(group_id(&group(id.group(1))), Some(id.group(1)));
        assert_eq!(last_dseq_owner(&last_dseq(&id.owner)), Some(id.owner));
    }
}
