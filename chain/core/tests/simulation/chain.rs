//! The chain under simulation: blocks of transactions one by one.

use std::collections::VecDeque;

use prost::Message;
use stoa_chain::app::{self, ValidatorUpdate};
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::genesis::Genesis;
use stoa_chain::input::{BlockInput, Misbehavior, Vote};
use stoa_chain::modules::auth::{self, PublicKey, SignatureCheck, Signatures};
use stoa_chain::modules::{self, staking};
use stoa_chain::store::{Changes, MemoryStore};
use stoa_chain::tx::{self, TxResult};
use stoa_chain::types::{Address, Amount, ConsAddress};
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::cosmos::tx::v1beta1 as pb;
use stoa_proto::Any;

use crate::machine::CHAIN;
use crate::scenario::{Actor, GENESIS, STOA};

/// Says of a signature whether it is right by its first byte: signing is not
/// what is simulated here.
pub struct FirstByte;

impl Signatures for FirstByte {
    fn verify(&self, check: &SignatureCheck) -> bool {
        check.signature.first() == Some(&1)
    }
}

/// How a transaction is sent.
pub struct Terms {
    pub fee: u128,
    pub gas: u64,
    pub granter: Option<Address>,
    /// Added to the sequence.
    pub ahead: u64,
    pub signed: bool,
    /// Outside of the sequence, until then.
    pub unordered_until: Option<u64>,
}

pub struct Chain {
    pub store: MemoryStore,
    pub block: Block,
    /// Of the last block; of genesis before the first.
    pub changes: Changes,
    /// Sets after the last blocks, the newest last. A set votes two blocks
    /// after it was told to the engine.
    sets: VecDeque<Vec<ValidatorUpdate>>,
}

impl Chain {
    pub fn new(genesis: &Genesis) -> Self {
        let block = Block { chain_id: CHAIN.into(), height: 0, now: GENESIS };
        let beginning = app::init_chain(genesis, block.clone()).unwrap();
        let mut store = MemoryStore::default();
        store.apply(&beginning.changes);
        let changes = beginning.changes;
        Self { store, block, changes, sets: VecDeque::from(vec![beginning.validators; 3]) }
    }

    /// Those who vote in the next block's commit.
    pub fn voters(&self) -> Vec<(ConsAddress, u64)> {
        let voters = self.sets.front().unwrap().iter();
        voters.map(|voter| (ConsAddress::of_key(&voter.consensus_key), voter.power)).collect()
    }

    pub fn input(
        &self,
        seconds: u64,
        votes: Vec<Vote>,
        misbehavior: Vec<Misbehavior>,
    ) -> BlockInput {
        let (height, now) = (self.block.height + 1, self.block.now + seconds);
        let block = Block { height, now, ..self.block.clone() };
        BlockInput { votes, misbehavior, ..block.into() }
    }

    pub fn commit(&mut self, block: Block, changes: &Changes, set: Vec<ValidatorUpdate>) {
        self.store.apply(changes);
        self.changes.clone_from(changes);
        self.block = block;
        self.sets.pop_front();
        self.sets.push_back(set);
    }

    /// Export, then init: the same entries, and so the same app hash.
    pub fn assert_export_is_whole(&self, seed: u64) {
        let text = serde_json::to_string(&app::export(&self.store, self.block.clone())).unwrap();
        let document: Genesis = serde_json::from_str(&text).unwrap();
        let again = app::init_chain(&document, self.block.clone()).unwrap();
        let mut store = MemoryStore::default();
        store.apply(&again.changes);
        let keys = self.store.entries().keys().chain(store.entries().keys());
        for key in keys {
            let (old, new) = (self.store.entries().get(key), store.entries().get(key));
            assert_eq!(new, old, "seed {seed}, {}, {}", self.block.height, hex::encode(key));
        }
    }
}

/// Begins a block.
pub fn begin(ctx: &mut Ctx<'_>, input: &BlockInput) {
    modules::begin_block(ctx, input);
}

/// Ends it; answers the engine's set from the block after the next on.
pub fn end(ctx: &mut Ctx<'_>) -> Vec<ValidatorUpdate> {
    modules::end_block(ctx);
    staking::validator_set(ctx)
}

/// A transaction of one signer, delivered at `index` of the block.
pub fn deliver(
    ctx: &mut Ctx<'_>,
    index: u32,
    actor: &Actor,
    messages: Vec<Any>,
    granter: Option<Address>,
    terms: &Terms,
) -> TxResult {
    let account = auth::account(ctx, &actor.address);
    let sequence = account.map_or(0, |account| account.sequence);
    let key = PublicKey::Ed25519(actor.key.verifying_key().to_bytes());
    let single = pb::mode_info::Single { mode: 1 };
    let mut body = pb::TxBody { messages, ..Default::default() }.encode_to_vec();
    if let Some(until) = terms.unordered_until {
        let tail = stoa_proto::tx::v1::TxBodyTail {
            unordered: true,
            timeout_timestamp: Some(stoa_chain::types::timestamp(until)),
        };
        body.extend(tail.encode_to_vec());
    }
    let sequence = if terms.unordered_until.is_some() { 0 } else { sequence + terms.ahead };
    let amount = Amount::from_raw(terms.fee).to_string();
    let fee = (terms.fee > 0).then(|| Coin { denom: STOA.into(), amount });
    let auth_info = pb::AuthInfo {
        signer_infos: vec![pb::SignerInfo {
            public_key: Some(key.to_any()),
            mode_info: Some(pb::ModeInfo { sum: Some(pb::mode_info::Sum::Single(single)) }),
            sequence,
        }],
        fee: Some(pb::Fee {
            amount: fee.into_iter().collect(),
            gas_limit: terms.gas,
            granter: granter.map(|granter| granter.to_string()).unwrap_or_default(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let signature = vec![u8::from(terms.signed); 64];
    let raw = pb::TxRaw {
        body_bytes: body,
        auth_info_bytes: auth_info.encode_to_vec(),
        signatures: vec![signature],
    };
    tx::deliver(ctx, index, &raw.encode_to_vec(), &FirstByte)
}
