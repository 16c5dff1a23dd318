//! What the modules' tests share: a state in memory, and messages into it.

use crate::ctx::{Block, Ctx};
use crate::error::Failure;
use crate::genesis::Genesis;
use crate::modules::auth::{Account, GenesisAccount};
use crate::modules::bank;
use crate::query::Router;
use crate::store::MemoryStore;
use crate::tx::Message;
use crate::types::{Address, Amount, Coin, Coins, Denom};

/// When tests begin: in January 2027.
pub const NOW: u64 = 1_800_000_000;

/// An address that is easily told from others.
pub fn address(byte: u8) -> Address {
    Address::new([byte; Address::LEN])
}

/// The denom that most tests use.
pub fn ustoa() -> Denom {
    Denom::try_from("ustoa").unwrap()
}

/// So many ustoa.
pub fn coin(amount: u128) -> Coin {
    Coin::new(ustoa(), Amount::from_raw(amount))
}

/// A genesis of accounts that hold so many ustoa.
pub fn genesis_with(accounts: &[(Address, u128)]) -> Genesis {
    let mut genesis = Genesis::default();
    for (number, (address, amount)) in (0u64..).zip(accounts) {
        let balances: Coins = [coin(*amount)].into_iter().collect();
        let account = Account::new(number, balances);
        genesis.auth.accounts.push(GenesisAccount { address: *address, account });
        genesis.auth.next_number = number + 1;
    }
    genesis.bank.supply = accounts.iter().map(|(_, amount)| coin(*amount)).collect();
    genesis
}

/// A block at [`NOW`] on a state of these accounts.
pub fn ctx_with(accounts: &[(Address, u128)]) -> Ctx<'static> {
    ctx_from(&genesis_with(accounts))
}

/// A block at [`NOW`] on a state from this genesis.
pub fn ctx_from(genesis: &Genesis) -> Ctx<'static> {
    let mut ctx = empty_at(NOW);
    crate::genesis::init(&mut ctx, genesis).unwrap();
    ctx.take_events();
    ctx
}

/// A later block on the same state, whose invariants must hold.
pub fn later(ctx: Ctx<'static>, seconds: u64) -> Ctx<'static> {
    assert_eq!(crate::modules::check_invariants(&ctx), Vec::<String>::new());
    let block = block(ctx.height() + 1, ctx.now() + seconds);
    Ctx::with_changes(empty_store(), block, ctx.into_changes())
}

/// Begins the block, of which consensus says nothing more.
pub fn begin_block(ctx: &mut Ctx<'_>) {
    let input = ctx.block().clone().into();
    crate::modules::begin_block(ctx, &input);
}

/// Works off the end of the block.
pub fn end_block(ctx: &mut Ctx<'_>) {
    crate::modules::end_block(ctx);
    assert_eq!(crate::modules::check_invariants(ctx), Vec::<String>::new());
}

/// A state without anything in it.
pub fn empty_at(now: u64) -> Ctx<'static> {
    Ctx::new(empty_store(), block(1, now))
}

/// Validates and executes a message as a transaction does.
pub fn send<M: Message>(ctx: &mut Ctx<'_>, proto: M::Proto) -> Result<M::Response, Failure> {
    ctx.attempt(|ctx| M::try_from(proto)?.execute(ctx))
}

/// The code in `codespace` by which a message is refused.
pub fn refusal<M: Message>(ctx: &mut Ctx<'_>, proto: M::Proto, codespace: &str) -> u32 {
    let Err(failure) = send::<M>(ctx, proto) else { panic!("the message was not refused") };
    assert_eq!(failure.codespace, codespace, "{failure}");
    failure.code
}

/// Asks a query of the state as it stands.
pub fn ask<Q, R>(ctx: &Ctx<'_>, path: &str, request: &Q) -> Result<R, Failure>
where
    Q: prost::Message,
    R: prost::Message + Default,
{
    let answer = Router::new().answer_in(ctx, path, &request.encode_to_vec())?;
    Ok(R::decode(answer.as_slice()).unwrap())
}

/// What `address` has of ustoa.
pub fn balance(ctx: &Ctx<'_>, address: &Address) -> u128 {
    bank::balance(ctx, address, &ustoa()).raw()
}

/// Asserts that what is exported makes the same state again, through JSON.
pub fn assert_export_is_whole(ctx: Ctx<'static>) {
    let exported = crate::genesis::export(&ctx);
    let json = serde_json::to_string(&exported).unwrap();
    let genesis: Genesis = serde_json::from_str(&json).unwrap();
    assert_eq!(genesis, exported);
    let mut again = empty_at(ctx.now());
    crate::genesis::init(&mut again, &genesis).unwrap();
    let present = |ctx: Ctx<'static>| -> Vec<_> {
        ctx.into_changes().into_iter().filter(|(_, value)| value.is_some()).collect()
    };
    assert!(present(again) == present(ctx), "the state made from the export is another");
}

fn block(height: u64, now: u64) -> Block {
    Block { chain_id: "stoa-test".to_owned(), height, now }
}

/// Everything that a test writes stands in its context's changes.
fn empty_store() -> &'static MemoryStore {
    static EMPTY: std::sync::OnceLock<MemoryStore> = std::sync::OnceLock::new();
    EMPTY.get_or_init(MemoryStore::default)
}
