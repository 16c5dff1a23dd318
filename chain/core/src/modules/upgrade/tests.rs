//! Plans, and who may execute which block.

use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as pb;

use super::{due, state_version, CancelUpgrade, Due, Migration, Plan, Program, SoftwareUpgrade};
use crate::ctx::Ctx;
use crate::modules::{bank, gov, upgrade};
use crate::testing::{
    address, ask, assert_export_is_whole, balance, coin, ctx_with, later, refusal, send,
};

/// The program that plans, and does not know what is planned.
const OLD: Program<'static> = Program { version: 1, migrations: &[] };
/// The program of the upgrade "v2", which gives somebody coins.
const NEW: Program<'static> =
    Program { version: 2, migrations: &[Migration { name: "v2", run: give_coins }] };

fn give_coins(ctx: &mut Ctx<'_>) {
    let minted = bank::mint(ctx, &coin(5));
    bank::give(ctx, &address(9), &minted);
}

fn plan(name: &str, height: i64) -> pb::MsgSoftwareUpgrade {
    let plan =
        pb::Plan { name: name.to_owned(), height, info: "{}".to_owned(), ..pb::Plan::default() };
    pb::MsgSoftwareUpgrade { authority: gov::authority().to_string(), plan: Some(plan) }
}

fn cancel() -> pb::MsgCancelUpgrade {
    pb::MsgCancelUpgrade { authority: gov::authority().to_string() }
}

/// At height 1, with an upgrade planned for height 3.
fn planned() -> Ctx<'static> {
    let mut ctx = ctx_with(&[(address(1), 100)]);
    send::<SoftwareUpgrade>(&mut ctx, plan("v2", 3)).unwrap();
    ctx
}

fn the_plan() -> Plan {
    Plan { name: "v2".to_owned(), height: 3, info: "{}".to_owned() }
}

#[test]
fn before_the_height_the_old_program_goes_on_and_the_new_one_refuses() {
    let ctx = planned();
    for height in [1, 2] {
        assert_eq!(due::due(&ctx, height, OLD), None);
        assert_eq!(due::due(&ctx, height, NEW), Some(Due::TooEarly(the_plan())));
    }
    assert!(Due::TooEarly(the_plan()).stops());
}

#[test]
fn from_the_height_on_the_old_program_refuses_and_the_new_one_migrates() {
    let mut ctx = later(later(planned(), 1), 1);
    assert_eq!(due::due(&ctx, 3, OLD), Some(Due::OtherProgram(the_plan())));
    assert!(Due::OtherProgram(the_plan()).to_string().contains("UPGRADE \"v2\" NEEDED"));
    assert_eq!(due::due(&ctx, 3, NEW), Some(Due::Migration(the_plan())));
    due::begin_block(&mut ctx, NEW);
    assert_eq!(balance(&ctx, &address(9)), 5);
    assert_eq!(upgrade::plan(&ctx), None);
    assert_eq!(upgrade::applied_height(&ctx, "v2"), Some(3));
    assert_eq!(state_version(&ctx), 2);
    let mut ctx = later(ctx, 1);
    due::begin_block(&mut ctx, NEW);
    assert_eq!(balance(&ctx, &address(9)), 5);
    let stays_out = Due::OtherState { state: 2, program: 1 };
    assert_eq!(due::due(&ctx, 4, OLD), Some(stays_out));
}

#[test]
#[should_panic(expected = "UPGRADE \"v2\" NEEDED at height 3")]
fn a_program_that_does_not_know_the_plan_does_not_execute_its_block() {
    let mut ctx = later(later(planned(), 1), 1);
    due::begin_block(&mut ctx, OLD);
}

#[test]
fn a_program_of_another_version_does_not_touch_the_state_without_a_plan() {
    let ctx = ctx_with(&[]);
    assert_eq!(due::due(&ctx, 1, OLD), None);
    assert_eq!(due::due(&ctx, 1, NEW), Some(Due::OtherState { state: 1, program: 2 }));
}

#[test]
fn a_cancelled_plan_stops_nobody() {
    let mut ctx = planned();
    send::<CancelUpgrade>(&mut ctx, cancel()).unwrap();
    assert_eq!(due::due(&ctx, 3, OLD), None);
    assert_eq!(refusal::<CancelUpgrade>(&mut ctx, cancel(), "upgrade"), 3);
}

