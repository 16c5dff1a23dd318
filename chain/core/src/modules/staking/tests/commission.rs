//! Editing a validator.

use super::*;
use crate::testing::refusal;

const DAY: u64 = 86_400;

fn edit() -> pb::MsgEditValidator {
    let same = || "[do-not-modify]".to_owned();
    pb::MsgEditValidator {
        description: Some(pb::Description {
            moniker: same(),
            identity: same(),
            website: "https://one.example".to_owned(),
            security_contact: same(),
            details: "two\nlines".to_owned(),
        }),
        validator_address: valoper(1),
        ..Default::default()
    }
}

fn to_rate(rate: &str) -> pb::MsgEditValidator {
    pb::MsgEditValidator { commission_rate: wire(rate), ..edit() }
}

#[test]
fn what_an_edit_does_not_name_stays() {
    let mut ctx = chain_of(&[VOTE]);
    send::<EditValidator>(&mut ctx, edit()).unwrap();
    let Validator { description, commission, min_self_delegation, .. } = of(&ctx, 1);
    assert_eq!(description.moniker, "validator 1");
    assert_eq!(description.website, "https://one.example");
    assert_eq!(description.details, "two\nlines");
    assert_eq!(commission.rate, Dec::percent(10));
    assert_eq!(min_self_delegation.raw(), 1);
    assert_eq!(end(&mut ctx), [], "the engine is told nothing");
}

#[test]
fn the_commission_changes_once_a_day_within_what_was_promised() {
    let ctx = chain_of(&[VOTE]);
    let mut ctx = later(ctx, DAY - 2);
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("0.15"), "staking"), 12);
    let mut ctx = later(ctx, 1);
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("0.151"), "staking"), 15);
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("0.049"), "staking"), 15);
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("0.21"), "staking"), 11);
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("1.01"), "staking"), 10);
    send::<EditValidator>(&mut ctx, to_rate("0.15")).unwrap();
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("0.15"), "staking"), 12);
    let mut ctx = later(ctx, DAY);
    send::<EditValidator>(&mut ctx, to_rate("0.2")).unwrap();
    assert_eq!(of(&ctx, 1).commission.rate, Dec::percent(20));
    assert_eq!(of(&ctx, 1).commission.updated_at, ctx.now());
}

#[test]
fn the_chains_least_commission_holds_for_edits() {
    let ctx = chain_of(&[VOTE]);
    let mut ctx = later(ctx, DAY);
    let params = pb::Params { min_commission_rate: wire("0.08"), ..params(&ctx).into() };
    let update = pb::MsgUpdateParams {
        authority: crate::modules::gov::authority().to_string(),
        params: Some(params),
    };
    send::<UpdateParams>(&mut ctx, update).unwrap();
    assert_eq!(refusal::<EditValidator>(&mut ctx, to_rate("0.07"), "staking"), 40);
    send::<EditValidator>(&mut ctx, to_rate("0.08")).unwrap();
}

#[test]
fn the_promised_self_delegation_only_rises_and_not_over_what_there_is() {
    let mut ctx = chain_of(&[5 * VOTE]);
    send::<Delegate>(&mut ctx, delegate(2, 1, 5 * VOTE)).unwrap();
    let promise =
        |least: u128| pb::MsgEditValidator { min_self_delegation: least.to_string(), ..edit() };
    assert_eq!(refusal::<EditValidator>(&mut ctx, promise(1), "staking"), 17);
    assert_eq!(refusal::<EditValidator>(&mut ctx, promise(5 * VOTE + 1), "staking"), 16);
    send::<EditValidator>(&mut ctx, promise(5 * VOTE)).unwrap();
    assert_eq!(of(&ctx, 1).min_self_delegation.raw(), 5 * VOTE);
}

#[test]
fn only_an_operator_edits_and_the_moniker_stays_a_name() {
    let mut ctx = chain_of(&[VOTE]);
    let other = pb::MsgEditValidator { validator_address: valoper(2), ..edit() };
    assert_eq!(refusal::<EditValidator>(&mut ctx, other, "staking"), 3);
    let mut nameless = edit();
    nameless.description.as_mut().unwrap().moniker.clear();
    assert_eq!(refusal::<EditValidator>(&mut ctx, nameless, "sdk"), 18);
    let silent = pb::MsgEditValidator { description: None, ..edit() };
    assert_eq!(refusal::<EditValidator>(&mut ctx, silent, "sdk"), 18);
}
