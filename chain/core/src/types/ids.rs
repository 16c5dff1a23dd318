//! Ids: `owner/dseq[/gseq[/oseq[/provider]]]`.
//!
//! As bytes they are fixed-width and big-endian, so that a longer id starts
//! with the shorter one and keys sort as people read them.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use stoa_proto::types::v1 as pb;

use super::Address;
use crate::error::SdkError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            BorshSerialize, BorshDeserialize, Serialize, Deserialize,
        )]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

id! {
    /// A deployment's id.
    DeploymentId {
        /// Tenant.
        owner: Address,
        /// Chosen by the tenant, rising.
        dseq: u64,
    }
}

id! {
    /// A group's id.
    GroupId {
        /// Its deployment.
        deployment: DeploymentId,
        /// Counts the deployment's groups from 1.
        gseq: u32,
    }
}

id! {
    /// An order's id.
    OrderId {
        /// Its group.
        group: GroupId,
        /// Counts the group's orders from 1.
        oseq: u32,
    }
}

id! {
    /// A bid's id, and that of the lease which it may win.
    LeaseId {
        /// Its order.
        order: OrderId,
        /// Who bids.
        provider: Address,
    }
}

impl DeploymentId {
    /// Bytes of its key form.
    pub const LEN: usize = 28;

    /// Big-endian, fixed width.
    pub fn to_key(self) -> Vec<u8> {
        let mut key = self.owner.as_bytes().to_vec();
        key.extend(self.dseq.to_be_bytes());
        key
    }

    /// From its key form.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (owner, dseq) = key.split_first_chunk::<{ Address::LEN }>()?;
        let dseq = u64::from_be_bytes(dseq.try_into().ok()?);
        Some(Self { owner: Address::new(*owner), dseq })
    }

    /// The group with this number.
    pub fn group(self, gseq: u32) -> GroupId {
        GroupId { deployment: self, gseq }
    }
}

impl GroupId {
    /// Bytes of its key form.
    pub const LEN: usize = 32;

    /// Big-endian, fixed width.
    pub fn to_key(self) -> Vec<u8> {
        let mut key = self.deployment.to_key();
        key.extend(self.gseq.to_be_bytes());
        key
    }

    /// From its key form.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (deployment, gseq) = key.split_at_checked(DeploymentId::LEN)?;
        let gseq = u32::from_be_bytes(gseq.try_into().ok()?);
        Some(Self { deployment: DeploymentId::from_key(deployment)?, gseq })
    }

    /// The order with this number.
    pub fn order(self, oseq: u32) -> OrderId {
        OrderId { group: self, oseq }
    }
}

impl OrderId {
    /// Bytes of its key form.
    pub const LEN: usize = 36;

    /// Big-endian, fixed width.
    pub fn to_key(self) -> Vec<u8> {
        let mut key = self.group.to_key();
        key.extend(self.oseq.to_be_bytes());
        key
    }

    /// From its key form.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (group, oseq) = key.split_at_checked(GroupId::LEN)?;
        let oseq = u32::from_be_bytes(oseq.try_into().ok()?);
        Some(Self { group: GroupId::from_key(group)?, oseq })
    }

    /// Tenant.
    pub fn owner(&self) -> Address {
        self.group.deployment.owner
    }

    /// The deployment.
    pub fn deployment(&self) -> DeploymentId {
        self.group.deployment
    }

    /// The bid or lease of this provider.
    pub fn lease(self, provider: Address) -> LeaseId {
        LeaseId { order: self, provider }
    }
}

impl LeaseId {
    /// Bytes of its key form.
    pub const LEN: usize = 56;

    /// Big-endian, fixed width.
    pub fn to_key(self) -> Vec<u8> {
        let mut key = self.order.to_key();
        key.extend(self.provider.as_bytes());
        key
    }

    /// From its key form.
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let (order, provider) = key.split_at_checked(OrderId::LEN)?;
        let provider = Address::new(provider.try_into().ok()?);
        Some(Self { order: OrderId::from_key(order)?, provider })
    }

    /// Tenant.
    pub fn owner(&self) -> Address {
        self.order.owner()
    }

    /// The deployment.
    pub fn deployment(&self) -> DeploymentId {
        self.order.deployment()
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.dseq)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.deployment, self.gseq)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.oseq)
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.order, self.provider)
    }
}

fn counted(name: &str, number: u32) -> Result<u32, SdkError> {
    if number == 0 {
        return Err(SdkError::InvalidRequest(format!("{name} is 0; it counts from 1")));
    }
    Ok(number)
}

