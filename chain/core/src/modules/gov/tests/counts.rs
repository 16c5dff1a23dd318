//! Who votes with what.

use super::super::end_block::end_block_within;
use super::*;
use cosmos_sdk_proto::cosmos::staking::v1beta1 as staking_pb;
use pb::VoteOption::{Abstain, No, NoWithVeto, Yes};

#[test]
fn a_validator_votes_for_those_who_do_not_vote_themselves() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 11, Yes);
    vote_for(&mut ctx, id, 2, No);
    vote_for(&mut ctx, id, 3, Abstain);
    let mut ctx = over(ctx);
    // 11 has its own 100 and 1's 50; 12 does not vote.
    assert_eq!(counted(&ctx, id), [150, 100, 150, 0]);
    assert_eq!(status(&ctx, id), Status::Rejected);
    assert_eq!(told(&mut ctx, "active_proposal", "proposal_result"), ["proposal_rejected"]);
}

#[test]
fn a_vote_in_parts_is_counted_in_parts() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    let options = [(1, "0.7"), (4, "0.3")]
        .map(|(option, weight)| pb::WeightedVoteOption { option, weight: weight.to_owned() });
    let msg = pb::MsgVoteWeighted {
        proposal_id: id,
        voter: address(11).to_string(),
        options: options.to_vec(),
        metadata: "why".to_owned(),
    };
    send::<VoteWeighted>(&mut ctx, msg).unwrap();
    let told = told(&mut ctx, "proposal_vote", "option").join("");
    assert!(told.contains("option:VOTE_OPTION_YES weight:\"0.700000000000000000\""), "{told}");
    let ctx = over(ctx);
    assert_eq!(counted(&ctx, id), [210, 0, 0, 90]);
    assert_eq!(status(&ctx, id), Status::Passed);
}

#[test]
fn the_last_vote_counts() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 11, NoWithVeto);
    vote_for(&mut ctx, id, 11, Yes);
    assert_eq!(counted(&over(ctx), id), [300, 0, 0, 0]);
}

#[test]
fn a_provider_votes_with_its_stake_which_is_part_of_the_quorum() {
    let mut ctx = chain();
    register(&mut ctx, 7, 600);
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 7, Yes);
    let ctx = over(ctx);
    assert_eq!(counted(&ctx, id), [600, 0, 0, 0]);
    assert_eq!(status(&ctx, id), Status::Passed);

    let mut ctx = chain();
    register(&mut ctx, 7, 600);
    let id = submit(&mut ctx, Vec::new());
    // 300 of 500 bonded would do; of 1,100 they do not.
    vote_for(&mut ctx, id, 11, Yes);
    assert_eq!(status(&over(ctx), id), Status::Rejected);
}

#[test]
fn a_provider_that_delegates_too_votes_with_both_and_a_jailed_one_votes() {
    let mut ctx = chain();
    register(&mut ctx, 2, 40);
    provider::set_jailed(&mut ctx, &address(2), true).unwrap();
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 2, No);
    vote_for(&mut ctx, id, 11, Yes);
    assert_eq!(counted(&over(ctx), id), [150, 0, 190, 0]);
}

#[test]
fn stake_with_validators_that_are_not_bonded_does_not_count() {
    let mut document = document(&[(11, 11, 100), (1, 11, 50), (12, 12, 100), (1, 12, 70)]);
    document.staking.validators[1].status = staking::Status::Unbonded;
    document.staking.validators[1].jailed = true;
    let mut ctx = ctx_from(&document);
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 1, Yes);
    vote_for(&mut ctx, id, 12, No);
    assert_eq!(counted(&over(ctx), id), [50, 0, 0, 0]);
}

#[test]
fn shares_are_worth_what_slashing_has_left_of_them() {
    let mut document = document(&[(11, 11, 100), (1, 11, 100)]);
    document.staking.validators[0].tokens = Amount::from_raw(150 * STOA);
    document.bank.supply = [coin(12 * FUNDS + 150 * STOA)].into_iter().collect();
    let mut ctx = ctx_from(&document);
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 1, Yes);
    vote_for(&mut ctx, id, 11, No);
    assert_eq!(counted(&over(ctx), id), [75, 0, 75, 0]);
}

