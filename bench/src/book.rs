//! A state machine in memory with a book of orders and bids in it.

use anyhow::{anyhow, ensure, Result};
use stoa_chain::app;
use stoa_chain::ctx::{Block, Ctx};
use stoa_chain::genesis::Genesis;
use stoa_chain::modules;
use stoa_chain::store::MemoryStore;
use stoa_chain::tx::Msg;
use stoa_chain::types::ONE;
use stoa_client::tx::any;
use stoa_proto::cosmos::base::v1beta1::{Coin, DecCoin};
use stoa_proto::deployment::v1::MsgCreateDeployment;
use stoa_proto::market::v1::MsgCreateBid;
use stoa_proto::types::v1::{Cpu, GroupResource, GroupSpec, Memory, OrderId, ResourceUnit, Volume};
use stoa_proto::Any;

use crate::accounts::{address, genesis, padded_genesis, CHAIN_ID, NOW};

/// Providers, by key number from 0 on. They hold an order's bids each.
pub const PROVIDERS: u32 = 10;
/// The tenant's key number.
pub const TENANT: u32 = 10;
/// Orders of ten bids that make a book of 100,000 open bids.
pub const FULL_BOOK: u64 = 10_000;
/// Seconds that most orders stay open: longer than any bench.
const LONG: u64 = 604_800;
/// Messages executed before their changes go to the store.
const BATCH: usize = 5_000;

/// A state machine in memory.
#[derive(Clone)]
pub struct Book {
    pub store: MemoryStore,
    pub height: u64,
    pub now: u64,
}

impl Book {
    /// Providers, a tenant, no orders.
    pub fn new() -> Result<Self> {
        Self::beginning(&genesis(PROVIDERS + 1, PROVIDERS)?)
    }

    /// As `new`, with as many of the `counted` entries as `other` has: accounts in place of its
    /// orders and bids. One record costs more the more there are beside it, of whatever kind.
    pub fn without_orders(other: &Self, counted: fn(&[u8]) -> bool) -> Result<Self> {
        let count = |book: &Self| book.store.entries().keys().filter(|key| counted(key)).count();
        let more = count(other).saturating_sub(count(&Self::new()?));
        Self::beginning(&padded_genesis(PROVIDERS + 1, PROVIDERS, more as u64)?)
    }

    fn beginning(genesis: &Genesis) -> Result<Self> {
        let mut store = MemoryStore::default();
        let beginning = app::init_chain(genesis, block(0, NOW)).map_err(|why| anyhow!(why))?;
        store.apply(&beginning.changes);
        Ok(Self { store, height: 0, now: NOW })
    }

    /// The next block, one second on.
    pub fn next_block(&self) -> Block {
        block(self.height + 1, self.now + 1)
    }

    /// Executes messages without transactions around them.
    pub fn execute(&mut self, messages: &[Any]) -> Result<()> {
        for batch in messages.chunks(BATCH) {
            let block = self.next_block();
            let mut ctx = Ctx::new(&self.store, block.clone());
            modules::begin_block(&mut ctx, &block.clone().into());
            execute(&mut ctx, batch)?;
            modules::end_block(&mut ctx);
            let changes = ctx.into_changes();
            self.store.apply(&changes);
            self.height += 1;
            self.now += 1;
        }
        Ok(())
    }

    /// Adds orders, ten bids on each.
    pub fn fill(&mut self, first: u64, orders: u64) -> Result<()> {
        let posts: Vec<Any> =
            (first..first + orders).map(|dseq| post(dseq, LONG)).collect::<Result<_>>()?;
        self.execute(&posts)?;
        self.execute(&bids(first, orders)?)
    }
}

/// Executes messages one after another.
pub fn execute(ctx: &mut Ctx<'_>, messages: &[Any]) -> Result<()> {
    for (index, message) in (0u32..).zip(messages) {
        ctx.set_place(index, 0);
        let message = Msg::from_any(message)?;
        ctx.attempt(|ctx| message.execute(ctx))?;
        ctx.take_events();
    }
    Ok(())
}

/// Ten bids on each of the orders, every provider's turn on each.
pub fn bids(first: u64, orders: u64) -> Result<Vec<Any>> {
    let mut bids = Vec::new();
    for dseq in first..first + orders {
        for provider in 0..PROVIDERS {
            bids.push(bid(dseq, provider)?);
        }
    }
    Ok(bids)
}

/// One bid, lower than those of the providers before.
pub fn bid(dseq: u64, provider: u32) -> Result<Any> {
    ensure!(provider < PROVIDERS, "provider {provider} is none of the bench's");
    let rate = (1_000 - u128::from(provider) * 10) * ONE;
    let order = OrderId { owner: address(TENANT)?.to_string(), dseq, gseq: 1, oseq: 1 };
    Ok(any(&MsgCreateBid {
        provider: address(provider)?.to_string(),
        order: Some(order),
        rate: Some(DecCoin { denom: "ustoa".to_owned(), amount: rate.to_string() }),
        gpus: Vec::new(),
    }))
}

/// A deployment of one small group.
pub fn post(dseq: u64, bid_window: u64) -> Result<Any> {
    let max_rate = DecCoin { denom: "ustoa".to_owned(), amount: (1_000 * ONE).to_string() };
    let volume =
        Volume { name: "default".to_owned(), bytes: 1 << 30, class: "ephemeral".to_owned() };
    let unit = ResourceUnit {
        id: 1,
        cpu: Some(Cpu { millicores: 100, arch: String::new() }),
        memory: Some(Memory { bytes: 1 << 28 }),
        storage: vec![volume],
        ..ResourceUnit::default()
    };
    let resource = GroupResource { unit: Some(unit), count: 1, max_rate: Some(max_rate) };
    let group =
        GroupSpec { name: "web".to_owned(), resources: vec![resource], ..GroupSpec::default() };
    Ok(any(&MsgCreateDeployment {
        owner: address(TENANT)?.to_string(),
        dseq,
        groups: vec![group],
        version: vec![7; 32],
        manifest_root: vec![8; 32],
        deposit: Some(Coin { denom: "ustoa".to_owned(), amount: "10000000".to_owned() }),
        bid_window,
        ..MsgCreateDeployment::default()
    }))
}

fn block(height: u64, now: u64) -> Block {
    Block { chain_id: CHAIN_ID.to_owned(), height, now }
}