fn missing(name: &str) -> SdkError {
    SdkError::InvalidRequest(format!("{name} is missing"))
}

impl TryFrom<pb::DeploymentId> for DeploymentId {
    type Error = SdkError;

    fn try_from(id: pb::DeploymentId) -> Result<Self, SdkError> {
        if id.dseq == 0 {
            return Err(SdkError::InvalidRequest("dseq is 0; it counts from 1".to_owned()));
        }
        Ok(Self { owner: id.owner.parse()?, dseq: id.dseq })
    }
}

impl TryFrom<pb::GroupId> for GroupId {
    type Error = SdkError;

    fn try_from(id: pb::GroupId) -> Result<Self, SdkError> {
        let deployment = pb::DeploymentId { owner: id.owner, dseq: id.dseq };
        Ok(DeploymentId::try_from(deployment)?.group(counted("gseq", id.gseq)?))
    }
}

impl TryFrom<pb::OrderId> for OrderId {
    type Error = SdkError;

    fn try_from(id: pb::OrderId) -> Result<Self, SdkError> {
        let group = pb::GroupId { owner: id.owner, dseq: id.dseq, gseq: id.gseq };
        Ok(GroupId::try_from(group)?.order(counted("oseq", id.oseq)?))
    }
}

impl TryFrom<pb::BidId> for LeaseId {
    type Error = SdkError;

    fn try_from(id: pb::BidId) -> Result<Self, SdkError> {
        let order = pb::OrderId { owner: id.owner, dseq: id.dseq, gseq: id.gseq, oseq: id.oseq };
        Ok(OrderId::try_from(order)?.lease(id.provider.parse()?))
    }
}

macro_rules! from_optional {
    ($($name:ident, $proto:ident, $text:literal;)*) => {$(
        impl TryFrom<Option<pb::$proto>> for $name {
            type Error = SdkError;

            fn try_from(id: Option<pb::$proto>) -> Result<Self, SdkError> {
                id.ok_or_else(|| missing($text))?.try_into()
            }
        }
    )*};
}
from_optional! {
    DeploymentId, DeploymentId, "the deployment's id";
    GroupId, GroupId, "the group's id";
    OrderId, OrderId, "the order's id";
    LeaseId, BidId, "the lease's id";
}

impl From<DeploymentId> for pb::DeploymentId {
    fn from(id: DeploymentId) -> Self {
        Self { owner: id.owner.to_string(), dseq: id.dseq }
    }
}

impl From<GroupId> for pb::GroupId {
    fn from(id: GroupId) -> Self {
        let DeploymentId { owner, dseq } = id.deployment;
        Self { owner: owner.to_string(), dseq, gseq: id.gseq }
    }
}

impl From<OrderId> for pb::OrderId {
    fn from(id: OrderId) -> Self {
        let group = pb::GroupId::from(id.group);
        Self { owner: group.owner, dseq: group.dseq, gseq: group.gseq, oseq: id.oseq }
    }
}

impl From<LeaseId> for pb::BidId {
    fn from(id: LeaseId) -> Self {
        let pb::OrderId { owner, dseq, gseq, oseq } = id.order.into();
        Self { owner, dseq, gseq, oseq, provider: id.provider.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_from_their_keys_and_from_protobuf() {
        let deployment = DeploymentId { owner: Address::new([1; 20]), dseq: 258 };
        let lease = deployment.group(2).order(3).lease(Address::new([9; 20]));
        assert_eq!(lease.to_key().len(), LeaseId::LEN);
        assert_eq!(LeaseId::from_key(&lease.to_key()), Some(lease));
        assert_eq!(OrderId::from_key(&lease.order.to_key()), Some(lease.order));
        assert!(lease.to_key().starts_with(&deployment.to_key()));
        assert_eq!(LeaseId::try_from(pb::BidId::from(lease)).unwrap(), lease);
    }

    #[test]
    fn keys_of_ids_sort_by_number() {
        let deployment = DeploymentId { owner: Address::new([1; 20]), dseq: 255 };
        let next = DeploymentId { owner: Address::new([1; 20]), dseq: 256 };
        assert!(deployment.group(9).to_key() < next.group(1).to_key());
    }

    #[test]
    fn numbers_count_from_one() {
        let mut id = pb::OrderId::from(
            DeploymentId { owner: Address::new([1; 20]), dseq: 1 }.group(1).order(1),
        );
        id.oseq = 0;
        assert!(OrderId::try_from(id).is_err());
    }
}