#[test]
fn votes_end_with_the_period() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    let mut ctx = later(ctx, PERIOD - 1);
    vote_for(&mut ctx, id, 11, Yes);
    let mut ctx = later(ctx, 1);
    assert_eq!(refusal::<VoteOne>(&mut ctx, vote_msg(id, 12, No), "gov"), 3);
}

/// All of 1, 2, 3, 7, 11 and 12 have voted, and the period is over.
fn voted() -> (Ctx<'static>, u64) {
    let mut ctx = chain();
    register(&mut ctx, 7, 30);
    let id = submit(&mut ctx, Vec::new());
    let votes = [(1, No), (2, Yes), (3, NoWithVeto), (7, Abstain), (11, Yes), (12, No)];
    for (voter, option) in votes {
        vote_for(&mut ctx, id, voter, option);
    }
    (later(ctx, PERIOD), id)
}

#[test]
fn a_count_over_several_blocks_comes_to_the_same() {
    let (mut ctx, id) = voted();
    end_block(&mut ctx);
    let whole = counted(&ctx, id);
    assert_eq!(whole, [250, 30, 150, 100]);
    let (mut ctx, id) = voted();
    let mut blocks = 0;
    while status(&ctx, id) == Status::Voting {
        end_block_within(&mut ctx, 1);
        let exported = crate::genesis::export(&ctx);
        assert_eq!(exported.gov.count.is_some(), status(&ctx, id) == Status::Voting);
        ctx = later(ctx, 5);
        blocks += 1;
    }
    assert!(blocks >= 6, "{blocks} blocks");
    assert_eq!(counted(&ctx, id), whole);
}

#[test]
fn a_count_under_way_is_exported() {
    let (mut ctx, id) = voted();
    end_block_within(&mut ctx, 4);
    assert_eq!(status(&ctx, id), Status::Voting);
    assert!(vote(&ctx, id, &address(11)).is_some() && vote(&ctx, id, &address(1)).is_none());
    assert_export_is_whole(ctx);
}

#[test]
fn stake_that_changes_while_votes_are_counted_counts_as_it_was() {
    let (mut ctx, id) = voted();
    end_block_within(&mut ctx, 1);
    let mut ctx = later(ctx, 5);
    assert!(vote(&ctx, id, &address(7)).is_some(), "7 is counted later");
    provider::tests::stake(&mut ctx, address(7), 400 * STOA);
    assert!(vote(&ctx, id, &address(7)).is_none(), "7 is counted before its stake changes");
    end_block(&mut ctx);
    assert_eq!(counted(&ctx, id), [250, 30, 150, 100]);
}

#[test]
fn two_proposals_that_end_together_are_counted_one_after_the_other() {
    let mut ctx = chain();
    let ids = [submit(&mut ctx, Vec::new()), submit(&mut ctx, Vec::new())];
    for id in ids {
        vote_for(&mut ctx, id, 11, Yes);
        vote_for(&mut ctx, id, 12, No);
    }
    let ctx = over(ctx);
    // One is executed a block.
    assert_eq!(ids.map(|id| status(&ctx, id)), [Status::Passed, Status::Voting]);
    let mut ctx = later(ctx, 5);
    end_block(&mut ctx);
    assert_eq!(ids.map(|id| status(&ctx, id)), [Status::Passed, Status::Passed]);
    assert_eq!(ids.map(|id| counted(&ctx, id)), [[300, 0, 200, 0]; 2]);
}

#[test]
fn an_expedited_proposal_needs_more_and_goes_on_as_a_regular_one() {
    let mut ctx = chain();
    let msg = pb::MsgSubmitProposal {
        expedited: true,
        initial_deposit: vec![coin(50_000_000).into()],
        ..submit_msg(Vec::new(), 0)
    };
    let id = send::<SubmitProposal>(&mut ctx, msg).unwrap().proposal_id;
    vote_for(&mut ctx, id, 11, Yes);
    vote_for(&mut ctx, id, 12, No);
    let mut ctx = later(ctx, EXPEDITED);
    end_block(&mut ctx);
    // 60% are over a half, and not over two thirds.
    let result = told(&mut ctx, "active_proposal", "proposal_result");
    assert_eq!(result, ["expedited_proposal_rejected"]);
    let found = proposal(&ctx, id).unwrap();
    assert_eq!((found.status, found.expedited), (Status::Voting, false));
    assert_eq!(balance(&ctx, &address(5)), FUNDS - 50_000_000);
    let voting = found.voting.unwrap();
    assert_eq!(voting.ends_at, voting.starts_at + PERIOD);
    // Voting begins anew.
    vote_for(&mut ctx, id, 11, Yes);
    let mut ctx = later(ctx, EXPEDITED);
    end_block(&mut ctx);
    assert_eq!(status(&ctx, id), Status::Passed);
    assert_eq!(counted(&ctx, id), [300, 0, 0, 0]);
    assert_eq!(balance(&ctx, &address(5)), FUNDS);
}

