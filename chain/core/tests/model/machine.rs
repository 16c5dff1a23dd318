//! The state machine under test: a committed store, blocks of messages on it,
//! and what its queries say.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::json;
use stoa_chain::app;
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::error::Failure;
use stoa_chain::genesis::Genesis;
use stoa_chain::modules::{auth, provider};
use stoa_chain::query::Router;
use stoa_chain::store::{Changes, MemoryStore};
use stoa_chain::tx::Msg;
use stoa_chain::types::{Address, Amount, Coin, Coins, Denom};
use stoa_proto::deployment::v1 as dpb;
use stoa_proto::escrow::v1 as epb;
use stoa_proto::market::v1 as mpb;
use stoa_proto::provider::v1 as ppb;

use crate::reference::{Op, Params};
use crate::scenario::{Cast, Setting, GENESIS, OTHER, STOA, UNTRADED};

/// Its chain id.
pub const CHAIN: &str = "stoa-model";

pub struct Machine {
    pub store: MemoryStore,
    pub block: Block,
    router: Router,
}

/// A block under way.
pub struct Open<'s> {
    pub ctx: Ctx<'s>,
    index: u32,
}

pub fn denom(text: &str) -> Denom {
    Denom::try_from(text).unwrap()
}

/// The genesis document of a setting.
pub fn genesis(setting: &Setting, cast: &Cast) -> Genesis {
    let mut genesis = Genesis::default();
    let mut supply = Coins::new();
    let mut accounts = Vec::new();
    for actor in cast.everyone() {
        let mut balances = Coins::new();
        for name in [STOA, OTHER, UNTRADED] {
            let coin = Coin::new(denom(name), Amount::from_raw(cast.endowment(actor)));
            balances.checked_add(&coin).unwrap();
            supply.checked_add(&coin).unwrap();
        }
        accounts.push((actor.address, balances));
    }
    accounts.sort_by_key(|(address, _)| *address);
    for (number, (address, balances)) in (0..).zip(accounts) {
        let account = auth::Account::new(number, balances);
        genesis.auth.accounts.push(auth::GenesisAccount { address, account });
    }
    genesis.auth.next_number = genesis.auth.accounts.len() as u64;
    genesis.bank.supply = supply;
    with_params(genesis, &setting.params())
}

/// Sets the modules' parameters by name, as a document has them.
fn with_params(genesis: Genesis, params: &Params) -> Genesis {
    let mut document = serde_json::to_value(genesis).unwrap();
    let (market, escrow, bounds) = (&params.market, &params.escrow, &params.deployment);
    let denoms = escrow.market_denoms.iter().map(|denom| {
        json!({
            "denom": denom.denom, "take_rate": denom.take_rate, "min_deposit": denom.min_deposit,
        })
    });
    let wanted = json!({
        "market": {
            "min_bid_window": market.min_bid_window,
            "max_bid_window": market.max_bid_window,
            "default_bid_window": market.default_bid_window,
            "reveal_window": market.reveal_window,
            "bid_step": market.bid_step,
            "max_bids_per_order": market.max_bids_per_order,
            "min_bid_deposit": market.min_bid_deposit,
            "lease_start_deadline": market.lease_start_deadline,
            "max_end_block_work": market.max_end_block_work,
            "second_price_fee_cap": market.second_price_fee_cap,
            "keep_closed": market.keep_closed,
            "max_reopens": market.max_reopens,
            "max_leases_per_withdrawal": market.max_leases_per_withdrawal,
            "min_reclamation": market.min_reclamation,
            "max_reclamation": market.max_reclamation,
            "rep_half_stake": market.rep_half_stake,
            "rep_min_fee": market.rep_min_fee,
        },
        "escrow": {
            "market_denoms": denoms.collect::<Vec<_>>(),
            "overdrawn_keep": escrow.overdrawn_keep,
            "max_depositors": escrow.max_depositors,
        },
        "deployment": {
            "max_groups": bounds.max_groups,
            "max_units_per_group": bounds.max_units_per_group,
            "max_count": bounds.max_count,
            "max_volumes": bounds.max_volumes,
            "max_endpoints": bounds.max_endpoints,
            "max_gpu_models": bounds.max_gpu_models,
            "max_attributes": bounds.max_attributes,
            "max_attribute_bytes": bounds.max_attribute_bytes,
            "max_auditors": bounds.max_auditors,
            "max_listed_providers": bounds.max_listed_providers,
        },
        "provider": { "unbonding": params.unbonding, "max_unbondings": params.max_unbondings },
    });
    for (module, values) in wanted.as_object().unwrap() {
        for (name, value) in values.as_object().unwrap() {
            let params = &mut document[module]["params"];
            assert!(params.get(name).is_some(), "{module} has a parameter {name}: {params}");
            params[name] = value.clone();
        }
    }
    serde_json::from_value(document).unwrap()
}

