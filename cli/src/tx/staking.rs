//! Validators and delegations.

use base64::{engine::general_purpose::STANDARD, Engine as _};
use clap::{Args, Subcommand};
use stoa_client::{address::operator_address, money::Dec, tx::any};
use stoa_proto::{
    cosmos::{
        base::v1beta1::Coin,
        crypto::ed25519::PubKey,
        distribution::v1beta1::{
            MsgFundCommunityPool, MsgSetWithdrawAddress, MsgWithdrawDelegatorReward,
            MsgWithdrawValidatorCommission,
        },
        slashing::v1beta1::MsgUnjail,
        staking::v1beta1::{
            CommissionRates, Description, MsgBeginRedelegate, MsgCancelUnbondingDelegation,
            MsgCreateValidator, MsgDelegate, MsgEditValidator, MsgUndelegate,
        },
    },
    Any,
};

use super::{arguments, Sender};
use crate::{context::Context, exit::Failure};

/// What an edited validator leaves as it is, in the Cosmos SDK's words.
const AS_IT_IS: &str = "[do-not-modify]";

/// Staking messages. VALIDATOR is stoavaloper1…, its operator's address, or
/// the name of the operator's key.
#[derive(Debug, Subcommand)]
pub enum StakingMessage {
    /// Become a validator
    CreateValidator(CreateValidator),
    /// Change what one's validator says of itself, or its commission
    EditValidator(EditValidator),
    /// Delegate to a validator
    Delegate {
        validator: String,
        /// Such as 1000000ustoa
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
    },
    /// Take a delegation back; the coins return after the unbonding time
    Undelegate {
        validator: String,
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
    },
    /// Move a delegation to another validator
    Redelegate {
        from: String,
        to: String,
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
    },
    /// Delegate again what is on its way back
    CancelUnbonding {
        validator: String,
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
        /// Block in which the unbonding began; `stoa query delegations` shows it
        height: i64,
    },
    /// Free one's jailed validator
    Unjail,
    /// Withdraw what delegations have earned
    WithdrawRewards {
        /// Default: all that one delegates to
        validators: Vec<String>,
        /// The commission of one's own validator too
        #[arg(long)]
        commission: bool,
    },
    /// Let rewards go to another account
    SetWithdrawAddress {
        /// Address or key name
        to: String,
    },
    /// Give coins to the community pool
    FundPool {
        #[arg(value_parser = arguments::coin)]
        amount: Coin,
    },
}

/// What a new validator is.
#[derive(Debug, Args)]
pub struct CreateValidator {
    /// The node's consensus key in base64, as `stoad keys` prints it
    #[arg(long)]
    pub consensus_key: String,
    /// What the operator delegates, such as 1000000ustoa
    #[arg(long, value_parser = arguments::coin)]
    pub amount: Coin,
    /// Name for people
    #[arg(long)]
    pub moniker: String,
    #[arg(long, default_value = "")]
    pub identity: String,
    #[arg(long, default_value = "")]
    pub website: String,
    #[arg(long, default_value = "")]
    pub security_contact: String,
    #[arg(long, default_value = "")]
    pub details: String,
    /// Part of the delegators' rewards
    #[arg(long, default_value = "0.1", value_parser = ratio)]
    pub commission_rate: Dec,
    /// Never more than this; cannot be changed
    #[arg(long, default_value = "0.2", value_parser = ratio)]
    pub commission_max_rate: Dec,
    /// Most that it changes in a day; cannot be changed
    #[arg(long, default_value = "0.01", value_parser = ratio)]
    pub commission_max_change_rate: Dec,
    /// Least that the operator keeps delegated, in ustoa
    #[arg(long, default_value_t = 1)]
    pub min_self_delegation: u128,
}

/// What changes; all else stays.
#[derive(Debug, Args)]
pub struct EditValidator {
    #[arg(long, default_value = AS_IT_IS, hide_default_value = true)]
    pub moniker: String,
    #[arg(long, default_value = AS_IT_IS, hide_default_value = true)]
    pub identity: String,
    #[arg(long, default_value = AS_IT_IS, hide_default_value = true)]
    pub website: String,
    #[arg(long, default_value = AS_IT_IS, hide_default_value = true)]
    pub security_contact: String,
    #[arg(long, default_value = AS_IT_IS, hide_default_value = true)]
    pub details: String,
    #[arg(long, value_parser = ratio)]
    pub commission_rate: Option<Dec>,
    /// Can only be raised
    #[arg(long)]
    pub min_self_delegation: Option<u128>,
}

/// A part of the whole, such as 0.05.
fn ratio(text: &str) -> Result<Dec, String> {
    let ratio: Dec = text.parse().map_err(|e| format!("{e}; right is a part such as 0.05"))?;
    match ratio <= Dec::whole(1) {
        true => Ok(ratio),
        false => Err(format!("{text} is over 1; right is a part such as 0.05")),
    }
}

