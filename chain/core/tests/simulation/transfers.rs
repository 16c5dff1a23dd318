//! Sends, and tenants' certificates.

use cosmos_sdk_proto::cosmos::bank::v1beta1 as bank;
use prost::{Message, Name};
use rand::seq::SliceRandom;
use rand::Rng;
use stoa_proto::cert::v1 as cert;
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::Any;

use crate::certificates::leaf;
use crate::scenario::{OTHER, STOA, UNTRADED};
use crate::sim::{Sent, Sim};

pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

impl Sim {
    pub fn coin(&mut self) -> Coin {
        let denom = [STOA, STOA, OTHER, UNTRADED].choose(&mut self.rng).unwrap();
        Coin { denom: (*denom).into(), amount: self.amount().to_string() }
    }

    pub fn stake(&mut self) -> Coin {
        Coin { denom: STOA.into(), amount: self.amount().to_string() }
    }

    pub fn send_of(&mut self, from: &str) -> Any {
        let to_address = self.anyone().to_string();
        let amount = vec![self.coin()];
        any(&bank::MsgSend { from_address: from.into(), to_address, amount })
    }

    pub fn transfer_operation(&mut self) -> Option<Sent> {
        let from = self.anyone();
        let message = match self.rng.gen_range(0..10) {
            0..5 => self.send_of(&from.to_string()),
            5..7 => self.multi_send(&from.to_string()),
            7..9 => {
                let der = if self.rng.gen_bool(0.9) { leaf(from) } else { vec![7; 9] };
                any(&cert::MsgCreateCertificate { owner: from.to_string(), der })
            }
            _ => {
                let (owner, serial) = self.certificates.choose(&mut self.rng).cloned()?;
                let message = cert::MsgRevokeCertificate { owner: owner.to_string(), serial };
                return Some((owner, any(&message)));
            }
        };
        Some((from, message))
    }

    fn multi_send(&mut self, from: &str) -> Any {
        let coins = [self.coin(), self.coin()];
        let outputs: Vec<_> = coins
            .iter()
            .map(|coin| {
                let address = self.anyone().to_string();
                bank::Output { address, coins: vec![coin.clone()] }
            })
            .collect();
        let mut sum = std::collections::BTreeMap::<String, u128>::new();
        for coin in &coins {
            *sum.entry(coin.denom.clone()).or_default() += coin.amount.parse::<u128>().unwrap();
        }
        let coins =
            sum.into_iter().map(|(denom, amount)| Coin { denom, amount: amount.to_string() });
        let input = bank::Input { address: from.into(), coins: coins.collect() };
        any(&bank::MsgMultiSend { inputs: vec![input], outputs })
    }
}
