//! An account that signs bank sends, for tests of the library and of the running node.

use cosmos_sdk_proto::{
    cosmos::{
        bank::v1beta1::MsgSend,
        base::v1beta1::Coin as PbCoin,
        tx::v1beta1::{mode_info, AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw},
    },
    traits::{Message, Name},
    Any,
};
use ed25519_dalek::{Signer, SigningKey};
use stoa_chain::{modules::auth::PublicKey, types::Address};

/// Enough for any one message of these tests.
const GAS_LIMIT: u64 = 2_000_000;

fn coin(amount: u64) -> PbCoin {
    PbCoin { denom: "ustoa".to_owned(), amount: amount.to_string() }
}

/// An account with its key and its next sequence.
pub struct Wallet {
    chain_id: String,
    key: SigningKey,
    /// Account number; the first account of a genesis document has 0.
    pub number: u64,
    sequence: u64,
}

impl Wallet {
    pub fn new(chain_id: &str, seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        Self { chain_id: chain_id.to_owned(), key, number: 0, sequence: 0 }
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.key.verifying_key().to_bytes())
    }

    pub fn address(&self) -> Address {
        self.public().address()
    }

    /// A signed send with the next sequence.
    pub fn send(&mut self, to: Address, amount: u64) -> Vec<u8> {
        let send = MsgSend {
            from_address: self.address().to_string(),
            to_address: to.to_string(),
            amount: vec![coin(amount)],
        };
        self.sign(&send)
    }

    /// A signed transaction of one message with the next sequence.
    pub fn sign<M: Message + Name>(&mut self, message: &M) -> Vec<u8> {
        let message = Any { type_url: M::type_url(), value: message.encode_to_vec() };
        let body = TxBody { messages: vec![message], ..Default::default() }.encode_to_vec();
        let direct = ModeInfo { sum: Some(mode_info::Sum::Single(mode_info::Single { mode: 1 })) };
        let signer = SignerInfo {
            public_key: Some(self.public().to_any()),
            mode_info: Some(direct),
            sequence: self.sequence,
        };
        let fee = Fee { amount: vec![coin(500)], gas_limit: GAS_LIMIT, ..Default::default() };
        let auth = AuthInfo { signer_infos: vec![signer], fee: Some(fee), ..Default::default() }
            .encode_to_vec();
        let document = SignDoc {
            body_bytes: body.clone(),
            auth_info_bytes: auth.clone(),
            chain_id: self.chain_id.clone(),
            account_number: self.number,
        };
        let signature = self.key.sign(&document.encode_to_vec()).to_vec();
        self.sequence += 1;
        TxRaw { body_bytes: body, auth_info_bytes: auth, signatures: vec![signature] }
            .encode_to_vec()
    }
}
