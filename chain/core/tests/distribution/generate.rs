//! Random operations on staking and distribution.

use cosmos_sdk_proto::cosmos::distribution::v1beta1 as dist;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as pb;
use cosmos_sdk_proto::Any;
use ed25519_dalek::SigningKey;
use prost::Message;
use rand::seq::SliceRandom;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use stoa_chain::ctx::Ctx;
use stoa_chain::modules::{bank, staking};
use stoa_chain::types::{Address, Coins, ConsAddress, Dec, ValAddress};

use crate::chain::{coin, execute, stake, DENOMS};
use crate::coverage::Coverage;
use crate::naive::Naive;

/// Accounts that may operate a validator; all may delegate.
pub const OPERATORS: u8 = 6;
pub const ACCOUNTS: u8 = 14;
/// Kinds of operations below.
pub const OPERATIONS: usize = 14;

pub fn account(number: u8) -> Address {
    Address::new([number + 1; 20])
}

pub fn key(operator: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[operator + 1; 32]).verifying_key().to_bytes()
}

fn consensus(operator: u8) -> ConsAddress {
    ConsAddress::of_key(&key(operator))
}

fn valoper(operator: u8) -> String {
    ValAddress::from(account(operator)).to_string()
}

pub struct Generator {
    pub rng: ChaCha8Rng,
}

impl Generator {
    fn operator(&mut self) -> u8 {
        self.rng.gen_range(0..OPERATORS)
    }

    fn anyone(&mut self) -> u8 {
        self.rng.gen_range(0..ACCOUNTS)
    }

    /// From one unit to 10^11, each order of magnitude as often.
    fn amount(&mut self) -> u128 {
        let magnitude = 10u128.pow(self.rng.gen_range(0..11));
        self.rng.gen_range(magnitude..magnitude * 10)
    }

    fn coins(&mut self) -> Coins {
        let amount = self.amount() / 100 + 1;
        let name = DENOMS.choose(&mut self.rng).unwrap();
        [coin(name, amount)].into_iter().collect()
    }

    fn dec(&mut self, most: Dec) -> String {
        Dec::from_raw(self.rng.gen_range(0..=most.raw())).to_wire()
    }

    /// One operation; the model hears of what only it can tell.
    pub fn operate(&mut self, ctx: &mut Ctx<'_>, naive: &mut Naive, coverage: &mut Coverage) {
        let (name, done) = match self.rng.gen_range(0..100) {
            0..22 => ("delegate", self.delegate(ctx)),
            22..34 => ("undelegate", self.undelegate(ctx)),
            34..42 => ("redelegate", self.redelegate(ctx)),
            42..45 => ("cancel", self.cancel(ctx)),
            45..60 => ("withdraw", self.withdraw(ctx)),
            60..64 => ("withdraw commission", self.withdraw_commission(ctx, naive)),
            64..70 => ("edit commission", self.edit(ctx)),
            70..75 => ("create", self.create(ctx)),
            75..77 => ("set withdraw address", self.set_address(ctx)),
            77..79 => ("fund", self.fund(ctx, naive)),
            79..83 => ("deposit", self.deposit(ctx, naive)),
            83..87 => ("slash", self.slash(ctx)),
            87..90 => ("jail or unjail", self.jail(ctx)),
            _ => ("fee", self.fee(ctx)),
        };
        coverage.count(name, done);
    }

    fn delegate(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let message = pb::MsgDelegate {
            delegator_address: account(self.anyone()).to_string(),
            validator_address: valoper(self.operator()),
            amount: stake(self.amount()),
        };
        execute(ctx, &message).is_ok()
    }

    /// A delegation that exists, and a part of it or all.
    fn some_delegation(&mut self, ctx: &Ctx<'_>) -> Option<(Address, Address, u128)> {
        let all: Vec<_> = staking::delegations(ctx).collect();
        let found = all.choose(&mut self.rng)?;
        let worth = staking::validator(ctx, &found.validator)?.worth(found.shares).whole().raw();
        let part = if self.rng.gen_bool(0.4) { worth } else { self.rng.gen_range(0..=worth + 1) };
        Some((found.delegator, found.validator, part))
    }

    fn undelegate(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some((delegator, validator, part)) = self.some_delegation(ctx) else { return false };
        let message = pb::MsgUndelegate {
            delegator_address: delegator.to_string(),
            validator_address: ValAddress::from(validator).to_string(),
            amount: stake(part),
        };
        execute(ctx, &message).is_ok()
    }

    fn redelegate(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some((delegator, validator, part)) = self.some_delegation(ctx) else { return false };
        let message = pb::MsgBeginRedelegate {
            delegator_address: delegator.to_string(),
            validator_src_address: ValAddress::from(validator).to_string(),
            validator_dst_address: valoper(self.operator()),
            amount: stake(part),
        };
        execute(ctx, &message).is_ok()
    }

