//! What a grantee may do: the kinds of authorization. Rules of the Cosmos
//! SDK's `x/authz/generic_authorization.go`, `x/bank/types/send_authorization.go`
//! and `x/staking/types/authz.go`, and our own for deployments.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmos_sdk_proto::cosmos::bank::v1beta1::MsgSend;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking_pb;
use prost::Name;
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::deployment::Limits;
use super::AuthzError;
use crate::error::{Failure, SdkError};
use crate::types::{Address, Coin, Coins};

/// Most entries of an authorization's list.
pub const MAX_LIST: usize = 100;
/// Most bytes of a message's type URL.
pub const MAX_URL_BYTES: usize = 128;

/// What a grantee may do in its granter's name.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// Whatever messages of this type URL do.
    Generic(String),
    /// Send coins.
    Send(SendLimits),
    /// One kind of staking message.
    Stake(StakeLimits),
    /// Manage deployments.
    Deployment(Limits),
}

/// How much may be sent, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendLimits {
    /// What is left; never empty.
    pub spend_limit: Coins,
    /// Receivers; empty: any.
    pub allow_list: Vec<Address>,
}

/// How much may be staked how, and with whom.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StakeLimits {
    /// By which message.
    pub kind: StakeKind,
    /// What is left; none: no limit.
    pub max_tokens: Option<Coin>,
    /// With whom; none: with anyone.
    pub validators: Option<Validators>,
}

/// A kind of staking message.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum StakeKind {
    /// MsgDelegate.
    Delegate,
    /// MsgUndelegate.
    Undelegate,
    /// MsgBeginRedelegate.
    Redelegate,
    /// MsgCancelUnbondingDelegation.
    CancelUnbonding,
}

/// Validators by their operators.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validators {
    /// These alone; where there are none, any, as in the Cosmos SDK.
    Allow(Vec<Address>),
    /// Any but these.
    Deny(Vec<Address>),
}

/// What an accepted message leaves of its authorization.
pub enum Left {
    /// As it was.
    Same,
    /// Less.
    Less,
    /// Nothing.
    Nothing,
}

impl StakeKind {
    /// The type URL of its message.
    pub fn url(self) -> String {
        match self {
            Self::Delegate => staking_pb::MsgDelegate::type_url(),
            Self::Undelegate => staking_pb::MsgUndelegate::type_url(),
            Self::Redelegate => staking_pb::MsgBeginRedelegate::type_url(),
            Self::CancelUnbonding => staking_pb::MsgCancelUnbondingDelegation::type_url(),
        }
    }
}

impl Authorization {
    /// The type URL by which a grant of it is named: its message's, or for
    /// [`Self::Deployment`], which covers several, its own.
    pub fn url(&self) -> String {
        match self {
            Self::Generic(url) => url.clone(),
            Self::Send(_) => MsgSend::type_url(),
            Self::Stake(limits) => limits.kind.url(),
            Self::Deployment(_) => Limits::url(),
        }
    }

    /// Last second at which it allows something; none: no end.
    pub fn last_second(&self) -> Option<u64> {
        match self {
            Self::Deployment(limits) => limits.expiration.map(|end| end.saturating_sub(1)),
            _ => None,
        }
    }

    /// What must hold of any.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Generic(url) => check_known(url),
            Self::Send(limits) => limits.check(),
            Self::Stake(limits) => limits.check(),
            Self::Deployment(limits) => limits.check(),
        }
    }

    /// Takes a message into account before it is executed. That of
    /// [`Self::Deployment`] is looked at before and after.
    ///
    /// # Errors
    /// The limit that the message is over.
    pub fn accept(&mut self, action: &Action) -> Result<Left, Failure> {
        match (self, action) {
            (Self::Generic(_) | Self::Deployment(_), _) => Ok(Left::Same),
            (Self::Send(limits), Action::Send { to, coins }) => limits.accept(to, coins),
            (Self::Stake(limits), Action::Stake { validator, coin }) => {
                limits.accept(validator, coin)
            }
            // No grant is named by a message of another kind.
            (Self::Send(_) | Self::Stake(_), _) => {
                let text = "the authorization is for another message".to_owned();
                Err(SdkError::Unauthorized(text).into())
            }
        }
    }
}

fn check_known(url: &str) -> Result<(), Failure> {
    if url.len() > MAX_URL_BYTES || !crate::tx::Msg::is_known(url) {
        let shown: String = url.chars().take(MAX_URL_BYTES).collect();
        return Err(SdkError::InvalidType(format!("{shown:?} doesn't exist")).into());
    }
    if super::is_exec(url) {
        let text = format!("{url} cannot be granted; a grantee sends its own");
        return Err(SdkError::InvalidRequest(text).into());
    }
    Ok(())
}

/// Refuses a list that is too long or names something twice.
pub(super) fn check_list<T: PartialEq>(name: &str, list: &[T]) -> Result<(), Failure> {
    if list.len() > MAX_LIST {
        let text = format!("{name}: {} entries; at most {MAX_LIST} are allowed", list.len());
        return Err(SdkError::InvalidRequest(text).into());
    }
    let mut rest = list;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            let text = format!("{name}: an entry is listed twice");
            return Err(SdkError::InvalidRequest(text).into());
        }
        rest = others;
    }
    Ok(())
}

impl SendLimits {
    fn check(&self) -> Result<(), Failure> {
        if self.spend_limit.is_empty() {
            let text = "a spend limit cannot be empty".to_owned();
            return Err(SdkError::InvalidCoins(text).into());
        }
        check_list("allow_list", &self.allow_list)
    }

    fn accept(&mut self, to: &Address, coins: &Coins) -> Result<Left, Failure> {
        let left = self.spend_limit.clone();
        self.spend_limit.checked_sub_all(coins).ok_or_else(|| {
            SdkError::InsufficientFunds(format!(
                "requested amount {coins} is more than the spend limit, of which {left} is left"
            ))
        })?;
        if !self.allow_list.is_empty() && !self.allow_list.contains(to) {
            return Err(SdkError::Unauthorized(format!("cannot send to {to} address")).into());
        }
        Ok(if self.spend_limit.is_empty() { Left::Nothing } else { Left::Less })
    }
}

impl StakeLimits {
    fn check(&self) -> Result<(), Failure> {
        if self.max_tokens.as_ref().is_some_and(|coin| coin.amount.is_zero()) {
            return Err(AuthzError::NoMaxTokens.into());
        }
        match &self.validators {
            Some(Validators::Allow(list) | Validators::Deny(list)) => {
                check_list("validators", list)
            }
            None => Ok(()),
        }
    }

    fn accept(&mut self, validator: &Address, coin: &Coin) -> Result<Left, Failure> {
        let allowed = match &self.validators {
            None => true,
            Some(Validators::Allow(list)) => list.is_empty() || list.contains(validator),
            Some(Validators::Deny(list)) => !list.contains(validator),
        };
        if !allowed {
            let operator = crate::types::ValAddress::from(*validator);
            let text = format!("cannot delegate/undelegate to {operator} validator");
            return Err(SdkError::Unauthorized(text).into());
        }
        let Some(max) = &mut self.max_tokens else { return Ok(Left::Same) };
        let rest = max.amount.checked_sub(coin.amount).filter(|_| max.denom == coin.denom);
        max.amount = rest.ok_or_else(|| {
            let text = format!("requested amount {coin} is more than the {max} that are left");
            SdkError::InsufficientFunds(text)
        })?;
        Ok(if max.amount.is_zero() { Left::Nothing } else { Left::Less })
    }
}
