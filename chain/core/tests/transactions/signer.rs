//! Keys, transactions made by hand, and a chain of single-transaction blocks.

use cosmos_sdk_proto::cosmos::bank::v1beta1::MsgSend;
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmos::crypto::{ed25519, secp256k1 as secp256k1_pb};
use cosmos_sdk_proto::cosmos::tx::v1beta1::{
    mode_info, AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw,
};
use cosmos_sdk_proto::Any;
use ed25519_dalek::Signer as _;
use prost::{Message, Name};
use sha2::{Digest, Sha256};
use stoa_chain::app;
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::genesis::Genesis;
use stoa_chain::modules::auth::{self, Account, GenesisAccount, PublicKey, VerifyEach};
use stoa_chain::modules::consensus;
use stoa_chain::store::MemoryStore;
use stoa_chain::tx::TxResult;
use stoa_chain::types::{Address, Amount, Coins, Denom};
use stoa_proto::tx::v1::TxBodyTail;
use stoa_proto::Timestamp;

pub const CHAIN_ID: &str = "stoa-test";
pub const FUNDS: u128 = 1_000_000_000;
pub const FEE: u128 = 5_000;

pub fn ustoa() -> Denom {
    Denom::try_from("ustoa").unwrap()
}

#[derive(Clone)]
pub enum Key {
    Secp256k1(secp256k1::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Key {
    pub fn secp256k1(seed: u8) -> Self {
        Self::Secp256k1(secp256k1::SecretKey::from_byte_array([seed; 32]).unwrap())
    }

    pub fn ed25519(seed: u8) -> Self {
        Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    pub fn public(&self) -> Any {
        match self {
            Self::Secp256k1(key) => Any {
                type_url: secp256k1_pb::PubKey::type_url(),
                value: secp256k1_pb::PubKey {
                    key: key.public_key(&secp256k1::Secp256k1::new()).serialize().to_vec(),
                }
                .encode_to_vec(),
            },
            Self::Ed25519(key) => Any {
                type_url: ed25519::PubKey::type_url(),
                value: ed25519::PubKey { key: key.verifying_key().to_bytes().to_vec() }
                    .encode_to_vec(),
            },
        }
    }

    pub fn address(&self) -> Address {
        PublicKey::from_any(&self.public()).unwrap().address()
    }

    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Secp256k1(key) => {
                let digest: [u8; 32] = Sha256::digest(bytes).into();
                let message = secp256k1::Message::from_digest(digest);
                let signature = secp256k1::Secp256k1::new().sign_ecdsa(message, key);
                signature.serialize_compact().to_vec()
            }
            Self::Ed25519(key) => key.sign(bytes).to_bytes().to_vec(),
        }
    }
}

/// How a transaction differs from an ordinary one.
#[derive(Clone)]
pub struct Options {
    pub fee: u128,
    pub gas: u64,
    pub memo: String,
    pub timeout_height: u64,
    pub chain_id: String,
    pub sequence: Option<u64>,
    pub payer: Option<String>,
    pub granter: String,
    pub mode: i32,
    pub no_keys: bool,
    pub unsigned: bool,
    /// Last second of an unordered transaction, with nanoseconds.
    pub unordered: Option<(u64, u32)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fee: FEE,
            gas: 200_000,
            memo: String::new(),
            timeout_height: 0,
            chain_id: CHAIN_ID.to_owned(),
            sequence: None,
            payer: None,
            granter: String::new(),
            mode: 1,
            no_keys: false,
            unsigned: false,
            unordered: None,
        }
    }
}

pub fn send_message(from: &Key, to: &Key, amount: u128) -> Any {
    let amount = vec![Coin { denom: "ustoa".to_owned(), amount: amount.to_string() }];
    let (from, to) = (from.address().to_string(), to.address().to_string());
    Any {
        type_url: MsgSend::type_url(),
        value: MsgSend { from_address: from, to_address: to, amount }.encode_to_vec(),
    }
}

/// A chain whose accounts are the secp256k1 keys 1 and 2 and the ed25519 key 3.
pub struct Chain {
    store: MemoryStore,
    pub height: u64,
}

impl Chain {
    pub fn new() -> Self {
        Self::with_params(auth::Params::default())
    }

    pub fn with_block_gas(max_block_gas: u64) -> Self {
        Self::with(|genesis| {
            let max_block_gas = Some(max_block_gas);
            genesis.consensus.params =
                Some(consensus::Params { max_block_gas, ..Default::default() });
        })
    }

    pub fn with_params(params: auth::Params) -> Self {
        Self::with(|genesis| genesis.auth.params = params)
    }

    fn with(change: impl FnOnce(&mut Genesis)) -> Self {
        let keys = [Key::secp256k1(1), Key::secp256k1(2), Key::ed25519(3)];
        let mut genesis = Genesis::default();
        for (number, key) in (0u64..).zip(&keys) {
            let mut balances = Coins::new();
            balances.set(ustoa(), Amount::from_raw(FUNDS));
            let account = Account::new(number, balances);
            genesis.auth.accounts.push(GenesisAccount { address: key.address(), account });
        }
        genesis.auth.next_number = 3;
        change(&mut genesis);
        genesis.bank.supply.set(ustoa(), Amount::from_raw(3 * FUNDS));
        let mut store = MemoryStore::default();
        store.apply(&app::init_chain(&genesis, block(0)).unwrap().changes);
        Self { store, height: 0 }
    }

    /// The chain as its export begins it anew.
    pub fn reborn(&self) -> Self {
        let genesis = app::export(&self.store, block(self.height));
        let mut store = MemoryStore::default();
        store.apply(&app::init_chain(&genesis, block(self.height)).unwrap().changes);
        Self { store, height: self.height }
    }

