//! What a proposal that passes does.

use super::*;
use crate::app;
use crate::ctx::Block;
use crate::modules::auth::VerifyEach;
use crate::modules::{consensus, distribution};
use crate::store::MemoryStore;
use cosmos_sdk_proto::cosmos::distribution::v1beta1 as distribution_pb;
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrade_pb;

/// Passes a proposal. Answers its id.
fn pass(ctx: Ctx<'static>, messages: Vec<Any>) -> (Ctx<'static>, u64) {
    let mut ctx = ctx;
    let id = submit(&mut ctx, messages);
    vote_for(&mut ctx, id, 11, pb::VoteOption::Yes);
    (over(ctx), id)
}

/// Governance's own account has 100.
fn funded() -> Ctx<'static> {
    let mut ctx = chain();
    let coin = coin(100);
    crate::modules::bank::take(&mut ctx, &address(9), &coin).unwrap();
    crate::modules::bank::give(&mut ctx, &authority(), &coin);
    ctx
}

#[test]
fn the_messages_of_a_proposal_that_passes_are_executed_and_its_deposit_returns() {
    let (mut ctx, id) = pass(funded(), vec![pays(8, 30), pays(8, 20)]);
    assert_eq!(status(&ctx, id), Status::Passed);
    assert_eq!(balance(&ctx, &address(8)), FUNDS + 50);
    assert_eq!(balance(&ctx, &authority()), 50);
    assert_eq!(balance(&ctx, &address(5)), FUNDS);
    assert_eq!(told(&mut ctx, "active_proposal", "proposal_result"), ["proposal_passed"]);
    assert_export_is_whole(ctx);
}

#[test]
fn a_message_that_fails_leaves_nothing_behind_and_says_why() {
    let (mut ctx, id) = pass(funded(), vec![pays(8, 30), pays(8, 80)]);
    assert_eq!(status(&ctx, id), Status::Failed);
    assert_eq!(balance(&ctx, &address(8)), FUNDS);
    assert_eq!(balance(&ctx, &authority()), 100);
    assert_eq!(balance(&ctx, &address(5)), FUNDS, "the deposit returns all the same");
    let reason = proposal(&ctx, id).unwrap().failed_reason;
    assert!(reason.starts_with("message 1: insufficient funds"), "{reason}");
    let events = ctx.take_events();
    assert!(!events.iter().any(|event| event.kind == "transfer"), "nothing is told of it");
    let result = events.iter().find(|event| event.kind == "active_proposal").unwrap();
    assert!(result.attributes.contains(&("proposal_log".to_owned(), reason)));
    assert_export_is_whole(ctx);
}

#[test]
fn execution_is_bounded_in_gas() {
    let messages = vec![RawMessage::from(pays(8, 30)), RawMessage::from(pays(8, 20))];
    let mut ctx = funded();
    let before = balance(&ctx, &address(8));
    let error = super::super::end_block::execute(&mut ctx, &messages, 5_000).unwrap_err();
    assert!(error.contains("out of gas"), "{error}");
    assert_eq!(balance(&ctx, &address(8)), before);
    assert!(ctx.meter().limit() == u64::MAX, "the block goes on unmetered");
    super::super::end_block::execute(&mut ctx, &messages, EXECUTION_GAS).unwrap();
    assert_eq!(balance(&ctx, &address(8)), before + 50);
}

#[test]
fn a_proposal_that_does_not_pass_does_nothing() {
    let mut ctx = funded();
    let id = submit(&mut ctx, vec![pays(8, 30)]);
    vote_for(&mut ctx, id, 11, pb::VoteOption::No);
    let ctx = over(ctx);
    assert_eq!(status(&ctx, id), Status::Rejected);
    assert_eq!(balance(&ctx, &authority()), 100);
}

#[test]
fn parameters_that_are_changed_hold_in_the_next_block() {
    let wanted = Params { min_deposit: [coin(7)].into_iter().collect(), ..Params::default() };
    let message = pb::MsgUpdateParams {
        authority: authority().to_string(),
        params: Some(wanted.clone().into()),
    };
    let (ctx, id) = pass(chain(), vec![any(&message)]);
    assert_eq!(status(&ctx, id), Status::Passed);
    assert_eq!(params(&ctx), wanted);
    let mut ctx = later(ctx, 1);
    let msg = submit_msg(Vec::new(), 7);
    let id = send::<SubmitProposal>(&mut ctx, msg).unwrap().proposal_id;
    assert_eq!(status(&ctx, id), Status::Voting);
}

