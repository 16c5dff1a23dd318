//! Query: every path with any request, and any path, end without a panic; the height is never 0.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use stoad::abci::Application;
use stoad_fuzz::{input, stage::Stage};
use tendermint_proto::v0_38::abci::RequestQuery;

static STAGE: LazyLock<(Stage, Vec<String>)> = LazyLock::new(|| {
    let stage = Stage::new(4);
    let paths = stage.app.queries().paths().map(str::to_owned);
    let paths = paths.chain(["/store/key", "/store/x/key"].map(str::to_owned)).collect();
    (stage, paths)
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let (stage, paths) = &*STAGE;
    let path = if u.ratio(1u8, 50u8)? { u.arbitrary()? } else { u.choose(paths)?.clone() };
    let height = match u.int_in_range(0..=7u8)? {
        0 => u.arbitrary()?,
        1..=3 => u.int_in_range(0..=60)?,
        _ => 0,
    };
    let data = match u.int_in_range(0..=3u8)? {
        0 => u.arbitrary::<Vec<u8>>()?,
        _ => input::request(u, stage, 2)?,
    };
    let request = RequestQuery { data: data.into(), path, height, prove: u.arbitrary()? };
    let answer = stage.app.query(request);
    assert!(answer.height > 0);
    assert!(answer.code == 0 || !answer.log.is_empty());
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});