    /// Executes a block of these transactions.
    pub fn deliver_all(&mut self, txs: &[Vec<u8>]) -> Vec<TxResult> {
        let result = app::finalize_block(&self.store, self.next_block().into(), txs, &VerifyEach);
        self.store.apply(&result.changes);
        self.height += 1;
        result.txs
    }

    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    pub fn next_block(&self) -> Block {
        block(self.height + 1)
    }

    /// A block with this transaction alone.
    pub fn deliver(&mut self, tx: &[u8]) -> TxResult {
        let result = app::finalize_block(&self.store, self.next_block().into(), &[tx], &VerifyEach);
        self.store.apply(&result.changes);
        self.height += 1;
        result.txs.into_iter().next().unwrap()
    }

    pub fn simulate(&self, tx: &[u8]) -> TxResult {
        app::simulate(&self.store, self.next_block(), tx).result
    }

    pub fn account(&self, key: &Key) -> Account {
        let ctx = Ctx::new(&self.store, self.next_block());
        auth::account(&ctx, &key.address()).unwrap_or_else(|| Account::new(0, Coins::new()))
    }

    pub fn balance(&self, key: &Key) -> u128 {
        self.account(key).balances.of(&ustoa()).raw()
    }

    pub fn broken(&self) -> Vec<String> {
        app::check_invariants(&self.store, self.next_block())
    }

    pub fn send(&self, from: &Key, to: &Key, amount: u128, options: Options) -> Vec<u8> {
        self.sign(&[from], vec![send_message(from, to, amount)], options)
    }

    pub fn sign(&self, signers: &[&Key], messages: Vec<Any>, options: Options) -> Vec<u8> {
        self.raw(signers, messages, options).encode_to_vec()
    }

    pub fn raw(&self, signers: &[&Key], messages: Vec<Any>, options: Options) -> TxRaw {
        let body = TxBody {
            messages,
            memo: options.memo.clone(),
            timeout_height: options.timeout_height,
            ..Default::default()
        };
        let infos = signers.iter().map(|key| SignerInfo {
            public_key: (!options.no_keys).then(|| key.public()),
            mode_info: Some(ModeInfo {
                sum: Some(mode_info::Sum::Single(mode_info::Single { mode: options.mode })),
            }),
            sequence: options.sequence.unwrap_or(match options.unordered {
                Some(_) => 0,
                None => self.account(key).sequence,
            }),
        });
        let amount = Coin { denom: "ustoa".to_owned(), amount: options.fee.to_string() };
        let fee = Fee {
            amount: if options.fee == 0 { vec![] } else { vec![amount] },
            gas_limit: options.gas,
            payer: options.payer.clone().unwrap_or_default(),
            granter: options.granter.clone(),
        };
        let auth_info =
            AuthInfo { signer_infos: infos.collect(), fee: Some(fee), ..Default::default() };
        let mut raw = TxRaw {
            body_bytes: [body.encode_to_vec(), tail(options.unordered)].concat(),
            auth_info_bytes: auth_info.encode_to_vec(),
            signatures: vec![],
        };
        if !options.unsigned {
            raw.signatures = signers
                .iter()
                .map(|key| key.sign(&self.bytes_to_sign(&raw, key, &options)))
                .collect();
        }
        raw
    }

    fn bytes_to_sign(&self, raw: &TxRaw, key: &Key, options: &Options) -> Vec<u8> {
        match options.mode {
            127 => self.amino_bytes(raw, key.address()),
            _ => self.sign_bytes(raw, key, &options.chain_id),
        }
    }

    /// The JSON that a signer signs; what stands in it is tested where it is made.
    pub fn amino_bytes(&self, raw: &TxRaw, signer: Address) -> Vec<u8> {
        let tx = stoa_chain::tx::decode(&raw.encode_to_vec(), false).unwrap();
        let ctx = Ctx::new(&self.store, self.next_block());
        let account = auth::account(&ctx, &signer).unwrap();
        let mode = stoa_chain::tx::SignMode::AminoJson;
        tx.sign_bytes(mode, CHAIN_ID, account.number, account.sequence).unwrap()
    }

    pub fn sign_bytes(&self, raw: &TxRaw, key: &Key, chain_id: &str) -> Vec<u8> {
        self.direct_bytes(raw, key.address(), chain_id)
    }

    pub fn direct_bytes(&self, raw: &TxRaw, signer: Address, chain_id: &str) -> Vec<u8> {
        let ctx = Ctx::new(&self.store, self.next_block());
        SignDoc {
            body_bytes: raw.body_bytes.clone(),
            auth_info_bytes: raw.auth_info_bytes.clone(),
            chain_id: chain_id.to_owned(),
            account_number: auth::account(&ctx, &signer).map_or(0, |account| account.number),
        }
        .encode_to_vec()
    }

    pub fn sequence(&self, of: &Address) -> u64 {
        let ctx = Ctx::new(&self.store, self.next_block());
        auth::account(&ctx, of).unwrap().sequence
    }
}

/// The end of a body that `TxBody` does not have.
fn tail(unordered: Option<(u64, u32)>) -> Vec<u8> {
    let Some((seconds, nanos)) = unordered else { return Vec::new() };
    let seconds = i64::try_from(seconds).unwrap();
    let timeout = Timestamp { seconds, nanos: i32::try_from(nanos).unwrap() };
    TxBodyTail { unordered: true, timeout_timestamp: Some(timeout) }.encode_to_vec()
}

fn block(height: u64) -> Block {
    Block { chain_id: CHAIN_ID.to_owned(), height, now: 1_800_000_000 + height }
}
