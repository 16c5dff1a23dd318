//! What a message asks for, as far as authorizations bound it: read from its
//! protobuf form, whichever module it belongs to.

use cosmos_sdk_proto::cosmos::bank::v1beta1::MsgSend;
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin as PbCoin;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking_pb;
use cosmos_sdk_proto::Any;
use prost::Name;
use stoa_proto::deployment::v1 as deployment_pb;
use stoa_proto::escrow::v1::MsgDepositDeployment;
use stoa_proto::market::v1::MsgCloseLease;
use stoa_proto::types::v1 as types_pb;

use crate::error::{Failure, SdkError};
use crate::tx::unpack;
use crate::types::{Address, Coin, Coins, DeploymentId, GroupId, LeaseId, ValAddress};

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To send coins.
    Send {
        /// To whom.
        to: Address,
        /// How much.
        coins: Coins,
    },
    /// To move stake.
    Stake {
        /// Of a redelegation the one to which.
        validator: Address,
        /// How much.
        coin: Coin,
    },
    /// To change a deployment.
    Deployment {
        /// Which.
        id: DeploymentId,
        /// The one group that it names, if any.
        group: Option<GroupId>,
        /// Whether the group opens again when its lease ends, be it later.
        reopen: bool,
    },
    /// Something that only a generic authorization is for.
    Other,
}

impl Action {
    /// Of a message that has decoded.
    ///
    /// # Errors
    /// What is wrong in it.
    pub fn of(any: &Any) -> Result<Self, Failure> {
        let url = any.type_url.as_str();
        if url == MsgSend::type_url() {
            let msg: MsgSend = unpack(any)?;
            let (to, coins) = (msg.to_address.parse()?, Coins::from_proto(msg.amount)?);
            return Ok(Self::Send { to, coins });
        }
        if let Some(stake) = stake(any)? {
            return Ok(stake);
        }
        Ok(deployment(any)?.unwrap_or(Self::Other))
    }
}

fn stake(any: &Any) -> Result<Option<Action>, Failure> {
    let url = any.type_url.as_str();
    let (validator, amount) = if url == staking_pb::MsgDelegate::type_url() {
        let msg: staking_pb::MsgDelegate = unpack(any)?;
        (msg.validator_address, msg.amount)
    } else if url == staking_pb::MsgUndelegate::type_url() {
        let msg: staking_pb::MsgUndelegate = unpack(any)?;
        (msg.validator_address, msg.amount)
    } else if url == staking_pb::MsgBeginRedelegate::type_url() {
        let msg: staking_pb::MsgBeginRedelegate = unpack(any)?;
        (msg.validator_dst_address, msg.amount)
    } else if url == staking_pb::MsgCancelUnbondingDelegation::type_url() {
        let msg: staking_pb::MsgCancelUnbondingDelegation = unpack(any)?;
        (msg.validator_address, msg.amount)
    } else {
        return Ok(None);
    };
    let validator: ValAddress = validator.parse()?;
    Ok(Some(Action::Stake { validator: validator.account(), coin: coin(amount)? }))
}

fn coin(coin: Option<PbCoin>) -> Result<Coin, SdkError> {
    let missing = || SdkError::InvalidRequest("the amount is missing".to_owned());
    coin.ok_or_else(missing)?.try_into()
}

/// The messages that a deployment authorization covers. Creating and closing
/// a deployment stay with its owner.
fn deployment(any: &Any) -> Result<Option<Action>, Failure> {
    use deployment_pb::{
        MsgAddGroups, MsgCloseGroup, MsgPauseGroup, MsgReopenGroup, MsgStartGroup,
        MsgUpdateDeployment,
    };
    let url = any.type_url.as_str();
    macro_rules! of_group {
        ($($name:ident)*) => {
            $(if url == $name::type_url() {
                let $name { owner, dseq, gseq, .. } = unpack(any)?;
                let id = GroupId::try_from(types_pb::GroupId { owner, dseq, gseq })?;
                return Ok(Some(covered(id.deployment, Some(id))));
            })*
        };
    }
    macro_rules! of_whole {
        ($($name:ident)*) => {
            $(if url == $name::type_url() {
                let $name { owner, dseq, .. } = unpack(any)?;
                let id = DeploymentId::try_from(types_pb::DeploymentId { owner, dseq })?;
                return Ok(Some(covered(id, None)));
            })*
        };
    }
    of_group!(MsgPauseGroup MsgStartGroup MsgReopenGroup MsgCloseGroup);
    of_whole!(MsgAddGroups MsgUpdateDeployment);
    if url == MsgCloseLease::type_url() {
        let msg: MsgCloseLease = unpack(any)?;
        let group = LeaseId::try_from(msg.lease)?.order.group;
        let (id, reopen) = (group.deployment, msg.reopen);
        return Ok(Some(Action::Deployment { id, group: Some(group), reopen }));
    }
    if url == MsgDepositDeployment::type_url() {
        let msg: MsgDepositDeployment = unpack(any)?;
        return Ok(Some(covered(msg.id.try_into()?, None)));
    }
    Ok(None)
}

fn covered(id: DeploymentId, group: Option<GroupId>) -> Action {
    Action::Deployment { id, group, reopen: false }
}