/// A validator's address in the form that its messages take.
pub fn validator_of(context: &Context, text: &str) -> Result<String, Failure> {
    match operator_address(text) {
        Some(address) => Ok(address),
        None => {
            let account = context.address_of(Some(text))?;
            operator_address(&account)
                .ok_or_else(|| Failure::usage(format!("`{text}` names no validator")))
        }
    }
}

impl StakingMessage {
    pub async fn build(self, sender: &Sender) -> Result<Vec<Any>, Failure> {
        let me = sender.address.clone();
        let of = |text: &str| validator_of(&sender.context, text);
        let message = match self {
            Self::CreateValidator(args) => args.build(of(&me)?)?,
            Self::EditValidator(args) => args.build(of(&me)?),
            Self::Delegate { validator, amount } => any(&MsgDelegate {
                delegator_address: me,
                validator_address: of(&validator)?,
                amount: Some(amount),
            }),
            Self::Undelegate { validator, amount } => any(&MsgUndelegate {
                delegator_address: me,
                validator_address: of(&validator)?,
                amount: Some(amount),
            }),
            Self::Redelegate { from, to, amount } => any(&MsgBeginRedelegate {
                delegator_address: me,
                validator_src_address: of(&from)?,
                validator_dst_address: of(&to)?,
                amount: Some(amount),
            }),
            Self::CancelUnbonding { validator, amount, height } => {
                any(&MsgCancelUnbondingDelegation {
                    delegator_address: me,
                    validator_address: of(&validator)?,
                    amount: Some(amount),
                    creation_height: height,
                })
            }
            Self::Unjail => any(&MsgUnjail { validator_addr: of(&me)? }),
            Self::WithdrawRewards { validators, commission } => {
                return withdrawals(sender, validators, commission).await;
            }
            Self::SetWithdrawAddress { to } => any(&MsgSetWithdrawAddress {
                delegator_address: me,
                withdraw_address: sender.context.address_of(Some(&to))?,
            }),
            Self::FundPool { amount } => {
                any(&MsgFundCommunityPool { amount: vec![amount], depositor: me })
            }
        };
        Ok(vec![message])
    }
}

async fn withdrawals(
    sender: &Sender,
    validators: Vec<String>,
    commission: bool,
) -> Result<Vec<Any>, Failure> {
    let me = sender.address.clone();
    let from = if validators.is_empty() {
        let delegations = sender.chain.query().delegations(&me).await?;
        delegations.into_iter().filter_map(|d| d.delegation).map(|d| d.validator_address).collect()
    } else {
        let named = validators.iter().map(|text| validator_of(&sender.context, text));
        named.collect::<Result<Vec<_>, _>>()?
    };
    let mut messages: Vec<Any> = from
        .into_iter()
        .map(|validator_address| {
            let delegator_address = me.clone();
            any(&MsgWithdrawDelegatorReward { delegator_address, validator_address })
        })
        .collect();
    if commission {
        let validator_address = validator_of(&sender.context, &me)?;
        messages.push(any(&MsgWithdrawValidatorCommission { validator_address }));
    }
    if messages.is_empty() {
        return Err(Failure::new(format!("{me} delegates to nobody: nothing to withdraw")));
    }
    Ok(messages)
}

impl CreateValidator {
    // `delegator_address` is what `validator_address` replaced.
    #[allow(deprecated)]
    fn build(self, validator_address: String) -> Result<Any, Failure> {
        let key = STANDARD.decode(&self.consensus_key).ok().filter(|key| key.len() == 32);
        let key = key.ok_or_else(|| {
            Failure::usage("--consensus-key: an ed25519 key has 32 bytes in base64; `stoad keys`")
        })?;
        Ok(any(&MsgCreateValidator {
            description: Some(Description {
                moniker: self.moniker,
                identity: self.identity,
                website: self.website,
                security_contact: self.security_contact,
                details: self.details,
            }),
            commission: Some(CommissionRates {
                rate: self.commission_rate.to_proto(),
                max_rate: self.commission_max_rate.to_proto(),
                max_change_rate: self.commission_max_change_rate.to_proto(),
            }),
            min_self_delegation: self.min_self_delegation.to_string(),
            delegator_address: String::new(),
            validator_address,
            pubkey: Some(Any {
                type_url: "/cosmos.crypto.ed25519.PubKey".into(),
                value: prost::Message::encode_to_vec(&PubKey { key }),
            }),
            value: Some(self.amount),
        }))
    }
}

impl EditValidator {
    fn build(self, validator_address: String) -> Any {
        any(&MsgEditValidator {
            description: Some(Description {
                moniker: self.moniker,
                identity: self.identity,
                website: self.website,
                security_contact: self.security_contact,
                details: self.details,
            }),
            validator_address,
            commission_rate: self.commission_rate.map(Dec::to_proto).unwrap_or_default(),
            min_self_delegation: self
                .min_self_delegation
                .map(|least| least.to_string())
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_part_of_the_whole() {
        assert_eq!(ratio("0.05").unwrap().to_proto(), "50000000000000000");
        assert!(ratio("1").is_ok());
        assert!(ratio("5").is_err());
        assert!(ratio("a tenth").is_err());
    }
}
