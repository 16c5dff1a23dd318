//! What becomes of deposits.

use super::*;

fn deposit_msg(id: u64, depositor: u8, amount: u128) -> pb::MsgDeposit {
    pb::MsgDeposit {
        proposal_id: id,
        depositor: address(depositor).to_string(),
        amount: vec![coin(amount).into()],
    }
}

fn cancel_msg(id: u64, proposer: u8) -> pb::MsgCancelProposal {
    pb::MsgCancelProposal { proposal_id: id, proposer: address(proposer).to_string() }
}

/// Proposal 1 of 5 with a tenth of its deposit.
fn begun(ctx: &mut Ctx<'_>) -> u64 {
    send::<SubmitProposal>(ctx, submit_msg(Vec::new(), DEPOSIT / 10)).unwrap().proposal_id
}

#[test]
fn voting_begins_with_the_whole_deposit_whoever_gives_it() {
    let mut ctx = chain();
    let id = begun(&mut ctx);
    assert_eq!(status(&ctx, id), Status::Deposit);
    let mut ctx = later(ctx, 100);
    send::<Deposit>(&mut ctx, deposit_msg(id, 6, DEPOSIT / 2)).unwrap();
    assert_eq!(status(&ctx, id), Status::Deposit);
    send::<Deposit>(&mut ctx, deposit_msg(id, 6, DEPOSIT / 2)).unwrap();
    let found = proposal(&ctx, id).unwrap();
    assert_eq!(found.status, Status::Voting);
    let starts_at = ctx.now();
    assert_eq!(found.voting, Some(Voting { starts_at, ends_at: starts_at + PERIOD }));
    assert_eq!(deposit(&ctx, id, &address(6)), Some([coin(DEPOSIT)].into_iter().collect()));
    assert_eq!(balance(&ctx, &address(6)), FUNDS - DEPOSIT);
    // It takes more while it is voted on.
    send::<Deposit>(&mut ctx, deposit_msg(id, 7, DEPOSIT)).unwrap();
    later(ctx, 1);
}

#[test]
fn without_its_deposit_a_proposal_is_dropped_and_what_it_had_returns() {
    let mut ctx = chain();
    let id = begun(&mut ctx);
    send::<Deposit>(&mut ctx, deposit_msg(id, 6, DEPOSIT / 10)).unwrap();
    let mut ctx = later(ctx, PERIOD - 1);
    end_block(&mut ctx);
    assert_eq!(status(&ctx, id), Status::Deposit);
    let mut ctx = later(ctx, 1);
    assert_eq!(refusal::<Deposit>(&mut ctx, deposit_msg(id, 6, DEPOSIT), "gov"), 3);
    end_block(&mut ctx);
    assert_eq!(told(&mut ctx, "inactive_proposal", "proposal_result"), ["proposal_dropped"]);
    assert_eq!(proposal(&ctx, id), None);
    assert_eq!(balance(&ctx, &address(5)), FUNDS);
    assert_eq!(balance(&ctx, &address(6)), FUNDS);
    assert_export_is_whole(ctx);
}

#[test]
fn without_its_deposit_it_loses_what_it_had_where_the_parameters_say_so() {
    let mut document = document(&[(11, 11, 100)]);
    document.gov.params.burn_proposal_deposit_prevote = true;
    let mut ctx = ctx_from(&document);
    begun(&mut ctx);
    let ctx = over(ctx);
    assert_eq!(balance(&ctx, &address(5)), FUNDS - DEPOSIT / 10);
    later(ctx, 1);
}

#[test]
fn deposits_return_when_a_proposal_is_rejected_and_are_burned_by_a_veto() {
    for (option, returned) in [(pb::VoteOption::No, DEPOSIT), (pb::VoteOption::NoWithVeto, 0)] {
        let mut ctx = chain();
        let id = submit(&mut ctx, Vec::new());
        vote_for(&mut ctx, id, 11, option);
        let ctx = over(ctx);
        assert_eq!(status(&ctx, id), Status::Rejected);
        assert_eq!(balance(&ctx, &address(5)), FUNDS - DEPOSIT + returned);
        later(ctx, 1);
    }
}

