//! PrepareProposal and ProcessProposal: no panic, what is prepared fits and is accepted.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use stoad::abci::Application;
use stoad_fuzz::{input, stage::Stage};
use tendermint_proto::v0_38::abci::{
    ExtendedCommitInfo, ExtendedVoteInfo, RequestPrepareProposal, RequestProcessProposal,
};

static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::new(2));

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let stage = &*STAGE;
    let height = i64::try_from(stage.block.height).unwrap_or(i64::MAX) + 1;
    let (time, misbehavior) = (input::time(u, stage)?, input::misbehavior(u, stage)?);
    let commit = input::commit(u, stage)?;
    let txs = input::txs(u, stage)?;
    let max_tx_bytes: i64 = if u.arbitrary()? { 1 << 20 } else { u.int_in_range(0..=2_000)? };
    let extended = commit.votes.iter().map(|vote| ExtendedVoteInfo {
        validator: vote.validator.clone(),
        block_id_flag: vote.block_id_flag,
        ..Default::default()
    });
    let prepared = stage.app.prepare_proposal(RequestPrepareProposal {
        max_tx_bytes,
        txs: txs.iter().cloned().map(Into::into).collect(),
        local_last_commit: Some(ExtendedCommitInfo { round: 0, votes: extended.collect() }),
        misbehavior: misbehavior.clone(),
        height,
        time,
        ..Default::default()
    });
    let size: usize = prepared.txs.iter().map(|tx| tx.len()).sum();
    assert!(i64::try_from(size).is_ok_and(|size| size <= max_tx_bytes));
    let process = |txs| {
        stage.app.process_proposal(RequestProcessProposal {
            txs,
            proposed_last_commit: Some(commit.clone()),
            misbehavior: misbehavior.clone(),
            height,
            time,
            ..Default::default()
        })
    };
    assert_eq!(process(prepared.txs).status, 1, "what is prepared is accepted");
    process(txs.into_iter().map(Into::into).collect());
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