#[test]
fn an_upgrade_is_planned_by_a_proposal() {
    let plan = upgrade_pb::Plan { name: "v2".to_owned(), height: 90, ..Default::default() };
    let message =
        upgrade_pb::MsgSoftwareUpgrade { authority: authority().to_string(), plan: Some(plan) };
    let (ctx, _) = pass(chain(), vec![any(&message)]);
    assert_eq!(crate::modules::upgrade::plan(&ctx).map(|plan| plan.height), Some(90));
}

#[test]
fn an_upgrade_whose_height_has_passed_fails() {
    let plan = upgrade_pb::Plan { name: "v2".to_owned(), height: 2, ..Default::default() };
    let message =
        upgrade_pb::MsgSoftwareUpgrade { authority: authority().to_string(), plan: Some(plan) };
    let (ctx, id) = pass(chain(), vec![any(&message)]);
    assert_eq!(status(&ctx, id), Status::Failed);
}

fn spends(amount: u128) -> Any {
    any(&distribution_pb::MsgCommunityPoolSpend {
        authority: authority().to_string(),
        recipient: address(8).to_string(),
        amount: vec![coin(amount).into()],
    })
}

#[test]
fn the_community_pool_is_spent_by_proposals_alone_and_not_beyond_what_is_in_it() {
    let mut ctx = chain();
    let funds = distribution_pb::MsgFundCommunityPool {
        amount: vec![coin(100).into()],
        depositor: address(9).to_string(),
    };
    send::<distribution::FundCommunityPool>(&mut ctx, funds).unwrap();
    let (ctx, first) = pass(ctx, vec![spends(60)]);
    assert_eq!(status(&ctx, first), Status::Passed);
    assert_eq!(balance(&ctx, &address(8)), FUNDS + 60);
    let (ctx, second) = pass(later(ctx, 1), vec![spends(30), spends(20)]);
    assert_eq!(status(&ctx, second), Status::Failed);
    assert_eq!(balance(&ctx, &address(8)), FUNDS + 60);
    let reason = proposal(&ctx, second).unwrap().failed_reason;
    assert!(reason.contains("message 1") && reason.contains("community pool"), "{reason}");
    assert_export_is_whole(ctx);
}

fn consensus_params(params: &consensus::Params) -> Any {
    let proto = cosmos_sdk_proto::tendermint::types::ConsensusParams::from(params.clone());
    any(&stoa_proto::consensus::v1::MsgUpdateParams {
        authority: authority().to_string(),
        block: proto.block,
        evidence: proto.evidence,
        validator: proto.validator,
        abci: proto.abci,
    })
}

#[test]
fn the_block_that_carries_out_other_sizes_of_blocks_tells_the_engine_and_no_other_does() {
    let wanted = consensus::Params {
        max_block_bytes: 1 << 20,
        max_block_gas: Some(30_000_000),
        ..consensus::Params::default()
    };
    let mut ctx = chain();
    let id = submit(&mut ctx, vec![consensus_params(&wanted)]);
    vote_for(&mut ctx, id, 11, pb::VoteOption::Yes);
    let block = ctx.block().clone();
    let mut store = MemoryStore::default();
    store.apply(&ctx.into_changes());
    let mut run = |height: u64, seconds: u64| {
        let block = Block { height, now: block.now + seconds, ..block.clone() };
        let result = app::finalize_block::<Vec<u8>>(&store, block.into(), &[], &VerifyEach);
        store.apply(&result.changes);
        result.consensus_params
    };
    assert_eq!(run(block.height + 1, PERIOD - 1), None);
    assert_eq!(run(block.height + 2, PERIOD), Some(wanted.clone()));
    assert_eq!(run(block.height + 3, PERIOD + 1), None);
    let block = Block { height: block.height + 3, ..block };
    let ctx = Ctx::new(&store, block);
    assert_eq!((status(&ctx, id), consensus::params(&ctx)), (Status::Passed, wanted));
    assert_eq!(consensus::max_block_gas(&ctx), 30_000_000);
}

#[test]
fn sizes_of_blocks_that_the_engine_would_stop_on_are_not_even_proposed() {
    let mut ctx = chain();
    let wrong = consensus::Params { max_evidence_bytes: 5 << 20, ..consensus::Params::default() };
    let msg = submit_msg(vec![consensus_params(&wrong)], DEPOSIT);
    let Err(failure) = send::<SubmitProposal>(&mut ctx, msg) else { panic!("it is proposed") };
    assert!(failure.message.contains("evidence.max_bytes"), "{failure}");
}