    fn cancel(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let all: Vec<_> = staking::unbondings(ctx).collect();
        let Some(found) = all.choose(&mut self.rng) else { return false };
        let entry = found.entries.choose(&mut self.rng).unwrap();
        let message = pb::MsgCancelUnbondingDelegation {
            delegator_address: found.delegator.to_string(),
            validator_address: ValAddress::from(found.validator).to_string(),
            amount: stake(self.rng.gen_range(0..=entry.balance.raw())),
            creation_height: entry.height as i64,
        };
        execute(ctx, &message).is_ok()
    }

    fn withdraw(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some((delegator, validator, _)) = self.some_delegation(ctx) else { return false };
        let message = dist::MsgWithdrawDelegatorReward {
            delegator_address: delegator.to_string(),
            validator_address: ValAddress::from(validator).to_string(),
        };
        execute(ctx, &message).is_ok()
    }

    fn withdraw_commission(&mut self, ctx: &mut Ctx<'_>, naive: &mut Naive) -> bool {
        let operator = self.operator();
        let message = dist::MsgWithdrawValidatorCommission { validator_address: valoper(operator) };
        let done = execute(ctx, &message).is_ok();
        if done {
            naive.withdraw_commission(account(operator));
        }
        done
    }

    fn edit(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let unchanged = || "[do-not-modify]".to_owned();
        let message = pb::MsgEditValidator {
            description: Some(pb::Description {
                moniker: unchanged(),
                identity: unchanged(),
                website: unchanged(),
                security_contact: unchanged(),
                details: unchanged(),
            }),
            validator_address: valoper(self.operator()),
            commission_rate: self.dec(Dec::percent(60)),
            min_self_delegation: String::new(),
        };
        execute(ctx, &message).is_ok()
    }

    pub fn create(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let operator = self.operator();
        self.create_validator(ctx, operator)
    }

    pub fn create_validator(&mut self, ctx: &mut Ctx<'_>, operator: u8) -> bool {
        let key = cosmos_sdk_proto::cosmos::crypto::ed25519::PubKey { key: key(operator).to_vec() };
        let pubkey = Any {
            type_url: "/cosmos.crypto.ed25519.PubKey".to_owned(),
            value: key.encode_to_vec(),
        };
        let message = pb::MsgCreateValidator {
            description: Some(pb::Description {
                moniker: format!("validator {operator}"),
                ..pb::Description::default()
            }),
            commission: Some(pb::CommissionRates {
                rate: self.dec(Dec::percent(50)),
                max_rate: Dec::ONE.to_wire(),
                max_change_rate: Dec::percent(50).to_wire(),
            }),
            min_self_delegation: "1".to_owned(),
            validator_address: valoper(operator),
            pubkey: Some(pubkey),
            value: stake(self.amount() + 1_000_000),
            ..pb::MsgCreateValidator::default()
        };
        execute(ctx, &message).is_ok()
    }

    fn set_address(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let message = dist::MsgSetWithdrawAddress {
            delegator_address: account(self.anyone()).to_string(),
            withdraw_address: account(self.anyone()).to_string(),
        };
        execute(ctx, &message).is_ok()
    }

    fn fund(&mut self, ctx: &mut Ctx<'_>, naive: &mut Naive) -> bool {
        let coins = self.coins();
        let message = dist::MsgFundCommunityPool {
            amount: coins.to_proto(),
            depositor: account(self.anyone()).to_string(),
        };
        let done = execute(ctx, &message).is_ok();
        if done {
            naive.fund(&coins);
        }
        done
    }

    fn deposit(&mut self, ctx: &mut Ctx<'_>, naive: &mut Naive) -> bool {
        let (operator, coins) = (self.operator(), self.coins());
        let message = dist::MsgDepositValidatorRewardsPool {
            depositor: account(self.anyone()).to_string(),
            validator_address: valoper(operator),
            amount: coins.to_proto(),
        };
        let done = execute(ctx, &message).is_ok();
        if done {
            naive.deposit(ctx, &consensus(operator), &coins);
        }
        done
    }

    fn slash(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let operator = self.operator();
        let Some(validator) = staking::validator(ctx, &account(operator)) else { return false };
        let fractions = ["0.0001", "0.05", "0.333333333333333333", "0.5", "0.999999", "1"];
        let weight = |fraction: &&str| if *fraction == "1" { 1 } else { 8 };
        let fraction = fractions.choose_weighted(&mut self.rng, weight).unwrap();
        let height = ctx.height().saturating_sub(self.rng.gen_range(0..20));
        let (consensus, fraction) = (consensus(operator), fraction.parse().unwrap());
        !staking::slash(ctx, &consensus, height, validator.power(), fraction).is_zero()
    }

    fn jail(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let operator = self.operator();
        let Some(validator) = staking::validator(ctx, &account(operator)) else { return false };
        if validator.jailed {
            staking::unjail(ctx, &consensus(operator));
        } else if self.rng.gen_bool(0.3) {
            staking::jail(ctx, &consensus(operator));
        }
        true
    }

    fn fee(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let (payer, coins) = (account(self.anyone()), self.coins());
        ctx.attempt(|ctx| bank::collect_fee(ctx, &payer, &coins)).is_ok()
    }
}
