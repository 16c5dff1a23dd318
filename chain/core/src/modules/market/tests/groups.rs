//! Deployments and groups: what is posted, and what is refused.

use super::*;
use crate::modules::deployment::{
    AddGroups, CloseGroup, GroupState, PauseGroup, ReopenGroup, StartGroup, UpdateDeployment,
};

fn refused(ctx: &mut Ctx<'_>, msg: deployment_pb::MsgCreateDeployment) -> (&'static str, u32) {
    code(send::<CreateDeployment>(ctx, msg))
}

fn owner() -> String {
    tenant().to_string()
}

fn state_of(ctx: &Ctx<'_>, gseq: u32) -> GroupState {
    crate::modules::deployment::group(ctx, id(1).group(gseq)).unwrap().state
}

#[test]
fn a_deployment_out_of_bounds_is_refused_with_its_own_code() {
    let mut ctx = market();
    post(&mut ctx, 5);
    let one = || deployment(6, vec![group("web")]);
    assert_eq!(refused(&mut ctx, deployment(5, vec![group("web")])), ("deployment", 4));
    let same_names = deployment(6, vec![group("web"), group("web")]);
    assert_eq!(refused(&mut ctx, same_names), ("deployment", 7));
    let many = (0..21).map(|i| group(&format!("g{i}"))).collect();
    assert_eq!(refused(&mut ctx, deployment(6, many)), ("deployment", 6));
    for window in [4, 604_801] {
        let msg = deployment_pb::MsgCreateDeployment { bid_window: window, ..one() };
        assert_eq!(refused(&mut ctx, msg), ("deployment", 9));
    }
    let mut msg = one();
    msg.groups[0].reclamation = 3_599;
    assert_eq!(refused(&mut ctx, msg), ("deployment", 10));
    let mut msg = one();
    msg.groups[0].resources[0].max_rate.as_mut().unwrap().denom = "uother".into();
    assert_eq!(refused(&mut ctx, msg), ("deployment", 8));
    let mut msg = one();
    msg.deposit.as_mut().unwrap().denom = "uother".into();
    msg.groups[0].resources[0].max_rate.as_mut().unwrap().denom = "uother".into();
    assert_eq!(refused(&mut ctx, msg), ("escrow", 3));
    let msg = deployment_pb::MsgCreateDeployment { deposit: Some(coin(3_599_999).into()), ..one() };
    assert_eq!(refused(&mut ctx, msg), ("escrow", 6));
    let msg = deployment_pb::MsgCreateDeployment { deposit: Some(coin(FUNDS * 2).into()), ..one() };
    assert_eq!(refused(&mut ctx, msg), ("sdk", 5));
}

#[test]
fn each_bound_on_resources_is_named() {
    let mut ctx = market();
    type Change = fn(&mut types_pb::GroupResource);
    let changes: [(Change, &str); 9] = [
        (|r| r.count = 0, "count"),
        (|r| r.count = 51, "count"),
        (|r| r.unit.as_mut().unwrap().cpu.as_mut().unwrap().millicores = 9, "millicores"),
        (|r| r.unit.as_mut().unwrap().memory.as_mut().unwrap().bytes = 1, "memory"),
        (|r| r.unit.as_mut().unwrap().storage[0].bytes = 1, "volume"),
        (|r| r.unit.as_mut().unwrap().storage[0].bytes = 1 << 50, "volume"),
        (|r| r.unit.as_mut().unwrap().storage.clear(), "volumes"),
        (
            |r| r.unit.as_mut().unwrap().endpoints = vec![types_pb::Endpoint::default(); 65],
            "endpoints",
        ),
        (
            |r| {
                let vendor = "nvidia".to_owned();
                r.unit.as_mut().unwrap().gpu =
                    Some(types_pb::Gpu { units: 101, vendor, models: vec![] });
            },
            "gpu units",
        ),
    ];
    for (change, word) in changes {
        let mut msg = deployment(1, vec![group("web")]);
        change(&mut msg.groups[0].resources[0]);
        let failure = send::<CreateDeployment>(&mut ctx, msg).unwrap_err();
        assert_eq!((failure.codespace, failure.code), ("deployment", 6), "{failure}");
        assert!(failure.message.contains(word), "{failure}");
    }
}

