//! FinalizeBlock: whatever is decided, there is no panic, and every invariant holds after it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use stoa_chain::{ctx::Ctx, input::BlockInput, modules};
use stoad::abci::Application;
use stoad_fuzz::{input, stage::Stage};
use tendermint_proto::v0_38::abci::RequestFinalizeBlock;

static STAGE: LazyLock<Stage> = LazyLock::new(|| Stage::new(3));

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let stage = &*STAGE;
    let height = i64::try_from(stage.block.height).unwrap_or(i64::MAX) + 1;
    let time = input::time(u, stage)?;
    let commit = input::commit(u, stage)?;
    let misbehavior = input::misbehavior(u, stage)?;
    let txs: Vec<_> = input::txs(u, stage)?.into_iter().map(Into::into).collect();
    let block = stage.machine.block(height, time.as_ref());
    let answer = stage.app.finalize_block(RequestFinalizeBlock {
        txs: txs.clone(),
        decided_last_commit: Some(commit),
        misbehavior,
        height,
        time,
        ..Default::default()
    });
    assert_eq!(answer.tx_results.len(), txs.len());
    // The same transactions again, to look at what they leave.
    let (base, _) = stage.machine.view();
    let input = BlockInput::from(block.clone());
    let (result, _) = stage.machine.finalize(input, &txs).expect("a block is executed");
    let ctx = Ctx::with_changes(&base, block, result.changes);
    assert_eq!(modules::check_invariants(&ctx), Vec::<String>::new());
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
