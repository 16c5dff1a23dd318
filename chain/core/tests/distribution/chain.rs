//! A chain in memory, and messages into its blocks.

use std::collections::VecDeque;

use cosmos_sdk_proto::Any;
use prost::{Message, Name};
use stoa_chain::app::ValidatorUpdate;
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::error::Failure;
use stoa_chain::event::Event;
use stoa_chain::genesis::Genesis;
use stoa_chain::input::{BlockInput, Vote};
use stoa_chain::modules::{self, auth, staking};
use stoa_chain::store::MemoryStore;
use stoa_chain::tx::Msg;
use stoa_chain::types::{Address, Amount, Coin, Coins, ConsAddress, Denom};

/// The denoms in which rewards come.
pub const DENOMS: [&str; 3] = ["uaaa", "ustoa", "uzzz"];
/// What each account begins with, of each denom.
pub const FUNDS: u128 = 1_000_000_000_000;
const BEGINNING: u64 = 1_800_000_000;

pub fn denom(name: &str) -> Denom {
    Denom::try_from(name).unwrap()
}

pub fn coin(name: &str, amount: u128) -> Coin {
    Coin::new(denom(name), Amount::from_raw(amount))
}

pub fn stake(amount: u128) -> Option<cosmos_sdk_proto::cosmos::base::v1beta1::Coin> {
    Some(coin("ustoa", amount).into())
}

/// A genesis of accounts with [`FUNDS`].
pub fn genesis(accounts: &[Address]) -> Genesis {
    let mut genesis = Genesis::default();
    let balances: Coins = DENOMS.iter().map(|name| coin(name, FUNDS)).collect();
    for (number, address) in (0..).zip(accounts) {
        let balances = balances.clone();
        let account = auth::Account::new(number, balances);
        genesis.auth.accounts.push(auth::GenesisAccount { address: *address, account });
    }
    let count = accounts.len() as u128;
    genesis.auth.next_number = accounts.len() as u64;
    genesis.bank.supply = DENOMS.iter().map(|name| coin(name, FUNDS * count)).collect();
    genesis
}

pub struct Chain {
    pub store: MemoryStore,
    pub block: Block,
    /// Sets after the last blocks, the newest last. A set votes two blocks
    /// after it was told to the engine.
    sets: VecDeque<Vec<ValidatorUpdate>>,
}

impl Chain {
    pub fn new(genesis: &Genesis) -> Self {
        let block = Block { chain_id: "stoa-test".to_owned(), height: 0, now: BEGINNING };
        let mut store = MemoryStore::default();
        let beginning = stoa_chain::app::init_chain(genesis, block.clone()).unwrap();
        store.apply(&beginning.changes);
        let sets = VecDeque::from(vec![beginning.validators; 3]);
        Self { store, block, sets }
    }

    /// The next block's input; `signed` says who votes.
    pub fn next(&self, seconds: u64, mut signed: impl FnMut() -> bool) -> BlockInput {
        let (height, now) = (self.block.height + 1, self.block.now + seconds);
        let block = Block { height, now, ..self.block.clone() };
        let voters = self.sets.front().unwrap().iter();
        let votes = voters.map(|voter| {
            let validator = ConsAddress::of_key(&voter.consensus_key);
            Vote { validator, power: voter.power, signed: signed() }
        });
        BlockInput { votes: votes.collect(), ..block.into() }
    }

    pub fn open(&self, input: &BlockInput) -> Ctx<'_> {
        let mut ctx = Ctx::new(&self.store, input.block.clone());
        modules::begin_block(&mut ctx, input);
        ctx
    }

    /// Ends a block; answers what happened at its end.
    pub fn end(ctx: &mut Ctx<'_>) -> (Vec<Event>, Vec<ValidatorUpdate>) {
        modules::end_block(ctx);
        (ctx.take_events(), staking::validator_set(ctx))
    }

    pub fn commit(
        &mut self,
        block: Block,
        changes: &stoa_chain::store::Changes,
        set: Vec<ValidatorUpdate>,
    ) {
        self.store.apply(changes);
        self.block = block;
        self.sets.pop_front();
        self.sets.push_back(set);
    }

    /// The committed state.
    pub fn ctx(&self) -> Ctx<'_> {
        Ctx::new(&self.store, self.block.clone())
    }

    /// Asserts that what is exported makes the same state again.
    pub fn assert_export_is_whole(&self) {
        let exported = stoa_chain::app::export(&self.store, self.block.clone());
        let json = serde_json::to_string(&exported).unwrap();
        let document: Genesis = serde_json::from_str(&json).unwrap();
        let again = stoa_chain::app::init_chain(&document, self.block.clone()).unwrap();
        let mut store = MemoryStore::default();
        store.apply(&again.changes);
        assert!(store == self.store, "the state made from the export is another");
    }
}

/// Executes a message as a transaction does, its signature aside.
pub fn execute<M: Message + Name>(ctx: &mut Ctx<'_>, message: &M) -> Result<Any, Failure> {
    let any = Any { type_url: M::type_url(), value: message.encode_to_vec() };
    ctx.attempt(|ctx| Msg::from_any(&any)?.execute(ctx))
}

pub fn assert_sound(ctx: &Ctx<'_>) {
    assert_eq!(modules::check_invariants(ctx), Vec::<String>::new());
}
