//! A chain of some age, standing on a node's store.

use std::{collections::BTreeMap, sync::Arc};

use ed25519_dalek::{Signer, SigningKey};
use prost::Message;
use stoa_chain::{
    app,
    ctx::{Block, Ctx},
    genesis::Genesis,
    modules::auth::{self, PublicKey},
    store::Changes,
    types::Address,
};
use stoa_proto::{
    cosmos::{
        base::v1beta1::Coin,
        tx::v1beta1::{mode_info, AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw},
    },
    Any,
};
use stoad::{
    app::{App, AppOptions, Machine},
    query::Queries,
    store::{Database, Options},
};

use crate::sim::Sim;

/// Blocks that the simulation makes before the fuzzing begins.
const BLOCKS: u32 = 50;

/// Who can sign, with what their next transaction needs.
#[derive(Clone)]
pub struct Actor {
    /// By which it signs.
    pub key: SigningKey,
    /// Account number.
    pub number: u64,
    /// Of the next transaction.
    pub sequence: u64,
}

/// The chain, and what was sent on it.
pub struct Stage {
    _dir: tempfile::TempDir,
    pub machine: Arc<Machine>,
    pub app: App,
    /// Of the last block.
    pub block: Block,
    /// Consensus addresses and powers of those who vote next.
    pub voters: Vec<(Vec<u8>, i64)>,
    actors: BTreeMap<Address, Actor>,
    /// Messages that were sent, done or not.
    pub messages: Vec<(Address, Any)>,
    /// Its export.
    pub genesis: Genesis,
}

/// An application without blocks, on a store of its own.
pub fn empty(dir: &std::path::Path, chain_id: &str) -> (Arc<Machine>, App) {
    let database = Database::open(dir, Options::local()).unwrap();
    let machine = Arc::new(Machine::new(database, chain_id, 1, AppOptions::default()));
    let app = App::new(Arc::clone(&machine), Arc::new(Queries::new(Arc::clone(&machine))));
    (machine, app)
}

impl Stage {
    /// The chain that a seed makes.
    pub fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut sim = Sim::new(seed);
        let mut changes: Changes = sim.chain.changes.clone();
        let database = Database::open(dir.path(), Options::local()).unwrap();
        for _ in 0..BLOCKS {
            sim.block();
            changes.extend(sim.chain.changes.clone());
            let block = &sim.chain.block;
            let staged = database.stage(block.height, block.now, &changes).unwrap();
            database.commit(staged).unwrap();
            changes.clear();
        }
        let block = sim.chain.block.clone();
        let options = AppOptions::default();
        let machine = Arc::new(Machine::new(database, &block.chain_id, block.now, options));
        let app = App::new(Arc::clone(&machine), Arc::new(Queries::new(Arc::clone(&machine))));
        let ctx = Ctx::new(&sim.chain.store, block.clone());
        let actors = sim.actors.iter().filter_map(|actor| {
            let account = auth::account(&ctx, &actor.address)?;
            let (number, sequence) = (account.number, account.sequence);
            Some((actor.address, Actor { key: actor.key.clone(), number, sequence }))
        });
        let actors = actors.collect();
        let voters = sim.chain.voters().into_iter();
        let voters = voters
            .map(|(address, power)| (address.as_bytes().to_vec(), i64::try_from(power).unwrap()))
            .collect();
        let genesis = app::export(&sim.chain.store, block.clone());
        let messages = std::mem::take(&mut sim.sent);
        Self { _dir: dir, machine, app, block, voters, actors, messages, genesis }
    }

    /// Addresses that mean something on the chain.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.actors.keys()
    }

    /// Those who can sign, to count their sequences up from here.
    pub fn actors(&self) -> BTreeMap<Address, Actor> {
        self.actors.clone()
    }
}

/// How a transaction is put together.
pub struct Terms {
    pub fee: u64,
    pub gas: u64,
    pub memo: String,
    pub timeout_height: u64,
    /// Added to each sequence.
    pub ahead: u64,
    /// As protobuf has it: 1 is DIRECT.
    pub mode: i32,
}

/// A transaction signed by its messages' senders, each of whose sequences is used up.
pub fn sign(
    chain_id: &str,
    actors: &mut BTreeMap<Address, Actor>,
    sent: &[(Address, Any)],
    terms: &Terms,
) -> Vec<u8> {
    let mut signers: Vec<Address> = Vec::new();
    for (signer, _) in sent {
        if !signers.contains(signer) && actors.contains_key(signer) {
            signers.push(*signer);
        }
    }
    let body = TxBody {
        messages: sent.iter().map(|(_, message)| message.clone()).collect(),
        memo: terms.memo.clone(),
        timeout_height: terms.timeout_height,
        ..Default::default()
    };
    let infos = signers.iter().map(|signer| {
        let actor = &actors[signer];
        let single = mode_info::Single { mode: terms.mode };
        SignerInfo {
            public_key: Some(PublicKey::Ed25519(actor.key.verifying_key().to_bytes()).to_any()),
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(single)) }),
            sequence: actor.sequence.wrapping_add(terms.ahead),
        }
    });
    let amount = vec![Coin { denom: "ustoa".to_owned(), amount: terms.fee.to_string() }];
    let fee = Fee { amount, gas_limit: terms.gas, ..Default::default() };
    let auth = AuthInfo { signer_infos: infos.collect(), fee: Some(fee), ..Default::default() };
    let (body_bytes, auth_info_bytes) = (body.encode_to_vec(), auth.encode_to_vec());
    let mut signatures = Vec::new();
    for signer in signers {
        let actor = actors.get_mut(&signer).unwrap();
        let document = SignDoc {
            body_bytes: body_bytes.clone(),
            auth_info_bytes: auth_info_bytes.clone(),
            chain_id: chain_id.to_owned(),
            account_number: actor.number,
        };
        signatures.push(actor.key.sign(&document.encode_to_vec()).to_vec());
        actor.sequence = actor.sequence.wrapping_add(1);
    }
    TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec()
}
