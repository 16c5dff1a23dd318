//! Keys of the queue of deadlines.

use super::{Deadline, Kind, Subject};
use crate::types::{DeploymentId, GroupId, LeaseId, OrderId};

const QUEUE: u8 = 0xa0;

/// First key of the deadlines due at `time` or later.
pub fn from_time(time: u64) -> Vec<u8> {
    [&[QUEUE][..], &time.to_be_bytes()].concat()
}

/// Due time, kind, id: big-endian, so that the queue's order is the keys'.
pub fn entry_key(deadline: &Deadline) -> Vec<u8> {
    let mut key = from_time(deadline.due);
    key.push(deadline.kind.number());
    key.extend(match deadline.subject {
        Subject::Deployment(id) => id.to_key(),
        Subject::Group(id) => id.to_key(),
        Subject::Order(id) => id.to_key(),
        Subject::Lease(id) => id.to_key(),
    });
    key
}

/// An entry from its key. What waits is told by the id's length.
pub fn parse_entry(key: &[u8]) -> Option<Deadline> {
    let (_, rest) = key.split_first()?;
    let (due, rest) = rest.split_first_chunk::<8>()?;
    let (kind, id) = rest.split_first()?;
    let subject = match id.len() {
        DeploymentId::LEN => Subject::Deployment(DeploymentId::from_key(id)?),
        GroupId::LEN => Subject::Group(GroupId::from_key(id)?),
        OrderId::LEN => Subject::Order(OrderId::from_key(id)?),
        LeaseId::LEN => Subject::Lease(LeaseId::from_key(id)?),
        _ => return None,
    };
    Some(Deadline { due: u64::from_be_bytes(*due), kind: Kind::from_number(*kind)?, subject })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Address;

    #[test]
    fn entries_sort_by_time_then_kind_and_read_back() {
        let deployment = DeploymentId { owner: Address::new([3; 20]), dseq: 9 };
        let order = deployment.group(1).order(1);
        let lease = order.lease(Address::new([4; 20]));
        let entries = [
            Deadline::new(9, Kind::Pruning, Subject::Group(order.group)),
            Deadline::new(10, Kind::Exhaustion, Subject::Deployment(deployment)),
            Deadline::new(10, Kind::Start, Subject::Lease(lease)),
            Deadline::new(10, Kind::Match, Subject::Order(order)),
            Deadline::new(256, Kind::Exhaustion, Subject::Deployment(deployment)),
        ];
        let keys: Vec<_> = entries.iter().map(entry_key).collect();
        assert!(keys.is_sorted());
        let back: Vec<_> = keys.iter().filter_map(|key| parse_entry(key)).collect();
        assert_eq!(back, entries);
    }

    #[test]
    fn keys_are_what_they_were() {
        let deployment = DeploymentId { owner: Address::new([3; 20]), dseq: 9 };
        let entry = Deadline::new(258, Kind::Overdrawn, Subject::Deployment(deployment));
        let mut wanted = vec![0xa0, 0, 0, 0, 0, 0, 0, 1, 2, 8];
        wanted.extend([3; 20]);
        wanted.extend([0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(entry_key(&entry), wanted);
    }
}
