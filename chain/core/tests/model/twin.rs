//! Two machines, given the same blocks of signed transactions, one of them
//! restarted at random: the changes of each block, from which the app hash is
//! made, are equal byte for byte.

use std::collections::BTreeMap;

use ed25519_dalek::Signer as _;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stoa_chain::app;
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::modules::auth::{self, PublicKey, VerifyEach};
use stoa_chain::store::{Changes, MemoryStore};
use stoa_chain::types::Address;
use stoa_proto::cosmos::base::v1beta1::Coin;
use stoa_proto::cosmos::tx::v1beta1 as tx;
use stoa_proto::Any;

use crate::certificates::roots;
use crate::generate::Generator;
use crate::machine::{self, Machine, CHAIN};
use crate::reference::Op;
use crate::run::world_at_genesis;
use crate::scenario::{Cast, Setting, GENESIS, STOA};

/// A transaction of one signer.
fn transaction(
    store: &MemoryStore,
    block: &Block,
    cast: &Cast,
    ops: &[Any],
    signer: Address,
    ahead: u64,
) -> Vec<u8> {
    let actor = cast.everyone().find(|actor| actor.address == signer).expect("one of the cast");
    let account = auth::account(&Ctx::new(store, block.clone()), &signer).expect("an account");
    let key = PublicKey::Ed25519(actor.key.verifying_key().to_bytes());
    let single = tx::mode_info::Single { mode: 1 };
    let body = tx::TxBody { messages: ops.to_vec(), ..Default::default() };
    let fee = Coin { denom: STOA.into(), amount: "7".into() };
    let auth_info = tx::AuthInfo {
        signer_infos: vec![tx::SignerInfo {
            public_key: Some(key.to_any()),
            mode_info: Some(tx::ModeInfo { sum: Some(tx::mode_info::Sum::Single(single)) }),
            sequence: account.sequence + ahead,
        }],
        fee: Some(tx::Fee { amount: vec![fee], gas_limit: 10_000_000, ..Default::default() }),
        ..Default::default()
    };
    let (body_bytes, auth_info_bytes) = (body.encode_to_vec(), auth_info.encode_to_vec());
    let document = tx::SignDoc {
        body_bytes: body_bytes.clone(),
        auth_info_bytes: auth_info_bytes.clone(),
        chain_id: CHAIN.into(),
        account_number: account.number,
    };
    let signature = actor.key.sign(&document.encode_to_vec()).to_bytes().to_vec();
    tx::TxRaw { body_bytes, auth_info_bytes, signatures: vec![signature] }.encode_to_vec()
}

/// What a stop leaves and a start finds: the committed entries, copied byte by
/// byte, their derived indexes being what the records say.
fn restarted(store: &MemoryStore, block: &Block) -> MemoryStore {
    let entries: Changes =
        store.entries().iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    let mut again = MemoryStore::default();
    again.apply(&entries);
    let broken = app::check_invariants(&again, block.clone());
    assert!(broken.is_empty(), "height {}: {broken:#?}", block.height);
    again
}

/// The state as a document and back, all indexes built anew.
pub fn through_document(store: &MemoryStore, block: &Block) -> MemoryStore {
    let text = serde_json::to_string(&app::export(store, block.clone())).unwrap();
    let document = serde_json::from_str(&text).unwrap();
    let mut again = MemoryStore::default();
    again.apply(&app::init_chain(&document, block.clone()).unwrap().changes);
    for (key, value) in store.entries() {
        let found = again.entries().get(key);
        assert_eq!(found, Some(value), "height {}, key {}", block.height, hex::encode(key));
    }
    assert_eq!(again.entries().len(), store.entries().len());
    again
}

pub struct Twin {
    pub steady: MemoryStore,
    pub restless: MemoryStore,
    pub block: Block,
    pub done: usize,
    pub refused: usize,
    pub restarts: usize,
    pub exports: usize,
}

impl Twin {
    /// Both at genesis.
    pub fn new(setting: &Setting, cast: &Cast) -> Self {
        let block = Block { chain_id: CHAIN.into(), height: 0, now: GENESIS };
        let genesis = machine::genesis(setting, cast);
        let changes = app::init_chain(&genesis, block.clone()).unwrap().changes;
        let mut steady = MemoryStore::default();
        steady.apply(&changes);
        let restless = steady.clone();
        Self { steady, restless, block, done: 0, refused: 0, restarts: 0, exports: 0 }
    }

    /// One block of these transactions into both.
    pub fn block(&mut self, now: u64, txs: &[Vec<u8>]) {
        let block = Block { height: self.block.height + 1, now, ..self.block.clone() };
        let ours = app::finalize_block(&self.steady, block.clone().into(), txs, &VerifyEach);
        let theirs = app::finalize_block(&self.restless, block.clone().into(), txs, &VerifyEach);
        assert_eq!(ours.changes, theirs.changes, "height {}", block.height);
        assert_eq!(ours, theirs, "results and events at height {}", block.height);
        self.done += ours.txs.iter().filter(|result| result.is_ok()).count();
        self.refused += ours.txs.iter().filter(|result| !result.is_ok()).count();
        self.steady.apply(&ours.changes);
        self.restless.apply(&theirs.changes);
        self.block = block;
    }

    /// The second machine stops and starts again.
    pub fn restart(&mut self) {
        self.restless = restarted(&self.restless, &self.block);
        self.restarts += 1;
    }

    /// Export, then init: the second machine goes on from the same entries.
    pub fn export(&mut self) {
        self.restless = through_document(&self.restless, &self.block);
        self.exports += 1;
    }
}

/// Drives a twin by what the reference makes of the same operations, so that
/// they fit the state.
pub fn run(setting: Setting) -> Twin {
    let cast = Cast::new();
    let mut twin = Twin::new(&setting, &cast);
    let machine = Machine::new(&machine::genesis(&setting, &cast));
    let mut world = world_at_genesis(&machine, &cast);
    let rng = ChaCha8Rng::seed_from_u64(setting.seed);
    let mut generator = Generator::new(rng, &cast, roots(&cast));
    let mut first: Vec<Op> = cast.providers[..8]
        .iter()
        .map(|actor| Op::CreateProvider(generator.create_provider_msg(actor.address)))
        .collect();
    let mut operations = 0;
    while operations < setting.operations {
        world.height += 1;
        world.now += generator.pause();
        world.begin_block();
        let mut txs = Vec::new();
        let mut ahead: BTreeMap<Address, u64> = BTreeMap::new();
        let mut ops = std::mem::take(&mut first);
        let count = generator.rng.gen_range(0..10).max(ops.len());
        for index in 0..count {
            let op =
                if index < ops.len() { ops[index].clone() } else { generator.operation(&world) };
            if index >= ops.len() {
                ops.push(op.clone());
            }
            let _ = world.execute(&op, (world.height, index as u32, 0));
            let Ok(signer) = op.signer().parse::<Address>() else { continue };
            let next = ahead.entry(signer).or_default();
            let bytes =
                transaction(&twin.steady, &twin.block, &cast, &[op.to_any()], signer, *next);
            if stoa_chain::tx::decode(&bytes, true).is_ok() {
                *next += 1;
            }
            txs.push(bytes);
            operations += 1;
        }
        twin.block(world.now, &txs);
        world.end_block();
        if generator.rng.gen_ratio(1, 20) {
            twin.restart();
        }
        if generator.rng.gen_ratio(1, 50) {
            twin.export();
        }
    }
    twin
}
