//! Staking, slashing and distribution.

use cosmos_sdk_proto::cosmos::crypto::ed25519;
use cosmos_sdk_proto::cosmos::distribution::v1beta1 as dist;
use cosmos_sdk_proto::cosmos::slashing::v1beta1 as slashing;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;
use ed25519_dalek::SigningKey;
use rand::seq::SliceRandom;
use rand::Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::modules::staking;
use stoa_chain::types::{Address, Dec, ValAddress};
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::Any;

use crate::scenario::STOA;
use crate::sim::{Sent, Sim};
use crate::transfers::any;

fn valoper(operator: Address) -> String {
    ValAddress::from(operator).to_string()
}

impl Sim {
    fn part(&mut self, most: Dec) -> String {
        Dec::from_raw(self.rng.gen_range(0..=most.raw())).to_wire()
    }

    pub fn create_validator(&mut self, operator: Address) -> Sent {
        let number = self.rng.gen_range(0..40);
        let key = SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes();
        let message = pb::MsgCreateValidator {
            description: Some(pb::Description {
                moniker: format!("validator {number}"),
                ..pb::Description::default()
            }),
            commission: Some(pb::CommissionRates {
                rate: self.part(Dec::percent(30)),
                max_rate: Dec::percent(60).to_wire(),
                max_change_rate: Dec::percent(30).to_wire(),
            }),
            min_self_delegation: self.rng.gen_range(1..1_000_000).to_string(),
            validator_address: valoper(operator),
            pubkey: Some(any(&ed25519::PubKey { key: key.to_vec() })),
            value: Some(Coin {
                denom: STOA.into(),
                amount: (self.amount() + 5_000_000).to_string(),
            }),
            ..pb::MsgCreateValidator::default()
        };
        (operator, any(&message))
    }

    pub fn delegate_of(&mut self, delegator: &str) -> Any {
        any(&pb::MsgDelegate {
            delegator_address: delegator.into(),
            validator_address: valoper(self.operator()),
            amount: Some(self.stake()),
        })
    }

    /// A delegation that exists, and a part of it or all.
    fn some_delegation(&mut self, ctx: &Ctx<'_>) -> Option<(Address, String, Option<Coin>)> {
        let all: Vec<_> = staking::delegations(ctx).collect();
        let found = all.choose(&mut self.rng)?;
        let worth = staking::validator(ctx, &found.validator)?.worth(found.shares).whole().raw();
        let all_of_it = self.rng.gen_bool(0.4);
        let part = if all_of_it { worth } else { self.rng.gen_range(0..=worth + 1) };
        let coin = Coin { denom: STOA.into(), amount: part.to_string() };
        Some((found.delegator, valoper(found.validator), Some(coin)))
    }

    pub fn stake_operation(&mut self, ctx: &Ctx<'_>) -> Option<Sent> {
        Some(match self.rng.gen_range(0..100) {
            0..40 => {
                let delegator = self.anyone();
                (delegator, self.delegate_of(&delegator.to_string()))
            }
            40..55 => {
                let (delegator, validator_address, amount) = self.some_delegation(ctx)?;
                let delegator_address = delegator.to_string();
                let message = pb::MsgUndelegate { delegator_address, validator_address, amount };
                (delegator, any(&message))
            }
            55..68 => {
                let (delegator, validator_src_address, amount) = self.some_delegation(ctx)?;
                let message = pb::MsgBeginRedelegate {
                    delegator_address: delegator.to_string(),
                    validator_src_address,
                    validator_dst_address: valoper(self.operator()),
                    amount,
                };
                (delegator, any(&message))
            }
            68..75 => self.cancel(ctx)?,
            75..83 => {
                let operator = self.operator();
                self.create_validator(operator)
            }
            83..90 => self.edit(),
            _ => {
                let operator = self.operator();
                let message = slashing::MsgUnjail { validator_addr: valoper(operator) };
                (operator, any(&message))
            }
        })
    }

    fn cancel(&mut self, ctx: &Ctx<'_>) -> Option<Sent> {
        let all: Vec<_> = staking::unbondings(ctx).collect();
        let found = all.choose(&mut self.rng)?;
        let entry = found.entries.choose(&mut self.rng)?;
        let amount = self.rng.gen_range(0..=entry.balance.raw()).to_string();
        let message = pb::MsgCancelUnbondingDelegation {
            delegator_address: found.delegator.to_string(),
            validator_address: valoper(found.validator),
            amount: Some(Coin { denom: STOA.into(), amount }),
            creation_height: entry.height as i64,
        };
        Some((found.delegator, any(&message)))
    }

    fn edit(&mut self) -> Sent {
        let operator = self.operator();
        let unchanged = || "[do-not-modify]".to_owned();
        let rate = if self.rng.gen() { self.part(Dec::percent(60)) } else { String::new() };
        let message = pb::MsgEditValidator {
            description: Some(pb::Description {
                moniker: format!("moniker {}", self.rng.gen_range(0..9)),
                identity: unchanged(),
                website: unchanged(),
                security_contact: unchanged(),
                details: unchanged(),
            }),
            validator_address: valoper(operator),
            commission_rate: rate,
            min_self_delegation: String::new(),
        };
        (operator, any(&message))
    }

    pub fn reward_operation(&mut self, ctx: &Ctx<'_>) -> Option<Sent> {
        let who = self.anyone();
        let depositor = who.to_string();
        let amount = vec![self.coin()];
        Some(match self.rng.gen_range(0..100) {
            0..40 => {
                let (delegator, validator_address, _) = self.some_delegation(ctx)?;
                let delegator_address = delegator.to_string();
                let message =
                    dist::MsgWithdrawDelegatorReward { delegator_address, validator_address };
                (delegator, any(&message))
            }
            40..65 => {
                let operator = self.operator();
                let validator_address = valoper(operator);
                (operator, any(&dist::MsgWithdrawValidatorCommission { validator_address }))
            }
            65..75 => {
                let withdraw_address = self.anyone().to_string();
                let delegator_address = depositor;
                let message = dist::MsgSetWithdrawAddress { delegator_address, withdraw_address };
                (who, any(&message))
            }
            75..85 => (who, any(&dist::MsgFundCommunityPool { amount, depositor })),
            _ => {
                let validator_address = valoper(self.operator());
                let message =
                    dist::MsgDepositValidatorRewardsPool { depositor, validator_address, amount };
                (who, any(&message))
            }
        })
    }
}
