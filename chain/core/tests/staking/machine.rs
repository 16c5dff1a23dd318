//! The state machine under test.

use serde_json::json;
use stoa_chain::app::{self, ValidatorUpdate};
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::error::Failure;
use stoa_chain::genesis::Genesis;
use stoa_chain::input::BlockInput;
use stoa_chain::modules::auth::{Account, GenesisAccount};
use stoa_chain::modules::staking::{self, Commission, Delegation, Description, Status, Validator};
use stoa_chain::store::{Changes, MemoryStore};
use stoa_chain::tx::Msg;
use stoa_chain::types::{Amount, Coin, Coins, Dec, Denom};

use crate::operation::{address, key, Op, DOUBLE_SIGN, DOWNTIME, JAIL, MIN_SIGNED};
use crate::reference::{Val, World};

pub struct Machine {
    pub store: MemoryStore,
    pub block: Block,
}

fn block(height: u64, now: u64) -> Block {
    Block { chain_id: "stoa-staking".to_owned(), height, now }
}

fn decimal(raw: u128) -> String {
    Dec::from_raw(raw).to_string()
}

/// The reference's beginning as a document. Nothing is minted, so that nothing
/// is earned.
fn genesis(world: &World) -> Genesis {
    let denom = Denom::stake();
    let mut genesis = Genesis::default();
    let mut supply = 0;
    for (number, (who, balance)) in (0..).zip(&world.balances) {
        let coins = Coins::from_iter([Coin::new(denom.clone(), Amount::from_raw(*balance))]);
        let account = Account::new(number, coins);
        genesis.auth.accounts.push(GenesisAccount { address: address(*who), account });
        genesis.auth.next_number = number + 1;
        supply += balance;
    }
    for (operator, validator) in &world.validators {
        supply += validator.tokens;
        let shares = Dec::from_raw(validator.tokens * 1_000_000_000_000_000_000);
        genesis.staking.validators.push(to_record(*operator, validator, shares));
        let (delegator, validator) = (address(*operator), address(*operator));
        genesis.staking.delegations.push(Delegation { delegator, validator, shares });
    }
    let total = Coin::new(denom, Amount::from_raw(supply));
    genesis.bank.supply = Coins::from_iter([total]);
    genesis.staking.params.max_validators = world.max_validators;
    genesis.staking.params.max_entries = world.max_entries;
    genesis.staking.params.unbonding_time = world.unbonding;
    let mut document = serde_json::to_value(genesis).unwrap();
    document["slashing"]["params"] = json!({
        "signed_blocks_window": world.window,
        "min_signed_per_window": decimal(MIN_SIGNED),
        "downtime_jail_duration": JAIL,
        "slash_fraction_double_sign": decimal(DOUBLE_SIGN),
        "slash_fraction_downtime": decimal(DOWNTIME),
    });
    for name in ["inflation_rate_change", "inflation_max", "inflation_min"] {
        assert!(document["mint"]["params"].get(name).is_some(), "mint has {name}");
        document["mint"]["params"][name] = json!("0");
    }
    serde_json::from_value(document).unwrap()
}

fn to_record(operator: u8, validator: &Val, shares: Dec) -> Validator {
    Validator {
        operator: address(operator),
        consensus_key: key(validator.key),
        jailed: false,
        status: Status::Bonded,
        tokens: Amount::from_raw(validator.tokens),
        shares,
        description: Description { moniker: format!("validator {operator}"), ..Default::default() },
        commission: Commission {
            rate: Dec::from_raw(validator.rate),
            max_rate: Dec::from_raw(validator.max_rate),
            max_change_rate: Dec::from_raw(validator.max_change),
            updated_at: validator.rate_at,
        },
        min_self_delegation: Amount::from_raw(validator.least),
    }
}

impl Machine {
    pub fn new(world: &World) -> Self {
        let block = block(0, world.now);
        let beginning = app::init_chain(&genesis(world), block.clone()).unwrap();
        let mut store = MemoryStore::default();
        store.apply(&beginning.changes);
        Self { store, block }
    }

    pub fn open(&self, input: &BlockInput) -> Open<'_> {
        let mut ctx = Ctx::new(&self.store, input.block.clone());
        stoa_chain::modules::begin_block(&mut ctx, input);
        Open { ctx }
    }

    pub fn commit(&mut self, block: Block, changes: &Changes) {
        self.store.apply(changes);
        self.block = block;
    }

    pub fn ctx(&self) -> Ctx<'_> {
        Ctx::new(&self.store, self.block.clone())
    }

    /// What is exported makes the same state, indexes too.
    pub fn check_export(&self) {
        let text = serde_json::to_string(&app::export(&self.store, self.block.clone())).unwrap();
        let document = serde_json::from_str(&text).unwrap();
        let beginning = app::init_chain(&document, self.block.clone()).unwrap();
        let mut again = MemoryStore::default();
        again.apply(&beginning.changes);
        for (key, value) in self.store.entries() {
            assert_eq!(again.entries().get(key), Some(value), "under {}", hex::encode(key));
        }
        assert_eq!(again.entries().len(), self.store.entries().len());
        assert_eq!(beginning.validators, staking::validator_set(&self.ctx()));
    }
}

/// A block under way.
pub struct Open<'s> {
    ctx: Ctx<'s>,
}

impl Open<'_> {
    pub fn execute(&mut self, op: &Op) -> Result<(), Failure> {
        let any = op.to_any();
        self.ctx.attempt(|ctx| Msg::from_any(&any)?.execute(ctx)).map(drop)
    }

    pub fn finish(mut self) -> (Changes, Vec<ValidatorUpdate>) {
        let updates = stoa_chain::modules::end_block(&mut self.ctx);
        (self.ctx.into_changes(), updates)
    }
}

pub fn block_at(height: u64, now: u64) -> Block {
    block(height, now)
}
