//! What is done: messages by actors' numbers.

use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmos::crypto::ed25519::PubKey;
use cosmos_sdk_proto::cosmos::slashing::v1beta1 as slashing;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking;
use cosmos_sdk_proto::tendermint::google::protobuf::Duration;
use cosmos_sdk_proto::Any;
use ed25519_dalek::SigningKey;
use prost::{Message, Name};
use stoa_chain::modules::gov;
use stoa_chain::types::{Address, ConsAddress, ValAddress};

/// The 10^18-fold of a decimal.
pub type Part = u128;
/// The whole.
pub const WHOLE: Part = 1_000_000_000_000_000_000;

#[derive(Clone, Debug)]
pub enum Op {
    Create { who: u8, key: u8, amount: u128, least: u128, rate: Part, max: Part, change: Part },
    Edit { who: u8, rate: Option<Part>, least: Option<u128> },
    Delegate { who: u8, to: u8, amount: u128 },
    Undelegate { who: u8, from: u8, amount: u128 },
    Redelegate { who: u8, from: u8, to: u8, amount: u128 },
    Cancel { who: u8, from: u8, amount: u128, height: u64 },
    Unjail { who: u8 },
    SetStaking { max_validators: u32, max_entries: u32, unbonding: u64 },
    SetSlashing { window: u64 },
}

pub fn address(number: u8) -> Address {
    Address::new([number; 20])
}

pub fn valoper(number: u8) -> String {
    ValAddress::from(address(number)).to_string()
}

pub fn key(number: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes()
}

pub fn consensus(number: u8) -> ConsAddress {
    ConsAddress::of_key(&key(number))
}

fn account(number: u8) -> String {
    address(number).to_string()
}

fn coin(amount: u128) -> Option<Coin> {
    Some(Coin { denom: "ustoa".to_owned(), amount: amount.to_string() })
}

fn any<M: Message + Name>(message: M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// Seconds in jail for downtime.
pub const JAIL: u64 = 25;
/// Of a window at least this part is signed.
pub const MIN_SIGNED: Part = WHOLE / 2;
/// No round number.
pub const DOWNTIME: Part = 12_345_678_900_000_000;
/// A third and a bit.
pub const DOUBLE_SIGN: Part = 333_333_333_333_333_337;

impl Op {
    pub fn to_any(&self) -> Any {
        match self.clone() {
            Self::Create { who, key: number, amount, least, rate, max, change } => {
                any(create(who, number, amount, least, [rate, max, change]))
            }
            Self::Edit { who, rate, least } => any(staking::MsgEditValidator {
                description: Some(staking::Description {
                    moniker: "[do-not-modify]".to_owned(),
                    ..Default::default()
                }),
                validator_address: valoper(who),
                commission_rate: rate.map(|rate| rate.to_string()).unwrap_or_default(),
                min_self_delegation: least.map(|least| least.to_string()).unwrap_or_default(),
            }),
            Self::Delegate { who, to, amount } => any(staking::MsgDelegate {
                delegator_address: account(who),
                validator_address: valoper(to),
                amount: coin(amount),
            }),
            Self::Undelegate { who, from, amount } => any(staking::MsgUndelegate {
                delegator_address: account(who),
                validator_address: valoper(from),
                amount: coin(amount),
            }),
            Self::Redelegate { who, from, to, amount } => any(staking::MsgBeginRedelegate {
                delegator_address: account(who),
                validator_src_address: valoper(from),
                validator_dst_address: valoper(to),
                amount: coin(amount),
            }),
            Self::Cancel { who, from, amount, height } => {
                any(staking::MsgCancelUnbondingDelegation {
                    delegator_address: account(who),
                    validator_address: valoper(from),
                    amount: coin(amount),
                    creation_height: height as i64,
                })
            }
            Self::Unjail { who } => any(slashing::MsgUnjail { validator_addr: valoper(who) }),
            Self::SetStaking { max_validators, max_entries, unbonding } => {
                any(staking::MsgUpdateParams {
                    authority: gov::authority().to_string(),
                    params: Some(staking::Params {
                        unbonding_time: Some(Duration { seconds: unbonding as i64, nanos: 0 }),
                        max_validators,
                        max_entries,
                        historical_entries: 0,
                        bond_denom: "ustoa".to_owned(),
                        min_commission_rate: "0".to_owned(),
                    }),
                })
            }
            Self::SetSlashing { window } => any(slashing::MsgUpdateParams {
                authority: gov::authority().to_string(),
                params: Some(slashing_params(window)),
            }),
        }
    }
}

fn create(
    who: u8,
    number: u8,
    amount: u128,
    least: u128,
    rates: [Part; 3],
) -> staking::MsgCreateValidator {
    let [rate, max_rate, max_change_rate] = rates.map(|rate| rate.to_string());
    staking::MsgCreateValidator {
        description: Some(staking::Description {
            moniker: format!("validator {who}"),
            ..Default::default()
        }),
        commission: Some(staking::CommissionRates { rate, max_rate, max_change_rate }),
        min_self_delegation: least.to_string(),
        validator_address: valoper(who),
        pubkey: Some(any(PubKey { key: key(number).to_vec() })),
        value: coin(amount),
        ..Default::default()
    }
}

pub fn slashing_params(window: u64) -> slashing::Params {
    slashing::Params {
        signed_blocks_window: window as i64,
        min_signed_per_window: MIN_SIGNED.to_string().into_bytes(),
        downtime_jail_duration: Some(Duration { seconds: JAIL as i64, nanos: 0 }),
        slash_fraction_double_sign: DOUBLE_SIGN.to_string().into_bytes(),
        slash_fraction_downtime: DOWNTIME.to_string().into_bytes(),
    }
}