#[test]
fn without_quorum_deposits_return_or_are_burned_as_the_parameters_say() {
    for (burns, returned) in [(false, DEPOSIT), (true, 0)] {
        let mut document = document(&[(11, 11, 100), (12, 12, 300)]);
        document.gov.params.burn_vote_quorum = burns;
        let mut ctx = ctx_from(&document);
        let id = submit(&mut ctx, Vec::new());
        vote_for(&mut ctx, id, 11, pb::VoteOption::Yes);
        let ctx = over(ctx);
        assert_eq!(status(&ctx, id), Status::Rejected);
        assert_eq!(balance(&ctx, &address(5)), FUNDS - DEPOSIT + returned);
    }
}

/// What 5 and 6 get back of 10 and 10, and what account 9 and the pool get,
/// when 5's proposal is cancelled.
fn cancelled(dest: Option<Address>) -> (u128, u128, u128, Fine) {
    let mut document = document(&[(11, 11, 100)]);
    document.gov.params.proposal_cancel_dest = dest;
    let mut ctx = ctx_from(&document);
    let id = submit(&mut ctx, Vec::new());
    send::<Deposit>(&mut ctx, deposit_msg(id, 6, DEPOSIT)).unwrap();
    vote_for(&mut ctx, id, 11, pb::VoteOption::Yes);
    let mut ctx = later(ctx, 1);
    let response = send::<CancelProposal>(&mut ctx, cancel_msg(id, 5)).unwrap();
    assert_eq!((response.proposal_id, response.canceled_height), (id, ctx.height()));
    end_block(&mut ctx);
    assert_eq!(proposal(&ctx, id), None);
    assert_eq!(vote(&ctx, id, &address(11)), None);
    let pool = crate::modules::escrow::pool(&ctx).map(|(_, money)| money).next();
    let of = |number| balance(&ctx, &address(number)) + DEPOSIT - FUNDS;
    let result = (of(5), of(6), balance(&ctx, &address(9)) - FUNDS, pool.unwrap_or_default());
    later(ctx, 1);
    result
}

#[test]
fn cancelling_costs_a_part_which_is_burned_or_goes_where_the_parameters_say() {
    let half = DEPOSIT / 2;
    assert_eq!(cancelled(None), (half, half, 0, Fine::ZERO));
    assert_eq!(cancelled(Some(address(9))), (half, half, DEPOSIT, Fine::ZERO));
    let pool = module_address(b"distribution");
    let whole = Amount::from_raw(DEPOSIT).to_fine();
    assert_eq!(cancelled(Some(pool)), (half, half, 0, whole));
}

#[test]
fn only_the_proposer_cancels_and_only_before_the_end() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    assert_eq!(refusal::<CancelProposal>(&mut ctx, cancel_msg(id, 6), "gov"), 18);
    assert_eq!(refusal::<CancelProposal>(&mut ctx, cancel_msg(9, 5), "gov"), 2);
    let mut ctx = later(ctx, PERIOD);
    assert_eq!(refusal::<CancelProposal>(&mut ctx, cancel_msg(id, 5), "gov"), 20);
    end_block(&mut ctx);
    assert_eq!(refusal::<CancelProposal>(&mut ctx, cancel_msg(id, 5), "gov"), 21);
}

#[test]
fn many_deposits_and_votes_leave_over_several_blocks() {
    let mut ctx = chain();
    let id = submit(&mut ctx, Vec::new());
    for number in [6, 7, 8] {
        send::<Deposit>(&mut ctx, deposit_msg(id, number, DEPOSIT)).unwrap();
        vote_for(&mut ctx, id, number, pb::VoteOption::Yes);
    }
    send::<CancelProposal>(&mut ctx, cancel_msg(id, 5)).unwrap();
    for left in [(3, 3), (2, 3), (1, 3), (0, 3), (0, 2), (0, 1), (0, 0)] {
        super::super::end_block::end_block_within(&mut ctx, 1);
        let counts = (records::deposits(&ctx).count(), records::votes(&ctx).count());
        assert_eq!(counts, left);
        ctx = later(ctx, 1);
    }
    super::super::end_block::end_block_within(&mut ctx, 1);
    assert_eq!(records::leaving(&ctx).count(), 0);
    assert_eq!(balance(&ctx, &address(8)), FUNDS - DEPOSIT / 2);
}