#[test]
fn an_expedited_proposal_passes_in_half_the_time() {
    let mut ctx = chain();
    let msg = pb::MsgSubmitProposal {
        expedited: true,
        initial_deposit: vec![coin(50_000_000).into()],
        ..submit_msg(Vec::new(), 0)
    };
    let id = send::<SubmitProposal>(&mut ctx, msg).unwrap().proposal_id;
    vote_for(&mut ctx, id, 11, Yes);
    let mut ctx = later(ctx, EXPEDITED);
    end_block(&mut ctx);
    assert_eq!(status(&ctx, id), Status::Passed);
}

#[test]
fn who_delegates_to_more_validators_than_count_is_counted_with_those_that_do() {
    let mut document = document(&[(11, 11, 100), (1, 11, 50), (12, 12, 100), (1, 12, 70)]);
    document.staking.validators[0].status = staking::Status::Unbonded;
    document.staking.validators[0].jailed = true;
    let mut ctx = ctx_from(&document);
    let id = submit(&mut ctx, Vec::new());
    vote_for(&mut ctx, id, 1, Yes);
    let mut ctx = later(ctx, PERIOD);
    end_block_within(&mut ctx, 1);
    end_block(&mut ctx);
    assert_eq!(counted(&ctx, id), [70, 0, 0, 0]);
}

fn valoper(number: u8) -> String {
    crate::types::ValAddress::from(address(number)).to_string()
}

#[test]
fn delegations_that_change_while_votes_are_counted_count_as_they_were() {
    let (mut ctx, id) = voted();
    end_block_within(&mut ctx, 1);
    let mut ctx = later(ctx, 5);
    assert!([2, 3, 11].iter().all(|voter| vote(&ctx, id, &address(*voter)).is_some()));
    for (who, to) in [(2, 11), (4, 12)] {
        let msg = staking_pb::MsgDelegate {
            delegator_address: address(who).to_string(),
            validator_address: valoper(to),
            amount: Some(coin(400 * STOA).into()),
        };
        send::<staking::Delegate>(&mut ctx, msg).unwrap();
    }
    let leaves = staking_pb::MsgUndelegate {
        delegator_address: address(3).to_string(),
        validator_address: valoper(12),
        amount: Some(coin(100 * STOA).into()),
    };
    send::<staking::Undelegate>(&mut ctx, leaves).unwrap();
    let moves = staking_pb::MsgBeginRedelegate {
        delegator_address: address(11).to_string(),
        validator_src_address: valoper(11),
        validator_dst_address: valoper(12),
        amount: Some(coin(50 * STOA).into()),
    };
    send::<staking::BeginRedelegate>(&mut ctx, moves).unwrap();
    assert!([2, 3, 11].iter().all(|voter| vote(&ctx, id, &address(*voter)).is_none()));
    end_block(&mut ctx);
    assert_eq!(counted(&ctx, id), [250, 30, 150, 100]);
    later(ctx, 1);
}

#[test]
fn a_slash_while_votes_are_counted_changes_nothing_of_the_count() {
    let (mut ctx, id) = voted();
    end_block_within(&mut ctx, 1);
    let mut ctx = later(ctx, 5);
    let consensus = staking::validator(&ctx, &address(11)).unwrap().consensus();
    let height = ctx.height();
    let burned = staking::slash(&mut ctx, &consensus, height, 300, Dec::percent(50));
    assert!(!burned.is_zero());
    staking::jail(&mut ctx, &consensus);
    end_block(&mut ctx);
    assert_eq!(counted(&ctx, id), [250, 30, 150, 100]);
    later(ctx, 1);
}