#[test]
fn a_new_plan_takes_the_place_of_the_old() {
    let mut ctx = planned();
    send::<SoftwareUpgrade>(&mut ctx, plan("v2b", 9)).unwrap();
    assert_eq!(due::due(&ctx, 3, OLD), None);
    assert_eq!(upgrade::plan(&ctx).map(|plan| plan.height), Some(9));
}

#[test]
fn plans_that_are_wrong_are_refused_each_with_its_code() {
    let mut ctx = planned();
    let long = "x".repeat(65);
    for name in ["", "../v2", ".v2", "v 2", "v/2", long.as_str()] {
        assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, plan(name, 9), "upgrade"), 100, "{name}");
    }
    for height in [0, -1] {
        assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, plan("v3", height), "upgrade"), 100);
    }
    assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, plan("v3", 1), "upgrade"), 101);
    let mut timed = plan("v3", 9);
    #[allow(deprecated)]
    {
        timed.plan.as_mut().unwrap().time = Some(cosmos_sdk_proto::Timestamp::default());
    }
    assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, timed, "upgrade"), 100);
    let mut wordy = plan("v3", 9);
    wordy.plan.as_mut().unwrap().info = "x".repeat(4_097);
    assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, wordy, "upgrade"), 100);
    let mut stranger = plan("v3", 9);
    stranger.authority = address(1).to_string();
    assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, stranger, "sdk"), 4);
    let stranger = pb::MsgCancelUpgrade { authority: address(1).to_string() };
    assert_eq!(refusal::<CancelUpgrade>(&mut ctx, stranger, "sdk"), 4);
    let mut ctx = later(later(ctx, 1), 1);
    due::begin_block(&mut ctx, NEW);
    assert_eq!(refusal::<SoftwareUpgrade>(&mut ctx, plan("v2", 9), "upgrade"), 102);
}

#[test]
fn plan_and_version_are_exported() {
    let mut ctx = planned();
    // Applied by an earlier program of the same state version.
    ctx.put(super::keys::applied("v1"), &1u64);
    assert_export_is_whole(ctx);
}

#[test]
fn a_document_of_another_version_is_refused() {
    let mut genesis = crate::testing::genesis_with(&[]);
    genesis.upgrade.state_version = 2;
    let mut ctx = crate::testing::empty_at(1);
    let error = crate::genesis::init(&mut ctx, &genesis).unwrap_err();
    assert!(error.contains("state version 2"), "{error}");
}

fn asked<Q: prost::Message, R: prost::Message + Default>(
    ctx: &Ctx<'_>,
    method: &str,
    request: &Q,
) -> Result<R, crate::error::Failure> {
    ask(ctx, &format!("/cosmos.upgrade.v1beta1.Query/{method}"), request)
}

#[test]
fn queries_answer_plan_applied_height_versions_and_authority() {
    let mut ctx = planned();
    ctx.put(super::keys::applied("v1"), &1u64);
    let plan: pb::QueryCurrentPlanResponse =
        asked(&ctx, "CurrentPlan", &pb::QueryCurrentPlanRequest {}).unwrap();
    assert_eq!(plan.plan.unwrap().height, 3);
    for (name, height) in [("v1", 1), ("v2", 0)] {
        let request = pb::QueryAppliedPlanRequest { name: name.to_owned() };
        let applied: pb::QueryAppliedPlanResponse = asked(&ctx, "AppliedPlan", &request).unwrap();
        assert_eq!(applied.height, height);
    }
    let versions = |name: &str| -> Result<pb::QueryModuleVersionsResponse, _> {
        let request = pb::QueryModuleVersionsRequest { module_name: name.to_owned() };
        asked(&ctx, "ModuleVersions", &request)
    };
    let all = versions("").unwrap().module_versions;
    assert!(all.iter().all(|module| module.version == 1) && all.len() == 17);
    assert_eq!(versions("gov").unwrap().module_versions.len(), 1);
    assert_eq!(versions("ibc").unwrap_err().code, 2);
    let authority: pb::QueryAuthorityResponse =
        asked(&ctx, "Authority", &pb::QueryAuthorityRequest {}).unwrap();
    assert_eq!(authority.address, gov::authority().to_string());
}