#[test]
fn what_is_wrong_in_itself_is_refused_without_looking_at_the_state() {
    let mut ctx = market();
    type Change = fn(&mut deployment_pb::MsgCreateDeployment);
    let changes: [Change; 9] = [
        |m| m.groups.clear(),
        |m| m.version = vec![0; 31],
        |m| m.deposit = None,
        |m| m.auction = 7,
        |m| m.dseq = 0,
        |m| m.groups[0].name = String::new(),
        |m| m.groups[0].resources[0].max_rate = per_second(0),
        |m| m.groups[0].resources[0].max_rate = per_second(1_000_000_001),
        |m| m.groups[0].resources[0].unit.as_mut().unwrap().storage[0].class = "fast".into(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut msg = deployment(1, vec![group("web")]);
        change(&mut msg);
        assert_eq!(refused(&mut ctx, msg), ("sdk", 18), "change {index}");
    }
}

#[test]
fn groups_pause_start_and_close_and_the_last_closes_the_deployment() {
    let mut ctx = market();
    post_with(&mut ctx, deployment(1, vec![group("a"), group("b")]));
    let pause = deployment_pb::MsgPauseGroup { owner: owner(), dseq: 1, gseq: 1 };
    send::<PauseGroup>(&mut ctx, pause.clone()).unwrap();
    assert_eq!(order_of(&ctx, first_order(1)).state, OrderState::Cancelled);
    assert_eq!(refusal::<PauseGroup>(&mut ctx, pause, "deployment"), 12);
    let start = deployment_pb::MsgStartGroup { owner: owner(), dseq: 1, gseq: 1 };
    send::<StartGroup>(&mut ctx, start.clone()).unwrap();
    assert_eq!(refusal::<StartGroup>(&mut ctx, start, "deployment"), 12);
    assert_eq!(reopened_order(&ctx, 1, 1), Some(id(1).group(1).order(2)));
    for gseq in [1, 2] {
        let close = deployment_pb::MsgCloseGroup { owner: owner(), dseq: 1, gseq };
        send::<CloseGroup>(&mut ctx, close).unwrap();
        assert_eq!(state_of(&ctx, gseq), GroupState::Closed);
    }
    let closed = crate::modules::deployment::get(&ctx, id(1)).unwrap();
    assert_eq!(closed.state, DeploymentState::Closed);
    assert_eq!(balance(&ctx, &tenant()), FUNDS);
}

#[test]
fn only_an_idle_open_group_is_reopened_with_a_limit_for_each_unit() {
    let mut ctx = market();
    post(&mut ctx, 1);
    let reopen =
        |max_rates| deployment_pb::MsgReopenGroup { owner: owner(), dseq: 1, gseq: 1, max_rates };
    assert_eq!(refusal::<ReopenGroup>(&mut ctx, reopen(vec![]), "deployment"), 13);
    let mut ctx = pass(ctx, 20);
    let two = vec![per_second(5).unwrap(); 2];
    assert_eq!(refusal::<ReopenGroup>(&mut ctx, reopen(two), "deployment"), 14);
    send::<ReopenGroup>(&mut ctx, reopen(vec![])).unwrap();
    let missing = deployment_pb::MsgReopenGroup { gseq: 9, ..reopen(vec![]) };
    assert_eq!(refusal::<ReopenGroup>(&mut ctx, missing, "deployment"), 3);
}

#[test]
fn groups_are_added_with_a_new_version_and_open_orders() {
    let mut ctx = market();
    post(&mut ctx, 1);
    let add = |name: &str, version: u8| deployment_pb::MsgAddGroups {
        owner: owner(),
        dseq: 1,
        groups: vec![group(name)],
        version: vec![version; 32],
        manifest_root: vec![version; 32],
    };
    assert_eq!(refusal::<AddGroups>(&mut ctx, add("web", 9), "deployment"), 7);
    send::<AddGroups>(&mut ctx, add("api", 9)).unwrap();
    assert_eq!(order_of(&ctx, id(1).group(2).order(1)).state, OrderState::Open);
    let record = crate::modules::deployment::get(&ctx, id(1)).unwrap();
    assert_eq!((record.groups, record.version.as_bytes()), (2, &[9; 32]));
    let unknown = deployment_pb::MsgAddGroups { dseq: 7, ..add("x", 1) };
    assert_eq!(refusal::<AddGroups>(&mut ctx, unknown, "deployment"), 2);
}

#[test]
fn an_update_names_another_version() {
    let mut ctx = market();
    post(&mut ctx, 1);
    let update = |version: u8| deployment_pb::MsgUpdateDeployment {
        owner: owner(),
        dseq: 1,
        version: vec![version; 32],
        manifest_root: vec![version; 32],
    };
    assert_eq!(refusal::<UpdateDeployment>(&mut ctx, update(7), "deployment"), 11);
    send::<UpdateDeployment>(&mut ctx, update(9)).unwrap();
}
