//! Mint on a stage with one validator.

use cosmos_sdk_proto::cosmos::mint::v1beta1 as pb;
use prost::Message;

use super::*;
use crate::modules::staking::{Commission, Delegation, Description, Status, Validator};
use crate::query::Router;
use crate::testing::{self, address, coin, refusal, send, ustoa};
use crate::types::{Address, Amount, ONE};

const SUPPLY: u128 = 1_000_000_000_000;

/// All of the supply is an account's but for what is bonded.
fn stage(bonded: u128) -> Ctx<'static> {
    let mut genesis = testing::genesis_with(&[(address(1), SUPPLY - bonded)]);
    genesis.bank.supply = [coin(SUPPLY)].into_iter().collect();
    if bonded > 0 {
        let shares = Dec::from_raw(bonded * ONE);
        genesis.staking.validators.push(Validator {
            operator: address(2),
            consensus_key: [2; 32],
            jailed: false,
            status: Status::Bonded,
            tokens: Amount::from_raw(bonded),
            shares,
            description: Description::default(),
            commission: Commission {
                rate: Dec::ZERO,
                max_rate: Dec::ZERO,
                max_change_rate: Dec::ZERO,
                updated_at: 0,
            },
            min_self_delegation: Amount::from_raw(1),
        });
        let (delegator, validator) = (address(2), address(2));
        genesis.staking.delegations.push(Delegation { delegator, validator, shares });
    }
    let mut ctx = testing::ctx_from(&genesis);
    let now = ctx.now();
    crate::modules::set_last_block_time(&mut ctx, now);
    ctx
}

/// Mints in a block so much later; answers what was minted.
fn mint_after(ctx: &mut Ctx<'static>, seconds: u64) -> u128 {
    let moved = std::mem::replace(ctx, testing::empty_at(0));
    *ctx = testing::later(moved, seconds);
    let before = bank::supply(ctx, &ustoa()).raw();
    begin_block(ctx);
    let minted = bank::supply(ctx, &ustoa()).raw() - before;
    assert_eq!(bank::collected_fees(ctx).of(&ustoa()).raw(), minted);
    let now = ctx.now();
    crate::modules::set_last_block_time(ctx, now);
    minted
}

#[test]
fn coins_are_minted_by_the_seconds_that_have_passed() {
    let mut ctx = stage(SUPPLY / 100 * 67);
    // On its goal inflation rests at 13%: 10^12 * 0.13 / 31557600 * 6 = 24716.7.
    assert_eq!(mint_after(&mut ctx, 6), 24_716);
    assert_eq!(minter(&ctx).inflation, Dec::percent(13));
    let events = ctx.take_events();
    let mint = events.iter().find(|event| event.kind == "mint").unwrap();
    let names: Vec<_> = mint.attributes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bonded_ratio", "inflation", "annual_provisions", "amount"]);
    assert_eq!(mint.attributes[0].1, "0.670000000000000000");
    assert_eq!(mint.attributes[2].1, "130000000000.000000000000000000");
    assert_eq!(mint.attributes[3].1, "24716");
}

#[test]
fn a_halt_mints_no_more_than_a_slow_block() {
    let minted = mint_after(&mut stage(SUPPLY / 100 * 67), 86_400 * 30);
    assert_eq!(minted, mint_after(&mut stage(SUPPLY / 100 * 67), MAX_SECONDS));
}

#[test]
fn nothing_is_minted_where_nobody_is_bonded_or_no_time_has_passed() {
    let mut ctx = stage(0);
    assert_eq!(mint_after(&mut ctx, 6), 0);
    assert_eq!(minter(&ctx), Minter::default());
    assert_eq!(mint_after(&mut stage(SUPPLY / 2), 0), 0);
    let mut first = testing::ctx_from(&testing::genesis_with(&[(address(1), SUPPLY)]));
    begin_block(&mut first);
    assert_eq!(bank::supply(&first, &ustoa()).raw(), SUPPLY);
}

#[test]
fn what_is_minted_goes_to_the_validators_in_the_same_block() {
    let mut ctx = testing::later(stage(SUPPLY / 2), 6);
    let validator = crate::modules::staking::validator(&ctx, &address(2)).unwrap();
    let vote = crate::input::Vote { validator: validator.consensus(), power: 1, signed: true };
    let input = crate::input::BlockInput { votes: vec![vote], ..ctx.block().clone().into() };
    crate::modules::begin_block(&mut ctx, &input);
    let minted = bank::supply(&ctx, &ustoa()).raw() - SUPPLY;
    assert!(minted > 20_000, "{minted}");
    let earned = crate::modules::distribution::rewards(&ctx, &address(2)).outstanding;
    assert_eq!(earned.of(&ustoa()).raw(), minted * ONE / 100 * 98);
    assert_eq!(crate::modules::check_invariants(&ctx), Vec::<String>::new());
}

fn update(authority: Address, change: impl Fn(&mut pb::Params)) -> pb::MsgUpdateParams {
    let mut params = pb::Params::from(Params::default());
    change(&mut params);
    pb::MsgUpdateParams { authority: authority.to_string(), params: Some(params) }
}

#[test]
fn governance_alone_sets_parameters_and_only_sound_ones() {
    let mut ctx = stage(0);
    let gov = crate::modules::gov::authority();
    send::<UpdateParams>(&mut ctx, update(gov, |p| p.inflation_max = Dec::ONE.to_wire())).unwrap();
    assert_eq!(params(&ctx), Params { inflation_max: Dec::ONE, ..Params::default() });
    assert_eq!(refusal::<UpdateParams>(&mut ctx, update(address(1), |_| ()), "sdk"), 4);
    let wrong: [fn(&mut pb::Params); 6] = [
        |p| p.mint_denom = "uother".to_owned(),
        |p| p.blocks_per_year = 1,
        |p| p.goal_bonded = "0".to_owned(),
        |p| p.inflation_min = Dec::percent(21).to_wire(),
        |p| p.inflation_max = Dec::percent(101).to_wire(),
        |p| p.inflation_rate_change = "-1".to_owned(),
    ];
    for change in wrong {
        assert_eq!(refusal::<UpdateParams>(&mut ctx, update(gov, change), "sdk"), 18);
    }
}

#[test]
fn queries_tell_parameters_inflation_and_a_years_provisions() {
    let ctx = stage(SUPPLY / 2);
    let block = ctx.block().clone();
    let mut store = crate::store::MemoryStore::default();
    store.apply(&ctx.into_changes());
    let router = Router::new();
    let ask = |method: &str| {
        let path = format!("/cosmos.mint.v1beta1.Query/{method}");
        router.answer(&store, block.clone(), &path, &[]).unwrap()
    };
    let params = pb::QueryParamsResponse::decode(ask("Params").as_slice()).unwrap();
    assert_eq!(params.params, Some(Params::default().into()));
    let inflation = pb::QueryInflationResponse::decode(ask("Inflation").as_slice()).unwrap();
    assert_eq!(inflation.inflation, b"130000000000000000");
    let annual = ask("AnnualProvisions");
    let annual = pb::QueryAnnualProvisionsResponse::decode(annual.as_slice()).unwrap();
    assert_eq!(annual.annual_provisions, (SUPPLY / 100 * 13 * ONE).to_string().into_bytes());
}

#[test]
fn an_export_holds_inflation_and_what_is_due() {
    let mut ctx = stage(SUPPLY / 2);
    mint_after(&mut ctx, 7);
    assert_ne!(minter(&ctx), Minter::default());
    testing::assert_export_is_whole(ctx);
}