fn block(height: u64, now: u64) -> Block {
    Block { chain_id: CHAIN.into(), height, now }
}

impl Machine {
    pub fn new(genesis: &Genesis) -> Self {
        let block = block(0, GENESIS);
        let changes = app::init_chain(genesis, block.clone()).unwrap().changes;
        let mut store = MemoryStore::default();
        store.apply(&changes);
        Self { store, block, router: Router::new() }
    }

    /// Takes up a block; messages go into it, then [`Machine::commit`].
    pub fn open(&self, height: u64, now: u64) -> Open<'_> {
        let input = block(height, now).into();
        let mut ctx = Ctx::new(&self.store, block(height, now));
        stoa_chain::modules::begin_block(&mut ctx, &input);
        Open { ctx, index: 0 }
    }

    pub fn commit(&mut self, height: u64, now: u64, changes: &Changes) {
        self.store.apply(changes);
        self.block = block(height, now);
    }

    /// The parameters as the queries tell them.
    pub fn params(&self) -> Params {
        let market: mpb::QueryParamsResponse =
            self.query("/stoa.market.v1.Query/Params", &mpb::QueryParamsRequest {}).unwrap();
        let escrow: epb::QueryParamsResponse =
            self.query("/stoa.escrow.v1.Query/Params", &epb::QueryParamsRequest {}).unwrap();
        let bounds: dpb::QueryParamsResponse =
            self.query("/stoa.deployment.v1.Query/Params", &dpb::QueryParamsRequest {}).unwrap();
        let provider: ppb::QueryParamsResponse =
            self.query("/stoa.provider.v1.Query/Params", &ppb::QueryParamsRequest {}).unwrap();
        let provider = provider.params.unwrap();
        Params {
            market: market.params.unwrap(),
            escrow: escrow.params.unwrap(),
            deployment: bounds.params.unwrap(),
            unbonding: provider.unbonding,
            max_unbondings: provider.max_unbondings,
        }
    }

    /// Asks the committed state.
    pub fn query<R: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
    ) -> Result<R, Failure> {
        let data = request.encode_to_vec();
        let answer = self.router.answer(&self.store, self.block.clone(), path, &data)?;
        Ok(R::decode(answer.as_slice()).unwrap())
    }

    /// What is wrong with the committed state by its own account.
    pub fn broken(&self) -> Vec<String> {
        app::check_invariants(&self.store, self.block.clone())
    }

    /// Balances of all accounts that have any.
    pub fn balances(&self) -> BTreeMap<(Address, String), u128> {
        let ctx = Ctx::new(&self.store, self.block.clone());
        let mut all = BTreeMap::new();
        for (address, account) in auth::accounts(&ctx) {
            for coin in account.balances.iter() {
                all.insert((address, coin.denom.to_string()), coin.amount.raw());
            }
        }
        all
    }
}

impl Open<'_> {
    /// Does one message, as a transaction of its own.
    pub fn execute(&mut self, op: &Op) -> Result<(), Failure> {
        self.ctx.set_place(self.index, 0);
        self.index += 1;
        let msg = Msg::from_any(&op.to_any())?;
        assert_eq!(msg.signer().to_string(), op.signer(), "{op:?}");
        self.ctx.attempt(|ctx| msg.execute(ctx)).map(|_| ())
    }

    pub fn set_jailed(&mut self, address: Address, jailed: bool) {
        provider::set_jailed(&mut self.ctx, &address, jailed).unwrap();
    }

    pub fn finish(mut self) -> Changes {
        stoa_chain::modules::end_block(&mut self.ctx);
        self.ctx.into_changes()
    }
}
